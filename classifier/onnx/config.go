package onnx

import (
	"errors"
	"fmt"
	"math"

	"semantic-epp/classifier"
	"semantic-epp/classifier/batch"
	"semantic-epp/classifier/tokenizer"
)

// DefaultMaxTokens is how much of a text a model reads unless told otherwise:
// about 190 English words.
const DefaultMaxTokens = 256

// Bounds of Config.MaxTokens. The upper one bounds the memory of a run; models
// have limits of their own.
const (
	shortest     = 8
	maxMaxTokens = 8192
)

// How an embedding of a text is made from those of its tokens.
const (
	MeanPooling = "mean" // over all tokens of the text; padding does not count
	CLSPooling  = "cls"  // the first token's
)

// Config says which model to run.
type Config struct {
	Library   string                 // for FindLibrary: a path, or "" to search
	Model     []byte                 // an ONNX file; see New. Or:
	Path      string                 // where it is; for one whose weights are in files beside it
	CUDAModel []byte                 // the same model in float16 or float32, for CUDA. Or:
	CUDAPath  string                 // where that is. With neither, Model or Path is for both
	MakeCUDA  func() ([]byte, error) // makes CUDAModel, and is only called where the library can use CUDA; may be nil
	Device    string                 // "cpu", "cuda" or "cuda:N" to have the Nth GPU or an error; "auto" or "" for CUDA where it works
	Tokenizer *tokenizer.Tokenizer   // the one that the model was trained with
	PadID     int64                  // the tokenizer's padding token
	MaxTokens int                    // special ones included; 0 means DefaultMaxTokens

	Labels      []string // what the logits mean, in order; none for a model that only embeds
	Temperature float64  // the logits are divided by; 0 means 1
	Embeddings  bool     // whether Embed is wanted
	Pooling     string   // MeanPooling or CLSPooling, where the graph does not pool itself; "" means MeanPooling

	Batch batch.Config // of a GPU; MaxSize is set to MaxTokens

	// OnFallback, where it is set, is told the error by which the GPU was
	// lost, once, when the model has gone over to the CPU. It must not wait.
	OnFallback func(error)

	batchOnCPU bool // for tests: the way of the GPU without one
}

// check puts in the defaults and returns every fault of the configuration that
// shows before the model is loaded.
func (c *Config) check() error {
	var errs []error
	fault := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	fault(len(c.Model) == 0 && c.Path == "", "there is no model")
	fault(len(c.Model) > 0 && c.Path != "", "the model is there twice, as bytes and as %s", c.Path)
	fault(len(c.CUDAModel) > 0 && c.CUDAPath != "", "the model for CUDA is there twice, as bytes and as %s", c.CUDAPath)
	fault(c.Tokenizer == nil, "there is no tokenizer")
	fault(len(c.Labels) == 0 && !c.Embeddings, "there are no labels, and no embeddings are wanted")
	seen := make(map[string]bool, len(c.Labels))
	for i, label := range c.Labels {
		fault(label == "" || seen[label], "label %d, %q, is empty or there twice", i, label)
		seen[label] = true
	}
	if c.MaxTokens == 0 {
		c.MaxTokens = DefaultMaxTokens
	}
	fault(c.MaxTokens < shortest || c.MaxTokens > maxMaxTokens, "max tokens is %d, not within %d to %d", c.MaxTokens, shortest, maxMaxTokens)
	if c.Temperature == 0 {
		c.Temperature = 1
	}
	fault(!(c.Temperature > 0) || math.IsInf(c.Temperature, 1), "temperature is %v, not a number above 0", c.Temperature)
	if c.Pooling == "" {
		c.Pooling = MeanPooling
	}
	fault(c.Pooling != MeanPooling && c.Pooling != CLSPooling, "pooling is %q, neither %q nor %q", c.Pooling, MeanPooling, CLSPooling)
	fault(c.PadID < 0 || c.PadID > math.MaxInt32, "pad id is %d, not a token's", c.PadID)
	if _, err := parseDevice(c.Device); err != nil {
		errs = append(errs, err)
	}
	c.Batch.MaxSize = c.MaxTokens
	return errors.Join(errs...)
}

func (c *Config) forCPU() source { return source{c.Model, c.Path} }

func (c *Config) forCUDA() source {
	if len(c.CUDAModel) > 0 || c.CUDAPath != "" {
		return source{c.CUDAModel, c.CUDAPath}
	}
	return c.forCPU()
}

// info describes the model that runs src on the device. Its revision tells
// apart what can give different answers.
func (c *Config) info(src source, g *graph, device string) (classifier.Info, error) {
	digest, err := src.digest(g)
	if err != nil {
		return classifier.Info{}, err
	}
	tokens := c.Tokenizer.Digest()
	settings := fmt.Appendf(nil, "%q %d %v %s", c.Labels, c.MaxTokens, c.Temperature, c.Pooling)
	return classifier.Info{
		Name:     "onnx",
		Revision: classifier.Revision(digest, tokens[:], settings),
		Labels:   append([]string(nil), c.Labels...),
		Device:   device,
	}, nil
}
