//go:build cgo

package onnx_test

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// The ONNX files that the tests make: a graph is a list of nodes between named
// inputs and one output, written straight as protobuf. Field numbers are those
// of onnx.proto (IR version 8, operator set 17).

type field func(b []byte) []byte

func message(fields ...field) (b []byte) {
	for _, f := range fields {
		b = f(b)
	}
	return b
}

func data(num protowire.Number, v []byte) field {
	return func(b []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), v)
	}
}

func text(num protowire.Number, v string) field { return data(num, []byte(v)) }

func number(num protowire.Number, v uint64) field {
	return func(b []byte) []byte {
		return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), v)
	}
}

func float(num protowire.Number, v float32) field {
	return func(b []byte) []byte {
		return protowire.AppendFixed32(protowire.AppendTag(b, num, protowire.Fixed32Type), math.Float32bits(v))
	}
}

const (
	float32Type = 1
	int32Type   = 6
	int64Type   = 7
	float16Type = 10
)

// value is a ValueInfoProto; a dimension of -1 is dynamic.
func value(name string, elem uint64, dims ...int) []byte {
	var shape []field
	for _, d := range dims {
		if d < 0 {
			shape = append(shape, data(1, message(text(2, "any"))))
		} else {
			shape = append(shape, data(1, message(number(1, uint64(d)))))
		}
	}
	tensor := message(number(1, elem), data(2, message(shape...)))
	return message(text(1, name), data(2, message(data(1, tensor))))
}

func node(op string, inputs []string, output string, attributes ...[]byte) []byte {
	var fields []field
	for _, in := range inputs {
		fields = append(fields, text(1, in))
	}
	fields = append(fields, text(2, output), text(4, op))
	for _, a := range attributes {
		fields = append(fields, data(5, a))
	}
	return message(fields...)
}

// attribute is an AttributeProto of kind INT.
func attribute(name string, v uint64) []byte {
	return message(text(1, name), number(3, v), number(20, 2))
}

// integers is an AttributeProto of kind INTS.
func integers(name string, values ...uint64) []byte {
	fields := []field{text(1, name), number(20, 7)}
	for _, v := range values {
		fields = append(fields, number(8, v))
	}
	return message(fields...)
}

// raw is a TensorProto whose values stand in the file as in memory.
func raw(name string, elem uint64, bytes []byte, dims ...int) []byte {
	fields := []field{number(2, elem), text(8, name), data(9, bytes)}
	for _, d := range dims {
		fields = append(fields, number(1, uint64(d)))
	}
	return message(fields...)
}

// constant is a TensorProto of shape [1, len(values)].
func constant(name string, values ...float32) []byte {
	fields := []field{number(1, 1), number(1, uint64(len(values))), number(2, float32Type), text(8, name)}
	for _, v := range values {
		fields = append(fields, float(4, v))
	}
	return message(fields...)
}

func model(inputs, outputs, nodes, constants [][]byte) []byte {
	var fields []field
	for num, parts := range map[protowire.Number][][]byte{1: nodes, 5: constants, 11: inputs, 12: outputs} {
		for _, part := range parts {
			fields = append(fields, data(num, part))
		}
	}
	graph := message(append(fields, text(2, "test"))...)
	return message(number(1, 8), data(7, graph), data(8, message(number(2, 17))))
}

// fixed is a model of the usual inputs that gives the same logits for any text.
func fixed(logits ...float32) []byte {
	return model(
		[][]byte{value("input_ids", int64Type, -1, -1)},
		[][]byte{value("logits", float32Type, -1, -1)},
		[][]byte{node("Identity", []string{"c"}, "logits")},
		[][]byte{constant("c", logits...)},
	)
}

// sums is a model whose three logits are a hundredth of the sums of
// attention_mask, token_type_ids and, of which there are as many, input_ids.
func sums() []byte {
	var nodes, inputs [][]byte
	names := []string{"attention_mask", "token_type_ids", "input_ids"}
	for _, name := range names {
		inputs = append(inputs, value(name, int64Type, -1, -1))
		nodes = append(nodes,
			node("Cast", []string{name}, name+"_f", attribute("to", float32Type)),
			node("ReduceMean", []string{name + "_f"}, name+"_m"), // over all axes: [1, 1]
		)
	}
	nodes = append(nodes,
		node("Concat", []string{names[0] + "_m", names[1] + "_m", names[2] + "_m"}, "all", attribute("axis", 1)),
		node("Div", []string{"all", "hundred"}, "logits"),
	)
	return model(inputs, [][]byte{value("logits", float32Type, -1, 3)}, nodes, [][]byte{constant("hundred", 100, 100, 100)})
}
