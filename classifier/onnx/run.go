//go:build cgo

package onnx

import (
	"errors"
	"fmt"
	"runtime"

	ort "github.com/yalue/onnxruntime_go"
)

// A run holds the memory that one run of the model reads and writes. The
// tensors only point into it: it is pinned while they live.
type run struct {
	ids     []int64
	ones    []int64 // attention mask of a single text: it has no padding
	zeros   []int64 // token types of a single text
	logits  []float32
	inputs  []ort.Value
	outputs []ort.Value
	pinner  runtime.Pinner
}

func newRun(inputs, maxTokens, labels int) *run {
	r := &run{
		ids:     make([]int64, 0, maxTokens),
		ones:    make([]int64, maxTokens),
		zeros:   make([]int64, maxTokens),
		logits:  make([]float32, labels),
		inputs:  make([]ort.Value, 0, inputs),
		outputs: make([]ort.Value, 0, 1),
	}
	for i := range r.ones {
		r.ones[i] = 1
	}
	return r
}

// do runs the model on ids and leaves its answer in logits.
func (r *run) do(session *ort.DynamicAdvancedSession, inputs []string) (err error) {
	defer func() { err = errors.Join(err, r.release()) }()
	for _, name := range inputs {
		data := r.input(name)
		r.pinner.Pin(&data[0])
		tensor, err := ort.NewTensor(ort.NewShape(1, int64(len(r.ids))), data)
		if err != nil {
			return fmt.Errorf("make input %s: %w", name, err)
		}
		r.inputs = append(r.inputs, tensor)
	}
	r.pinner.Pin(&r.logits[0])
	tensor, err := ort.NewTensor(ort.NewShape(1, int64(len(r.logits))), r.logits)
	if err != nil {
		return fmt.Errorf("make output: %w", err)
	}
	r.outputs = append(r.outputs, tensor)
	return session.Run(r.inputs, r.outputs) // fails where the output has another shape
}

func (r *run) input(name string) []int64 {
	switch name {
	case "attention_mask":
		return r.ones
	case "token_type_ids":
		return r.zeros
	default:
		return r.ids
	}
}

func (r *run) release() error {
	var errs []error
	for _, values := range []*[]ort.Value{&r.inputs, &r.outputs} {
		for _, v := range *values {
			errs = append(errs, v.Destroy())
		}
		clear(*values)
		*values = (*values)[:0]
	}
	r.pinner.Unpin()
	return errors.Join(errs...)
}
