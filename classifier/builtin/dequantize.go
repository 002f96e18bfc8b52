package builtin

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// On a GPU the operators of dynamic quantisation would run on the CPU, with
// copies there and back. So the model for it is made of the same file: its int8
// weights become the floats that they stand for.
//
// onnxruntime.quantization.quantize_dynamic has made of each MatMul(x, W):
//
//	q, s, z = DynamicQuantizeLinear(x)
//	y       = Mul(Cast(MatMulInteger(q, W8, z, zeros)), Mul(s, scales))
//
// Here that becomes MatMul(x, (W8 - zeros) * scales) again. The weights are
// multiplied out at once, as ONNX Runtime would do a DequantizeLinear of theirs
// anew in every run. An embedding table stays int8: of it only the rows that a
// text needs are dequantised, which CUDA can do.

// More field numbers of onnx.proto.
const (
	nodeOperator = 4

	tensorDims, tensorType, tensorFloats, tensorInts, tensorRaw = 1, 2, 4, 5, 9
	float32Type, int8Type                                       = 1, 3
)

// dequantize returns the same ONNX model with float activations. An operator of
// dynamic quantisation outside of the pattern above is an error; a model
// without one comes back as it is.
func dequantize(model []byte) ([]byte, error) {
	var out []byte
	err := fields(model, func(f field) error {
		if f.number != modelGraph {
			out = append(out, f.raw...)
			return nil
		}
		d := dequantizer{
			links:   map[string]link{},
			weights: map[string]weight{},
			tensors: map[string][]byte{},
			used:    map[string]bool{},
		}
		graph, err := d.graph(f.value)
		out = slices.Grow(out, len(graph)+32)
		out = protowire.AppendTag(out, modelGraph, protowire.BytesType)
		out = protowire.AppendBytes(out, graph)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("dequantize the model: %w", err)
	}
	return out, nil
}

// A dequantizer knows what it has seen of a graph.
type dequantizer struct {
	links   map[string]link   // the values between x and y of the pattern, by name
	weights map[string]weight // that become floats, by name
	tensors map[string][]byte // all initializers, by name
	used    map[string]bool   // values that the nodes of the new graph take
}

// A link is a value of the pattern, with what it was made from so far.
type link struct {
	role   role
	x      string // the float activations
	weight string
	scale  string
	zero   string // "" for none
}

// A role is which value of the pattern a link is.
type role int

const (
	none       role = iota
	activation      // q
	scale           // s
	zeroPoint       // z
	scales          // s * scales
	sums            // int32
	floatSums
)

// A weight is an int8 tensor with the names of its parameters.
type weight struct{ scale, zero string }

// A node is a NodeProto.
type node struct {
	operator        string
	inputs, outputs []string
}

func (d *dequantizer) graph(graph []byte) ([]byte, error) {
	var nodes []byte
	err := fields(graph, func(f field) error {
		switch f.number {
		case graphNode:
			n, err := readNode(f.value)
			if err != nil {
				return err
			}
			kept, err := d.node(n, f.raw)
			nodes = append(nodes, kept...)
			return err
		case graphInitializer:
			names, err := texts(f.value, tensorName)
			d.tensors[names[0]] = f.value
			return err
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	size := len(graph)
	for name := range d.weights {
		size += 3 * len(d.tensors[name])
		if d.used[name] {
			return nil, fmt.Errorf("the weight %s is also used as int8", name)
		}
		if d.tensors[name] == nil {
			return nil, fmt.Errorf("the weight %s is not a constant of the graph", name)
		}
	}
	out := append(make([]byte, 0, size), nodes...)
	err = fields(graph, func(f field) error {
		switch f.number {
		case graphNode, graphValueInfo: // said already, and not needed
			return nil
		case graphInitializer:
			names, err := texts(f.value, tensorName)
			if err != nil || d.parameter(names[0]) {
				return err
			}
			if w, ok := d.weights[names[0]]; ok {
				tensor, err := d.multiplied(names[0], w)
				out = protowire.AppendTag(out, graphInitializer, protowire.BytesType)
				out = protowire.AppendBytes(out, tensor)
				return err
			}
		case graphOutput:
			if names, err := texts(f.value, valueName); err != nil || d.links[names[0]].role != none {
				return errors.Join(err, fmt.Errorf("the output %s is quantised", names[0]))
			}
		}
		out = append(out, f.raw...)
		return nil
	})
	return out, err
}

// parameter says whether an initializer was the scale or the zero point of
// weights, and nothing else.
func (d *dequantizer) parameter(name string) bool {
	if d.used[name] {
		return false
	}
	for _, w := range d.weights {
		if name == w.scale || name == w.zero {
			return true
		}
	}
	return false
}

// node returns what stands for a node in the new graph: itself, nothing, or a
// MatMul. Nodes come in the order in which they run.
func (d *dequantizer) node(n node, raw []byte) ([]byte, error) {
	var a, b link
	if len(n.inputs) > 0 {
		a = d.links[n.inputs[0]]
	}
	if len(n.inputs) > 1 {
		b = d.links[n.inputs[1]]
	}
	switch {
	case n.operator == "DynamicQuantizeLinear" && len(n.inputs) == 1 && len(n.outputs) == 3 && a.role == none:
		x := n.inputs[0]
		d.links[n.outputs[0]] = link{role: activation, x: x}
		d.links[n.outputs[1]] = link{role: scale, x: x}
		d.links[n.outputs[2]] = link{role: zeroPoint, x: x}
		return nil, nil
	case n.operator == "MatMulInteger" && a.role == activation && b.role == none && len(n.inputs) > 2 && d.links[n.inputs[2]] == link{role: zeroPoint, x: a.x}:
		l := link{role: sums, x: a.x, weight: n.inputs[1]}
		if len(n.inputs) > 3 {
			l.zero = n.inputs[3]
		}
		d.links[n.outputs[0]] = l
		return nil, nil
	case n.operator == "Cast" && a.role == sums: // to float: no other type can be multiplied by the scales
		a.role = floatSums
		d.links[n.outputs[0]] = a
		return nil, nil
	case n.operator == "Mul" && a.role == scale && b.role == none:
		d.links[n.outputs[0]] = link{role: scales, x: a.x, scale: n.inputs[1]}
		return nil, nil
	case n.operator == "Mul" && a.role == floatSums && b.role == scales && a.x == b.x:
		return d.matMul(a, b.scale, n.outputs[0])
	case strings.HasPrefix(n.operator, "DynamicQuantize"):
		return nil, fmt.Errorf("%s, which gives %q, is not as quantize_dynamic makes it", n.operator, n.outputs)
	}
	for _, name := range n.inputs {
		if d.links[name].role != none {
			return nil, fmt.Errorf("%s, which gives %q, takes the quantised value %s: only MatMul is known to be quantised", n.operator, n.outputs, name)
		}
		d.used[name] = true
	}
	return raw, nil
}

func (d *dequantizer) matMul(product link, scale, output string) ([]byte, error) {
	w := weight{scale, product.zero}
	if other, ok := d.weights[product.weight]; ok && other != w {
		return nil, fmt.Errorf("the weight %s has two scales, %s and %s", product.weight, other.scale, scale)
	}
	d.weights[product.weight] = w
	d.used[product.x] = true
	var n []byte
	for _, part := range []struct {
		number protowire.Number
		value  string
	}{{nodeInput, product.x}, {nodeInput, product.weight}, {nodeOutput, output}, {nodeOperator, "MatMul"}} {
		n = protowire.AppendTag(n, part.number, protowire.BytesType)
		n = protowire.AppendString(n, part.value)
	}
	return protowire.AppendBytes(protowire.AppendTag(nil, graphNode, protowire.BytesType), n), nil
}

// multiplied is the weight as a float tensor of the same name.
func (d *dequantizer) multiplied(name string, w weight) ([]byte, error) {
	t, err := d.tensor(name)
	if err != nil {
		return nil, err
	}
	values, err := t.int8s()
	if err != nil {
		return nil, err
	}
	if len(t.dims) != 2 || len(values) == 0 || t.dims[1] < 1 || len(values)%t.dims[1] != 0 || len(values)/t.dims[1] != t.dims[0] {
		return nil, fmt.Errorf("the weight %s has %d values and the shape %v, not that of a matrix", name, len(values), t.dims)
	}
	columns := t.dims[1]
	scales, err := d.scales(w.scale, columns)
	if err != nil {
		return nil, err
	}
	zeros, err := d.zeros(w.zero, columns)
	if err != nil {
		return nil, err
	}
	floats := make([]byte, 0, 4*len(values))
	for row := range slices.Chunk(values, columns) {
		for i, v := range row {
			f := float32(int(int8(v))-int(int8(zeros[i]))) * scales[i]
			floats = binary.LittleEndian.AppendUint32(floats, math.Float32bits(f))
		}
	}
	out := make([]byte, 0, len(floats)+len(name)+64)
	for _, n := range t.dims {
		out = protowire.AppendTag(out, tensorDims, protowire.VarintType)
		out = protowire.AppendVarint(out, uint64(n))
	}
	out = protowire.AppendTag(out, tensorType, protowire.VarintType)
	out = protowire.AppendVarint(out, float32Type)
	out = protowire.AppendTag(out, tensorName, protowire.BytesType)
	out = protowire.AppendString(out, name)
	out = protowire.AppendTag(out, tensorRaw, protowire.BytesType)
	return protowire.AppendBytes(out, floats), nil
}

// scales are those of the columns of a weight; it may have one for all.
func (d *dequantizer) scales(name string, columns int) ([]float32, error) {
	t, err := d.tensor(name)
	if err != nil {
		return nil, err
	}
	packed := t.raw
	if len(packed) == 0 {
		packed = t.floats
	}
	var scales []float32
	for v := range slices.Chunk(packed, 4) {
		if len(v) == 4 {
			scales = append(scales, math.Float32frombits(binary.LittleEndian.Uint32(v)))
		}
	}
	if t.kind != float32Type {
		scales = nil
	}
	return spread(scales, name, columns)
}

// zeros are the zero points of the columns; it may have one for all, or none.
func (d *dequantizer) zeros(name string, columns int) ([]byte, error) {
	if name == "" {
		return make([]byte, columns), nil
	}
	t, err := d.tensor(name)
	if err != nil {
		return nil, err
	}
	zeros, err := t.int8s()
	if err != nil {
		return nil, err
	}
	return spread(zeros, name, columns)
}

func spread[T any](values []T, name string, columns int) ([]T, error) {
	switch len(values) {
	case columns:
		return values, nil
	case 1:
		return slices.Repeat(values, columns), nil
	default:
		return nil, fmt.Errorf("the parameter %s has %d values, for %d columns", name, len(values), columns)
	}
}

// A tensor is a TensorProto.
type tensor struct {
	name              string
	dims              []int
	kind              uint64
	floats, ints, raw []byte // its values: one of these
}

func (d *dequantizer) tensor(name string) (tensor, error) {
	message, ok := d.tensors[name]
	if !ok {
		return tensor{}, fmt.Errorf("%s is not a constant of the graph", name)
	}
	t := tensor{name: name}
	err := fields(message, func(f field) error {
		switch f.number {
		case tensorDims:
			t.dims = append(t.dims, int(f.number64()))
		case tensorType:
			t.kind = f.number64()
		case tensorFloats:
			t.floats = append(t.floats, f.value...)
		case tensorInts:
			t.ints = append(t.ints, f.value...)
		case tensorRaw:
			t.raw = f.value
		}
		return nil
	})
	return t, err
}

// int8s are the values of an int8 tensor, as bytes.
func (t tensor) int8s() ([]byte, error) {
	if t.kind != int8Type {
		return nil, fmt.Errorf("%s has the type %d of onnx.proto, not int8 (%d)", t.name, t.kind, int8Type)
	}
	if len(t.raw) > 0 {
		return t.raw, nil
	}
	var values []byte
	for rest := t.ints; len(rest) > 0; {
		v, n := protowire.ConsumeVarint(rest)
		if n < 0 {
			return nil, fmt.Errorf("read %s: %w", t.name, protowire.ParseError(n))
		}
		values = append(values, byte(v))
		rest = rest[n:]
	}
	return values, nil
}

func readNode(message []byte) (n node, err error) {
	err = fields(message, func(f field) error {
		switch f.number {
		case nodeInput:
			n.inputs = append(n.inputs, string(f.value))
		case nodeOutput:
			n.outputs = append(n.outputs, string(f.value))
		case nodeOperator:
			n.operator = string(f.value)
		}
		return nil
	})
	if err == nil && len(n.outputs) == 0 {
		err = fmt.Errorf("a node %q has no output", n.operator)
	}
	return n, err
}

// number64 is the value of a field that is a varint; 0 of another.
func (f field) number64() uint64 {
	_, kind, n := protowire.ConsumeTag(f.raw)
	if n < 0 || kind != protowire.VarintType {
		return 0
	}
	v, _ := protowire.ConsumeVarint(f.raw[n:])
	return v
}
