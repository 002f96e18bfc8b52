//go:build cgo

package onnx_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// A transformer is an encoder as BERT is one, with random weights: the same
// ones for the same sizes. It costs what a trained one costs.
type transformer struct {
	layers, hidden, heads, labels int
	half                          bool // float16 weights and answers; else float32
	narrow                        bool // int32 inputs; else int64
	oneByOne                      bool // it takes one text at a time
	outputs                       []string
}

const (
	vocabulary = 30522 // the built-in tokenizer's
	positions  = 512
)

// A graph collects the parts of a GraphProto.
type graph struct {
	transformer
	random                          *rand.Rand
	inputs, outputs, nodes, weights [][]byte
	names                           int
}

func (t transformer) file() []byte {
	g := &graph{transformer: t, random: rand.New(rand.NewPCG(1, 2))}
	mask, bias := g.attentionMask()
	x := g.embed()
	for range t.layers {
		x = g.norm(g.op("Add", x, g.attend(x, bias)))
		x = g.norm(g.op("Add", x, g.feedForward(x)))
	}
	vector := g.meanOf(x, mask)
	logits := g.dense(g.op("Gather", x, g.first(), attribute("axis", 1)), t.hidden, t.labels)
	for name, from := range map[string]struct {
		value string
		dims  []int
	}{
		"last_hidden_state":  {x, []int{-1, -1, t.hidden}},
		"sentence_embedding": {vector, []int{-1, t.hidden}},
		"logits":             {logits, []int{-1, t.labels}},
	} {
		if slices.Contains(t.outputs, name) {
			g.nodes = append(g.nodes, node("Identity", []string{from.value}, name))
			g.outputs = append(g.outputs, value(name, g.elem(), from.dims...))
		}
	}
	return model(g.inputs, g.outputs, g.nodes, g.weights)
}

func (g *graph) elem() uint64 {
	if g.half {
		return float16Type
	}
	return float32Type
}

func (g *graph) name() string {
	g.names++
	return fmt.Sprintf("v%d", g.names)
}

// op adds a node. The strings among in are its inputs, the rest its attributes.
func (g *graph) op(kind string, in ...any) string {
	var inputs []string
	var attributes [][]byte
	for _, x := range in {
		switch x := x.(type) {
		case string:
			inputs = append(inputs, x)
		case []byte:
			attributes = append(attributes, x)
		}
	}
	out := g.name()
	g.nodes = append(g.nodes, node(kind, inputs, out, attributes...))
	return out
}

func (g *graph) input(name string) string {
	elem, batch := uint64(int64Type), -1
	if g.narrow {
		elem = int32Type
	}
	if g.oneByOne {
		batch = 1
	}
	g.inputs = append(g.inputs, value(name, elem, batch, -1))
	return name
}

// weight is normally distributed about mean.
func (g *graph) weight(mean, deviation float64, dims ...int) string {
	size := 1
	for _, d := range dims {
		size *= d
	}
	var bytes []byte
	for range size {
		v := float32(mean + deviation*g.random.NormFloat64())
		if g.half {
			bytes = binary.LittleEndian.AppendUint16(bytes, toHalf(v))
		} else {
			bytes = binary.LittleEndian.AppendUint32(bytes, math.Float32bits(v))
		}
	}
	name := g.name()
	g.weights = append(g.weights, raw(name, g.elem(), bytes, dims...))
	return name
}

func (g *graph) number(v float64) string { return g.weight(v, 0, 1) }

// whole is an int64 vector of a shape or of axes.
func (g *graph) whole(values ...int64) string {
	name := g.name()
	g.weights = append(g.weights, raw(name, int64Type, int64s(values...), len(values)))
	return name
}

// first is the index 0, a scalar.
func (g *graph) first() string {
	name := g.name()
	g.weights = append(g.weights, raw(name, int64Type, int64s(0)))
	return name
}

func int64s(values ...int64) (bytes []byte) {
	for _, v := range values {
		bytes = binary.LittleEndian.AppendUint64(bytes, uint64(v))
	}
	return bytes
}

func (g *graph) dense(x string, in, out int) string {
	return g.op("Add", g.op("MatMul", x, g.weight(0, 1/math.Sqrt(float64(in)), in, out)), g.weight(0, .1, out))
}

func (g *graph) norm(x string) string {
	return g.op("LayerNormalization", x, g.weight(1, .1, g.hidden), g.weight(0, .1, g.hidden))
}

func (g *graph) embed() string {
	words := g.op("Gather", g.weight(0, 1, vocabulary, g.hidden), g.input("input_ids"))
	places := g.op("Gather", g.weight(0, .3, positions, g.hidden), g.input("position_ids"))
	types := g.op("Gather", g.weight(0, .3, 2, g.hidden), g.input("token_type_ids"))
	return g.norm(g.op("Add", g.op("Add", words, places), types))
}

// attentionMask gives 1 for tokens and 0 for padding, [batch, tokens], and what
// to add to attention scores, [batch, 1, 1, tokens].
func (g *graph) attentionMask() (mask, bias string) {
	mask = g.op("Cast", g.input("attention_mask"), attribute("to", g.elem()))
	padding := g.op("Sub", g.number(1), mask)
	return mask, g.op("Unsqueeze", g.op("Mul", padding, g.number(-1e4)), g.whole(1, 2))
}

func (g *graph) attend(x, bias string) string {
	split := g.whole(0, 0, int64(g.heads), int64(g.hidden/g.heads))
	part := func(perm ...uint64) string {
		return g.op("Transpose", g.op("Reshape", g.dense(x, g.hidden, g.hidden), split), integers("perm", perm...))
	}
	q, k, v := part(0, 2, 1, 3), part(0, 2, 3, 1), part(0, 2, 1, 3)
	scores := g.op("Mul", g.op("MatMul", q, k), g.number(1/math.Sqrt(float64(g.hidden/g.heads))))
	shares := g.op("Softmax", g.op("Add", scores, bias))
	mixed := g.op("Transpose", g.op("MatMul", shares, v), integers("perm", 0, 2, 1, 3))
	return g.dense(g.op("Reshape", mixed, g.whole(0, 0, int64(g.hidden))), g.hidden, g.hidden)
}

func (g *graph) feedForward(x string) string {
	x = g.dense(x, g.hidden, 4*g.hidden)
	erf := g.op("Erf", g.op("Div", x, g.number(math.Sqrt2)))
	gelu := g.op("Mul", g.op("Mul", x, g.op("Add", erf, g.number(1))), g.number(.5))
	return g.dense(gelu, 4*g.hidden, g.hidden)
}

func (g *graph) meanOf(x, mask string) string {
	sum := g.op("ReduceSum", g.op("Mul", x, g.op("Unsqueeze", mask, g.whole(2))), g.whole(1), attribute("keepdims", 0))
	return g.op("Div", sum, g.op("ReduceSum", mask, g.whole(1), attribute("keepdims", 1)))
}

// toHalf rounds a normal number, or 0, to float16.
func toHalf(v float32) uint16 {
	bits := math.Float32bits(v)
	sign := uint16(bits >> 31 << 15)
	bits = bits&^(1<<31) + 1<<12 // to nearest
	exponent := int(bits>>23) - 127 + 15
	if exponent <= 0 {
		return sign
	}
	return sign | uint16(exponent)<<10 | uint16(bits>>13)&0x3ff
}
