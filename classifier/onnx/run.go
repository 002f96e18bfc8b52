//go:build cgo

package onnx

import (
	"errors"
	"fmt"
	"runtime"
	"slices"

	ort "github.com/yalue/onnxruntime_go"
)

// A run holds the memory that one run of the model reads and writes. The
// tensors only point into it: it is pinned while they live.
type run struct {
	sig     *signature
	wide    [][]int64 // for each input that is int64
	narrow  [][]int32 // for each input that is int32
	logits  results
	vectors results
	inputs  []ort.Value
	outputs []ort.Value
	pinner  runtime.Pinner
}

// results are the values of one output: those of the first text first.
type results struct {
	values []float32
	half   []byte // the same as they come, where they come as float16
}

func newRun(sig *signature) *run {
	return &run{sig: sig, wide: make([][]int64, len(sig.inputs)), narrow: make([][]int32, len(sig.inputs))}
}

// do runs the model on texts, each padded to size tokens.
func (r *run) do(s session, texts [][]int64, size int, pad int64) (err error) {
	defer func() { err = errors.Join(err, r.release()) }()
	for i := range r.sig.inputs {
		if err := r.addInput(i, texts, size, pad); err != nil {
			return err
		}
	}
	for _, out := range r.sig.outputs() {
		if err := r.addOutput(out, len(texts), size); err != nil {
			return err
		}
	}
	if err := s.Run(r.inputs, r.outputs); err != nil { // also where an output has another shape
		return fmt.Errorf("run ONNX model: %w", err)
	}
	for _, out := range r.sig.outputs() {
		if out.half {
			to := r.results(out)
			fromHalf(to.values, to.half)
		}
	}
	return nil
}

func (r *run) addInput(i int, texts [][]int64, size int, pad int64) (err error) {
	in := r.sig.inputs[i]
	n := len(texts) * size
	shape := ort.NewShape(int64(len(texts)), int64(size))
	var tensor ort.Value
	if in.narrow {
		r.narrow[i] = resize(r.narrow[i], n)
		fill(r.narrow[i], in.name, texts, size, pad)
		r.pinner.Pin(&r.narrow[i][0])
		tensor, err = ort.NewTensor(shape, r.narrow[i])
	} else {
		r.wide[i] = resize(r.wide[i], n)
		fill(r.wide[i], in.name, texts, size, pad)
		r.pinner.Pin(&r.wide[i][0])
		tensor, err = ort.NewTensor(shape, r.wide[i])
	}
	if err != nil {
		return fmt.Errorf("make input %s: %w", in.name, err)
	}
	r.inputs = append(r.inputs, tensor)
	return nil
}

// fill writes an input: row by row what the graph is to know of a text's
// tokens and, behind them, of its padding.
func fill[T int32 | int64](dst []T, name string, texts [][]int64, size int, pad int64) {
	for i, ids := range texts {
		row := dst[i*size : (i+1)*size]
		for k := range row {
			inside := k < len(ids)
			row[k] = 0 // token_type_ids: there is only one text; attention_mask: padding
			switch {
			case name == "position_ids":
				row[k] = T(k)
			case name == "attention_mask" && inside:
				row[k] = 1
			case name == "input_ids" && inside:
				row[k] = T(ids[k])
			case name == "input_ids":
				row[k] = T(pad)
			}
		}
	}
}

func (r *run) addOutput(out *output, texts, size int) (err error) {
	shape := ort.NewShape(int64(texts), int64(out.width))
	if out.perToken {
		shape = ort.NewShape(int64(texts), int64(size), int64(out.width))
	}
	to := r.results(out)
	to.values = resize(to.values, int(shape.FlattenedSize()))
	var tensor ort.Value
	if out.half {
		to.half = resize(to.half, 2*len(to.values))
		r.pinner.Pin(&to.half[0])
		tensor, err = ort.NewCustomDataTensor(shape, to.half, ort.TensorElementDataTypeFloat16)
	} else {
		r.pinner.Pin(&to.values[0])
		tensor, err = ort.NewTensor(shape, to.values)
	}
	if err != nil {
		return fmt.Errorf("make output %s: %w", out.name, err)
	}
	r.outputs = append(r.outputs, tensor)
	return nil
}

func (r *run) results(out *output) *results {
	if out == r.sig.logits {
		return &r.logits
	}
	return &r.vectors
}

func resize[T any](s []T, n int) []T { return slices.Grow(s[:0], n)[:n] }

// logitsOf returns a copy of the logits of the ith text.
func (r *run) logitsOf(i int) []float32 {
	width := r.sig.logits.width
	return slices.Clone(r.logits.values[i*width : (i+1)*width])
}

// vectorOf returns the embedding of the ith text, of so many tokens, after a
// run that padded each to size.
func (r *run) vectorOf(i, tokens, size int, pooling string) ([]float32, error) {
	width := r.sig.vectors.width
	vector := make([]float32, width)
	if r.sig.vectors.perToken {
		from := i * size * width
		pool(vector, r.vectors.values[from:from+tokens*width], pooling)
	} else {
		copy(vector, r.vectors.values[i*width:])
	}
	return vector, normalize(vector)
}

// measure runs the model and checks the shapes of what it gives against the
// signature, which it completes. ONNX Runtime's binding can make room only for
// float32 of itself; of float16 the file has told the shape.
func (r *run) measure(s session, ids []int64) (err error) {
	defer func() { err = errors.Join(err, r.release()) }()
	for i := range r.sig.inputs {
		if err := r.addInput(i, [][]int64{ids}, len(ids), 0); err != nil {
			return err
		}
	}
	for _, out := range r.sig.outputs() {
		if out.half {
			if err := r.addOutput(out, 1, len(ids)); err != nil {
				return err
			}
		} else {
			r.outputs = append(r.outputs, nil)
		}
	}
	if err := s.Run(r.inputs, r.outputs); err != nil {
		return fmt.Errorf("run ONNX model: %w", err)
	}
	for i, out := range r.sig.outputs() {
		if err := out.complete(r.outputs[i].GetShape(), len(ids)); err != nil {
			return err
		}
	}
	return nil
}

// complete takes the width from the shape of an answer about one text.
func (o *output) complete(shape ort.Shape, tokens int) error {
	want := ort.Shape{1, int64(o.width)}
	if o.perToken {
		want = ort.Shape{1, int64(tokens), int64(o.width)}
	}
	if last := len(want) - 1; o.width == 0 && len(shape) == len(want) && shape[last] > 0 {
		o.width = int(shape[last])
		want[last] = shape[last]
	}
	if !shape.Equals(want) {
		return fmt.Errorf("output %s of a text of %d tokens has the shape %v, not %v: it is to be %v", o.name, tokens, shape, want, o)
	}
	return nil
}

func (r *run) release() error {
	var errs []error
	for _, values := range []*[]ort.Value{&r.inputs, &r.outputs} {
		for _, v := range *values {
			if v != nil {
				errs = append(errs, v.Destroy())
			}
		}
		clear(*values)
		*values = (*values)[:0]
	}
	r.pinner.Unpin()
	return errors.Join(errs...)
}
