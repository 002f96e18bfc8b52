//go:build !cgo

package onnx

import (
	"context"
	"fmt"

	"semantic-epp/classifier"
)

// A Model cannot be made in a program that was built without cgo.
type Model struct{}

var errNoCgo = fmt.Errorf("%w: this program was built without cgo: build it with CGO_ENABLED=1 and a C compiler", ErrUnavailable)

// New returns an error that wraps ErrUnavailable.
func New(Config) (*Model, error) { return nil, errNoCgo }

// Classify returns an error that wraps ErrUnavailable.
func (*Model) Classify(context.Context, string) (classifier.Result, error) {
	return classifier.Result{}, errNoCgo
}

// Embed returns an error that wraps ErrUnavailable.
func (*Model) Embed(context.Context, string) ([]float32, error) { return nil, errNoCgo }

// Fallback returns nil.
func (*Model) Fallback() error { return nil }

// Info returns nothing.
func (*Model) Info() classifier.Info { return classifier.Info{} }

// Close does nothing.
func (*Model) Close() error { return nil }
