//go:build !cgo

package onnx_test

import (
	"errors"
	"strings"
	"testing"

	"semantic-epp/classifier/onnx"
)

func TestNewWithoutCgo(t *testing.T) {
	_, err := onnx.New(onnx.Config{})
	if !errors.Is(err, onnx.ErrUnavailable) || !strings.Contains(err.Error(), "CGO_ENABLED=1") {
		t.Errorf("got %v, want ErrUnavailable and how to get it", err)
	}
}
