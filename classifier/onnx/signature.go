//go:build cgo

package onnx

import (
	"errors"
	"fmt"
	"slices"

	ort "github.com/yalue/onnxruntime_go"
)

// A signature is what a graph takes and which of its outputs are wanted.
type signature struct {
	inputs  []input
	logits  *output // nil where there are no labels
	vectors *output // nil where no embeddings are wanted
	single  bool    // it takes one text at a time only
}

// An input is of shape [batch, tokens].
type input struct {
	name   string
	narrow bool // int32; else int64
}

// An output is of shape [batch, width] or [batch, tokens, width].
type output struct {
	name     string
	half     bool // float16; else float32
	perToken bool
	width    int // labels, or dimensions of a vector; 0 until a run tells
}

func (o *output) String() string {
	if o.perToken {
		return fmt.Sprintf("[batch, tokens, %d]", o.width)
	}
	return fmt.Sprintf("[batch, %d]", o.width)
}

// outputs lists those that are wanted.
func (s *signature) outputs() []*output {
	return slices.DeleteFunc([]*output{s.logits, s.vectors}, func(o *output) bool { return o == nil })
}

func (s *signature) names() (inputs, outputs []string) {
	for _, in := range s.inputs {
		inputs = append(inputs, in.name)
	}
	for _, out := range s.outputs() {
		outputs = append(outputs, out.name)
	}
	return inputs, outputs
}

// readSignature asks ONNX Runtime what src takes and gives, and returns every
// respect in which that is not what New tells.
func readSignature(src source, labels int, embeddings bool) (*signature, error) {
	ins, outs, err := describe(src)
	if err != nil {
		return nil, fmt.Errorf("read inputs and outputs of %s: %w", src, err)
	}
	s := &signature{}
	errs := []error{s.readInputs(ins)}
	if labels > 0 {
		s.logits, err = findLogits(outs, labels)
		errs = append(errs, err)
	}
	if embeddings {
		s.vectors, err = findVectors(outs)
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("%s: %w", src, err)
	}
	return s, nil
}

func describe(src source) (inputs, outputs []ort.InputOutputInfo, err error) {
	if src.path == "" {
		return ort.GetInputOutputInfoWithONNXData(src.data)
	}
	options, err := ort.NewSessionOptions()
	if err != nil {
		return nil, nil, err
	}
	defer options.Destroy()
	// Only the ends of the graph are looked at.
	if err := options.SetGraphOptimizationLevel(ort.GraphOptimizationLevelDisableAll); err != nil {
		return nil, nil, err
	}
	return ort.GetInputOutputInfoWithOptions(src.path, options)
}

func (s *signature) readInputs(ins []ort.InputOutputInfo) error {
	var errs []error
	for _, in := range ins {
		known := slices.Contains([]string{"input_ids", "attention_mask", "token_type_ids", "position_ids"}, in.Name)
		whole := in.DataType == ort.TensorElementDataTypeInt64 || in.DataType == ort.TensorElementDataTypeInt32
		switch {
		case !known || !whole || len(in.Dimensions) != 2:
			errs = append(errs, fmt.Errorf("input %v is none of input_ids, attention_mask, token_type_ids and position_ids, int64 or int32 [batch, tokens]", &in))
		case in.Dimensions[0] > 1 || in.Dimensions[1] > 0:
			errs = append(errs, fmt.Errorf("input %v has a fixed size: export the model with dynamic axes", &in))
		}
		s.inputs = append(s.inputs, input{name: in.Name, narrow: in.DataType == ort.TensorElementDataTypeInt32})
		s.single = s.single || len(in.Dimensions) > 0 && in.Dimensions[0] == 1
	}
	if !slices.ContainsFunc(s.inputs, func(in input) bool { return in.name == "input_ids" }) {
		errs = append(errs, errors.New("there is no input input_ids"))
	}
	return errors.Join(errs...)
}

func findLogits(outs []ort.InputOutputInfo, labels int) (*output, error) {
	i := slices.IndexFunc(outs, func(out ort.InputOutputInfo) bool { return out.Name == "logits" || len(outs) == 1 })
	if i < 0 {
		return nil, fmt.Errorf("none of its %d outputs is named logits", len(outs))
	}
	out := outs[i]
	if !isFloat(out) || len(out.Dimensions) != 2 || out.Dimensions[1] > 0 && out.Dimensions[1] != int64(labels) {
		return nil, fmt.Errorf("output %v is not float [batch, %d], one for each label", &out, labels)
	}
	return &output{name: out.Name, half: isHalf(out), width: labels}, nil
}

// findVectors prefers what the graph has pooled itself.
func findVectors(outs []ort.InputOutputInfo) (*output, error) {
	for _, name := range []string{"sentence_embedding", "last_hidden_state", "token_embeddings"} {
		if i := slices.IndexFunc(outs, func(out ort.InputOutputInfo) bool { return out.Name == name }); i >= 0 {
			return vectors(outs[i])
		}
	}
	var perToken []ort.InputOutputInfo
	for _, out := range outs {
		if len(out.Dimensions) == 3 {
			perToken = append(perToken, out)
		}
	}
	if len(perToken) != 1 {
		return nil, fmt.Errorf("none of its %d outputs is named sentence_embedding, last_hidden_state or token_embeddings, and %d have the shape [batch, tokens, dimensions]", len(outs), len(perToken))
	}
	return vectors(perToken[0])
}

func vectors(out ort.InputOutputInfo) (*output, error) {
	rank := 3
	if out.Name == "sentence_embedding" {
		rank = 2
	}
	if !isFloat(out) || len(out.Dimensions) != rank {
		return nil, fmt.Errorf("output %v is not float [batch, dimensions] or, of each token, [batch, tokens, dimensions]", &out)
	}
	o := &output{name: out.Name, half: isHalf(out), perToken: rank == 3, width: int(max(0, out.Dimensions[rank-1]))}
	if o.half && o.width == 0 {
		return nil, fmt.Errorf("output %v does not tell how many dimensions it has: export the model with that number, or in float32", &out)
	}
	return o, nil
}

func isFloat(out ort.InputOutputInfo) bool {
	return out.DataType == ort.TensorElementDataTypeFloat || isHalf(out)
}

func isHalf(out ort.InputOutputInfo) bool {
	return out.DataType == ort.TensorElementDataTypeFloat16
}
