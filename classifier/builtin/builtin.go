package builtin

import (
	_ "embed" // for the files
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"semantic-epp/classifier"
	"semantic-epp/classifier/linear"
	"semantic-epp/classifier/onnx"
	"semantic-epp/classifier/tokenizer"
)

// Names of the models, for Options.
const (
	ONNX   = "onnx"
	Linear = "linear"
)

//go:embed tokenizer.json
var tokenizerFile []byte

//go:embed config.json
var configFile []byte

//go:embed linear.bin
var linearFile []byte

// Options say which model to open.
type Options struct {
	Model     string // ONNX, Linear, or "" for the best that this machine can run
	Library   string // path of ONNX Runtime's shared library; "" to search, see onnx.FindLibrary
	MaxTokens int    // that the ONNX model reads; 0 for onnx.DefaultMaxTokens
}

// A Model is an open model.
type Model struct {
	classifier.Model

	// Fallback says why this is the linear model though the ONNX model is
	// better; nil where it is what was asked for. It belongs in the log, once.
	Fallback error
}

// Open loads a model. Only where Options name neither model nor library does
// the linear model stand in for the other; else what was named is opened, or
// the error says why not.
func Open(o Options) (*Model, error) {
	switch o.Model {
	case Linear:
		return openLinear(nil)
	case ONNX, "":
		m, err := openONNX(o)
		if o.Model == "" && o.Library == "" && errors.Is(err, onnx.ErrUnavailable) {
			return openLinear(fmt.Errorf("the less accurate linear model stands in: %w", err))
		}
		return m, err
	default:
		return nil, fmt.Errorf("open built-in model: %q is neither %q nor %q", o.Model, ONNX, Linear)
	}
}

func openLinear(fallback error) (*Model, error) {
	m, err := linear.Load(linearFile)
	if err != nil {
		return nil, fmt.Errorf("open built-in model: %w", err)
	}
	return &Model{Model: m, Fallback: fallback}, nil
}

func openONNX(o Options) (*Model, error) {
	tokens, tokenizerErr := tokenizer.Load(tokenizerFile)
	labels, labelsErr := readLabels(configFile)
	if err := errors.Join(tokenizerErr, labelsErr); err != nil {
		return nil, fmt.Errorf("open built-in model: %w", err)
	}
	m, err := onnx.New(onnx.Config{Library: o.Library, Model: onnxFile, Tokenizer: tokens, Labels: labels, MaxTokens: o.MaxTokens})
	if err != nil {
		return nil, fmt.Errorf("open built-in model: %w", err)
	}
	return &Model{Model: m}, nil
}

// readLabels reads id2label of a Hugging Face config.json: names of the
// model's outputs, from "0" on without a gap.
func readLabels(config []byte) ([]string, error) {
	var c struct {
		Labels map[string]string `json:"id2label"`
	}
	if err := json.Unmarshal(config, &c); err != nil {
		return nil, fmt.Errorf("read config.json: %w", err)
	}
	if len(c.Labels) == 0 {
		return nil, errors.New("read config.json: id2label is empty or missing")
	}
	labels := make([]string, len(c.Labels))
	for i := range labels {
		label, ok := c.Labels[strconv.Itoa(i)]
		if !ok || label == "" {
			return nil, fmt.Errorf("read config.json: id2label has %d labels, but none for id %d", len(labels), i)
		}
		labels[i] = label
	}
	return labels, nil
}
