package builtin

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// model.onnx is a family of models: after some of its layers there is an exit
// with outputs of its own, logits and sentence_embedding for the deepest one,
// and the same with a suffix for the others. ONNX Runtime would run all of a
// graph whatever is asked of it, so the layers behind an exit are taken out.

// Field numbers of onnx.proto.
const (
	modelGraph = 7

	graphNode, graphInitializer, graphOutput, graphValueInfo = 1, 5, 12, 13
	nodeInput, nodeOutput                                    = 1, 2
	tensorName                                               = 8
	valueName                                                = 1
)

// cut returns the part of an ONNX model that leads to the outputs whose names
// end in suffix ("" means those with none), which lose it.
func cut(model []byte, suffix string) ([]byte, error) {
	out := make([]byte, 0, len(model))
	err := fields(model, func(f field) error {
		if f.number != modelGraph {
			out = append(out, f.raw...)
			return nil
		}
		g := graphPart{suffix: suffix, needed: map[string]bool{}}
		graph, err := g.of(f.value)
		out = protowire.AppendTag(out, modelGraph, protowire.BytesType)
		out = protowire.AppendBytes(out, graph)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cut the model at the exit %q: %w", suffix, err)
	}
	return out, nil
}

// A graphPart is what is kept of a graph.
type graphPart struct {
	suffix string
	needed map[string]bool // values that lead to the wanted outputs
}

func (g graphPart) of(graph []byte) ([]byte, error) {
	nodes, err := g.need(graph)
	if err != nil {
		return nil, err
	}
	kept := make([]byte, 0, len(graph))
	err = fields(graph, func(f field) error {
		switch f.number {
		case graphNode:
			if nodes[0] {
				kept = protowire.AppendTag(kept, graphNode, protowire.BytesType)
				node, err := g.renamed(f.value, nodeInput, nodeOutput)
				kept = protowire.AppendBytes(kept, node)
				nodes = nodes[1:]
				return err
			}
			nodes = nodes[1:]
			return nil
		case graphInitializer:
			if names, err := texts(f.value, tensorName); err != nil || !g.needed[names[0]] {
				return err
			}
		case graphOutput:
			names, err := texts(f.value, valueName)
			if err != nil || !g.wants(names[0]) {
				return err
			}
			value, err := g.renamed(f.value, valueName)
			kept = protowire.AppendTag(kept, graphOutput, protowire.BytesType)
			kept = protowire.AppendBytes(kept, value)
			return err
		case graphValueInfo: // says nothing that ONNX Runtime does not find out
			return nil
		}
		kept = append(kept, f.raw...)
		return nil
	})
	return kept, err
}

// need finds the values that lead to the wanted outputs, and which nodes make
// them. The nodes of an ONNX graph stand in the order in which they run.
func (g graphPart) need(graph []byte) (keep []bool, err error) {
	var nodes [][]byte
	err = fields(graph, func(f field) error {
		switch f.number {
		case graphNode:
			nodes = append(nodes, f.value)
		case graphOutput:
			names, err := texts(f.value, valueName)
			if err == nil && g.wants(names[0]) {
				g.needed[names[0]] = true
			}
			return err
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(g.needed) == 0 {
		return nil, fmt.Errorf("the model has no such outputs")
	}
	keep = make([]bool, len(nodes))
	for i := len(nodes) - 1; i >= 0; i-- {
		outputs, err := texts(nodes[i], nodeOutput)
		if err != nil {
			return nil, err
		}
		for _, name := range outputs {
			keep[i] = keep[i] || g.needed[name]
		}
		if !keep[i] {
			continue
		}
		inputs, err := texts(nodes[i], nodeInput)
		if err != nil {
			return nil, err
		}
		for _, name := range inputs {
			g.needed[name] = true
		}
	}
	return keep, nil
}

// wants says whether an output of the graph belongs to the exit.
func (g graphPart) wants(name string) bool {
	base, suffix, _ := strings.Cut(name, "@")
	return suffix == g.suffix && (base == "logits" || base == "sentence_embedding")
}

// renamed is a message without the exit's suffix in the names of its outputs.
func (g graphPart) renamed(message []byte, numbers ...protowire.Number) ([]byte, error) {
	var out []byte
	err := fields(message, func(f field) error {
		for _, n := range numbers {
			if f.number == n && g.wants(string(f.value)) {
				base, _, _ := strings.Cut(string(f.value), "@")
				out = protowire.AppendTag(out, n, protowire.BytesType)
				out = protowire.AppendString(out, base)
				return nil
			}
		}
		out = append(out, f.raw...)
		return nil
	})
	return out, err
}

// texts are the values of a repeated string field; at least one, perhaps empty.
func texts(message []byte, number protowire.Number) ([]string, error) {
	var all []string
	err := fields(message, func(f field) error {
		if f.number == number {
			all = append(all, string(f.value))
		}
		return nil
	})
	if len(all) == 0 {
		all = []string{""}
	}
	return all, err
}

// A field of a protobuf message.
type field struct {
	number protowire.Number
	raw    []byte // with tag and length
	value  []byte // of a field that has a length; else nil
}

func fields(message []byte, visit func(field) error) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return protowire.ParseError(n)
		}
		size := protowire.ConsumeFieldValue(number, kind, message[n:])
		if size < 0 {
			return protowire.ParseError(size)
		}
		f := field{number: number, raw: message[:n+size]}
		if kind == protowire.BytesType {
			f.value, _ = protowire.ConsumeBytes(message[n:])
		}
		if err := visit(f); err != nil {
			return err
		}
		message = message[n+size:]
	}
	return nil
}
