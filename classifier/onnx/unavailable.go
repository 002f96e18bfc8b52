//go:build !cgo

package onnx

import (
	"context"
	"fmt"

	"semantic-epp/classifier"
)

// A Classifier cannot be made in a program that was built without cgo.
type Classifier struct{}

var errNoCgo = fmt.Errorf("%w: this program was built without cgo: build it with CGO_ENABLED=1 and a C compiler", ErrUnavailable)

// New returns an error that wraps ErrUnavailable.
func New(Config) (*Classifier, error) { return nil, errNoCgo }

// Classify returns an error that wraps ErrUnavailable.
func (*Classifier) Classify(context.Context, string) (classifier.Result, error) {
	return classifier.Result{}, errNoCgo
}

// Info returns nothing.
func (*Classifier) Info() classifier.Info { return classifier.Info{} }

// Close does nothing.
func (*Classifier) Close() error { return nil }
