package onnx

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// A source is an ONNX file, in memory or on disk.
type source struct {
	data []byte
	path string
}

// String is the file's name in errors.
func (s source) String() string {
	if s.path != "" {
		return s.path
	}
	return "the model"
}

// graph reads what the file says about itself.
func (s source) graph() (g *graph, err error) {
	if s.path == "" {
		g, err = readGraph(bytes.NewReader(s.data), int64(len(s.data)))
	} else {
		g, err = readGraphFile(s.path)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", s, err)
	}
	for _, name := range g.external {
		switch {
		case s.path == "":
			return nil, fmt.Errorf("%s has weights in the file %q: give its path instead of its bytes", s, name)
		case !filepath.IsLocal(name):
			return nil, fmt.Errorf("%s has weights in %q, which is not in its folder", s, name)
		}
	}
	return g, nil
}

func readGraphFile(path string) (*graph, error) {
	if err := isFile(path); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return readGraph(f, info.Size())
}

// digest is a SHA-256 of the file and of those that hold its weights.
func (s source) digest(g *graph) ([]byte, error) {
	h := sha256.New()
	if s.path == "" {
		h.Write(s.data)
		return h.Sum(nil), nil
	}
	files := []string{s.path}
	for _, name := range g.external {
		files = append(files, filepath.Join(filepath.Dir(s.path), name))
	}
	for _, file := range files {
		if err := hashFile(h, file); err != nil {
			return nil, fmt.Errorf("read %s: %w", s, err)
		}
	}
	return h.Sum(nil), nil
}

func hashFile(h io.Writer, path string) error {
	if err := isFile(path); err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(h, f)
	return err
}

// A graph is what an ONNX file says that ONNX Runtime does not tell.
type graph struct {
	dynamic  string   // an operator of dynamic quantisation in it, if there is one
	external []string // the files with its weights, as it names them
}

// dynamicOperators quantise activations when the model runs. The CUDA provider
// has not all of them: the rest would run on the CPU, with copies there and
// back.
var dynamicOperators = []string{"DynamicQuantizeLinear", "DynamicQuantizeMatMul", "MatMulInteger", "MatMulIntegerToFloat", "ConvInteger", "DynamicQuantizeLSTM"}

// Field numbers of onnx.proto.
const (
	modelGraph, modelFunctions                       = 7, 25
	graphNode, graphInitializer                      = 1, 5
	functionNode                                     = 7
	nodeOperator, nodeAttribute                      = 4, 5
	attributeTensor, attributeGraph, attributeGraphs = 5, 6, 11
	tensorExternal                                   = 13
	entryKey, entryValue                             = 1, 2
)

// Bounds for what no honest file exceeds.
const (
	maxNesting = 16      // graphs inside of nodes
	maxName    = 4 << 10 // bytes of an operator's or a file's name
)

// readGraph walks through a ModelProto. It reads names and lengths only, and
// jumps over weights.
func readGraph(r io.ReaderAt, size int64) (*graph, error) {
	g := &graph{}
	w := walker{r}
	err := w.walk(span{0, size}, func(num protowire.Number, at span) error {
		switch num {
		case modelGraph:
			return w.graph(g, at, 0)
		case modelFunctions:
			return w.walk(at, func(num protowire.Number, at span) error {
				if num == functionNode {
					return w.node(g, at, 0)
				}
				return nil
			})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("not an ONNX file: %w", err)
	}
	return g, nil
}

// A walker reads protobuf messages in place.
type walker struct{ r io.ReaderAt }

// A span is a part of the file.
type span struct{ from, to int64 }

func (w walker) graph(g *graph, at span, depth int) error {
	if depth > maxNesting {
		return fmt.Errorf("more than %d graphs inside each other", maxNesting)
	}
	return w.walk(at, func(num protowire.Number, at span) error {
		switch num {
		case graphNode:
			return w.node(g, at, depth)
		case graphInitializer:
			return w.tensor(g, at)
		}
		return nil
	})
}

func (w walker) node(g *graph, at span, depth int) error {
	return w.walk(at, func(num protowire.Number, at span) error {
		switch num {
		case nodeOperator:
			op, err := w.text(at)
			if slices.Contains(dynamicOperators, op) {
				g.dynamic = op
			}
			return err
		case nodeAttribute:
			return w.walk(at, func(num protowire.Number, at span) error {
				switch num {
				case attributeTensor:
					return w.tensor(g, at)
				case attributeGraph, attributeGraphs:
					return w.graph(g, at, depth+1)
				}
				return nil
			})
		}
		return nil
	})
}

func (w walker) tensor(g *graph, at span) error {
	return w.walk(at, func(num protowire.Number, at span) error {
		if num != tensorExternal {
			return nil
		}
		var key, value string
		err := w.walk(at, func(num protowire.Number, at span) (err error) {
			switch num {
			case entryKey:
				key, err = w.text(at)
			case entryValue:
				value, err = w.text(at)
			}
			return err
		})
		if key == "location" && !slices.Contains(g.external, value) {
			g.external = append(g.external, value)
		}
		return err
	})
}

func (w walker) text(at span) (string, error) {
	if at.to-at.from > maxName {
		return "", fmt.Errorf("a name of %d bytes", at.to-at.from)
	}
	b := make([]byte, at.to-at.from)
	if _, err := w.r.ReadAt(b, at.from); err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return string(b), nil
}

// walk calls visit for every field of the message that has a length.
func (w walker) walk(message span, visit func(protowire.Number, span) error) error {
	for at := message.from; at < message.to; {
		var buffer [2 * 10]byte // a tag and a length
		n, err := w.r.ReadAt(buffer[:min(int64(len(buffer)), message.to-at)], at)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		head := buffer[:n]
		num, kind, size := protowire.ConsumeTag(head)
		if size < 0 {
			return protowire.ParseError(size)
		}
		at += int64(size)
		switch kind {
		case protowire.BytesType:
			length, size := protowire.ConsumeVarint(head[size:])
			if size < 0 {
				return protowire.ParseError(size)
			}
			at += int64(size)
			if length > uint64(message.to-at) {
				return io.ErrUnexpectedEOF
			}
			if err := visit(num, span{at, at + int64(length)}); err != nil {
				return err
			}
			at += int64(length)
		default:
			size := protowire.ConsumeFieldValue(num, kind, head[size:])
			if size < 0 {
				return protowire.ParseError(size)
			}
			at += int64(size)
		}
	}
	return nil
}
