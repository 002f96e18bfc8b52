package onnx

import (
	"errors"
	"fmt"

	"semantic-epp/classifier"
	"semantic-epp/classifier/tokenizer"
)

// DefaultMaxTokens is how much of a text a model reads unless told otherwise:
// about 190 English words.
const DefaultMaxTokens = 256

// maxMaxTokens bounds the memory of a run; models have limits of their own.
const maxMaxTokens = 8192

// Config says which model to run.
type Config struct {
	Library   string               // for FindLibrary: a path, or "" to search
	Model     []byte               // an ONNX file; see New
	Tokenizer *tokenizer.Tokenizer // the one that the model was trained with
	Labels    []string             // what the model's outputs mean, in order
	MaxTokens int                  // special ones included; 0 means DefaultMaxTokens
}

// check returns every fault of the configuration that shows before the model
// is loaded.
func (c *Config) check() error {
	var errs []error
	if len(c.Model) == 0 {
		errs = append(errs, errors.New("there is no model"))
	}
	if c.Tokenizer == nil {
		errs = append(errs, errors.New("there is no tokenizer"))
	}
	if len(c.Labels) == 0 {
		errs = append(errs, errors.New("there are no labels"))
	}
	seen := make(map[string]bool, len(c.Labels))
	for i, label := range c.Labels {
		if label == "" || seen[label] {
			errs = append(errs, fmt.Errorf("label %d, %q, is empty or there twice", i, label))
		}
		seen[label] = true
	}
	if c.MaxTokens == 0 {
		c.MaxTokens = DefaultMaxTokens
	}
	if c.MaxTokens < 8 || c.MaxTokens > maxMaxTokens {
		errs = append(errs, fmt.Errorf("max tokens is %d, not within 8 to %d", c.MaxTokens, maxMaxTokens))
	}
	return errors.Join(errs...)
}

// revision tells apart what can give different answers.
func (c *Config) revision() string {
	tokens := c.Tokenizer.Digest()
	return classifier.Revision(c.Model, tokens[:], fmt.Appendf(nil, "%q %d", c.Labels, c.MaxTokens))
}
