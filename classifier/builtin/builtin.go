package builtin

import (
	"cmp"
	_ "embed" // for the files
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"semantic-epp/classifier"
	"semantic-epp/classifier/linear"
	"semantic-epp/classifier/onnx"
	"semantic-epp/classifier/tokenizer"
)

// Names of the models, for Options.
const (
	ONNX   = "onnx"  // the most accurate one
	Small  = "small" // half of its layers: less accurate, twice as fast
	Linear = "linear"
)

// MaxTokens is how much of a text the ONNX models read unless told otherwise,
// and what they learned to read: about 95 English words.
const MaxTokens = 128

// shallow is the exit of the small model.
const shallow = "2"

//go:embed tokenizer.json
var tokenizerFile []byte

//go:embed config.json
var configFile []byte

//go:embed linear.bin
var linearFile []byte

// Options say which model to open.
type Options struct {
	Model     string      // ONNX, Small, Linear, or "" for the best that this machine can run
	Library   string      // path of ONNX Runtime's shared library; "" to search, see onnx.FindLibrary
	Device    string      // for the ONNX models; see onnx.Config
	MaxTokens int         // that the ONNX models read; 0 for MaxTokens
	Alone     bool        // without the linear model beside an ONNX model: to find their powers
	Notice    func(error) // told why another model or device serves than the best; may be nil
	Fallback  func(error) // told when a GPU is lost; may be nil
}

// Open loads a model. Where Options name neither ONNX, a library nor a GPU, the
// linear model stands in for one that this machine cannot run; else what was
// named is opened, or the error says why not. All but Linear are
// classifier.Embedders.
func Open(o Options) (classifier.Model, error) {
	if o.Notice == nil {
		o.Notice = func(error) {}
	}
	switch o.Model {
	case Linear:
		return openLinear()
	case ONNX, Small, "":
		m, err := openONNX(o)
		named := o.Model == ONNX || o.Library != "" || strings.HasPrefix(o.Device, "cuda")
		if !named && errors.Is(err, onnx.ErrUnavailable) {
			o.Notice(fmt.Errorf("the less accurate linear model stands in: %w", err))
			return openLinear()
		}
		if err != nil {
			return nil, fmt.Errorf("open built-in model: %w", err)
		}
		return m, nil
	default:
		return nil, fmt.Errorf("open built-in model: %q is none of %s, %s and %s", o.Model, ONNX, Small, Linear)
	}
}

func openLinear() (classifier.Model, error) {
	m, err := linear.Load(linearFile)
	if err != nil {
		return nil, fmt.Errorf("open built-in model: %w", err)
	}
	return m, nil
}

func openONNX(o Options) (classifier.Model, error) {
	exit := ""
	if o.Model == Small {
		exit = shallow
	}
	model, cutErr := cut(onnxFile, exit)
	tokens, tokenizerErr := tokenizer.Load(tokenizerFile)
	labels, labelsErr := readLabels(configFile)
	if err := errors.Join(cutErr, tokenizerErr, labelsErr); err != nil {
		return nil, err
	}
	m, err := onnx.New(onnx.Config{
		Library:    o.Library,
		Model:      model,
		MakeCUDA:   func() ([]byte, error) { return dequantize(model) },
		Device:     o.Device,
		Tokenizer:  tokens,
		PadID:      tokens.PadID(),
		MaxTokens:  cmp.Or(o.MaxTokens, MaxTokens),
		Labels:     labels,
		Embeddings: true,
		OnFallback: o.Fallback,
	})
	if err != nil {
		return nil, err
	}
	if m.Fallback() != nil && !errors.Is(m.Fallback(), onnx.ErrCPULibrary) {
		o.Notice(m.Fallback())
	}
	if o.Alone {
		return m, nil
	}
	mixed, err := newMixture(m, cmp.Or(o.Model, ONNX))
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return mixed, nil
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
