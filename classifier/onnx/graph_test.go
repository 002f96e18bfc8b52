package onnx

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// field is a protobuf message with one field, of a length.
func field(num protowire.Number, parts ...[]byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), slices.Concat(parts...))
}

func op(name string) []byte { return field(nodeOperator, []byte(name)) }

func external(location string) []byte {
	return slices.Concat(
		field(tensorExternal, field(entryKey, []byte("offset")), field(entryValue, []byte("4096"))),
		field(tensorExternal, field(entryKey, []byte("location")), field(entryValue, []byte(location))),
	)
}

func TestReadGraph(t *testing.T) {
	inside := func(node []byte) []byte { // the branch of an If
		return field(graphNode, op("If"), field(nodeAttribute, field(attributeGraph, field(graphNode, node))))
	}
	tests := map[string]struct {
		file     []byte
		dynamic  string
		external []string
		err      string
	}{
		"nothing":                 {},
		"plain nodes":             {file: field(modelGraph, field(graphNode, op("MatMul")), field(graphNode, op("Gelu")))},
		"one of another kind":     {file: field(modelGraph, field(graphNode, op("MatMul")), field(graphNode, op("MatMulInteger"))), dynamic: "MatMulInteger"},
		"one in a branch":         {file: field(modelGraph, inside(op("DynamicQuantizeLinear"))), dynamic: "DynamicQuantizeLinear"},
		"one in a function":       {file: field(modelFunctions, field(functionNode, op("DynamicQuantizeMatMul"))), dynamic: "DynamicQuantizeMatMul"},
		"weights in two files":    {file: field(modelGraph, field(graphInitializer, external("a.bin")), field(graphInitializer, external("b.bin")), field(graphInitializer, external("a.bin"))), external: []string{"a.bin", "b.bin"}},
		"weights of a constant":   {file: field(modelGraph, field(graphNode, op("Constant"), field(nodeAttribute, field(attributeTensor, external("c.bin"))))), external: []string{"c.bin"}},
		"a length beyond the end": {file: []byte{modelGraph<<3 | 2, 200, 1, 0}, err: "unexpected EOF"},
		"no protobuf":             {file: []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, err: "not an ONNX file"},
		"a name without end":      {file: field(modelGraph, field(graphNode, op(strings.Repeat("x", maxName+1)))), err: "a name of 4097 bytes"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			g, err := readGraph(bytes.NewReader(tc.file), int64(len(tc.file)))
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("got %v, want %q", err, tc.err)
				}
				return
			}
			if err != nil || g.dynamic != tc.dynamic || !slices.Equal(g.external, tc.external) {
				t.Errorf("got %+v, %v; want %q, %q", g, err, tc.dynamic, tc.external)
			}
		})
	}
}

func TestReadGraphBoundsNesting(t *testing.T) {
	file := op("MatMul")
	for range maxNesting + 2 {
		file = slices.Concat(op("If"), field(nodeAttribute, field(attributeGraph, field(graphNode, file))))
	}
	file = field(modelGraph, field(graphNode, file))
	if _, err := readGraph(bytes.NewReader(file), int64(len(file))); err == nil || !strings.Contains(err.Error(), "inside each other") {
		t.Errorf("got %v", err)
	}
}

func TestReadGraphOfTheBuiltInModel(t *testing.T) {
	g, err := source{path: "../builtin/model.onnx"}.graph()
	if err != nil || g.dynamic == "" || g.external != nil {
		t.Errorf("got %+v, %v; it is dynamically quantised", g, err)
	}
}

func TestSourceRefuses(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	with := func(location string) []byte { return field(modelGraph, field(graphInitializer, external(location))) }
	tests := map[string]struct {
		source source
		want   string
	}{
		"no such file":              {source{path: dir + "/none.onnx"}, "none.onnx"},
		"a folder":                  {source{path: dir}, "is not a file"},
		"weights beside bytes":      {source{data: with("a.bin")}, `"a.bin": give its path`},
		"weights in a folder above": {source{path: write("up.onnx", with("../a.bin"))}, `"../a.bin", which is not in its folder`},
		"weights somewhere":         {source{path: write("abs.onnx", with("/etc/passwd"))}, `"/etc/passwd", which is not in its folder`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := tc.source.graph(); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestDigestCoversTheWeights(t *testing.T) {
	dir := t.TempDir()
	digest := func(weights string) string {
		if err := os.WriteFile(filepath.Join(dir, "w.bin"), []byte(weights), 0o644); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "m.onnx")
		if err := os.WriteFile(path, field(modelGraph, field(graphInitializer, external("w.bin"))), 0o644); err != nil {
			t.Fatal(err)
		}
		src := source{path: path}
		g, err := src.graph()
		if err != nil {
			t.Fatal(err)
		}
		d, err := src.digest(g)
		if err != nil {
			t.Fatal(err)
		}
		return string(d)
	}
	a, b, again := digest("a"), digest("b"), digest("a")
	if a == b || a != again {
		t.Error("the digest does not follow the weights")
	}
}

// Any bytes are read to the end, or refused.
func FuzzReadGraph(f *testing.F) {
	f.Add(field(modelGraph, field(graphNode, op("MatMulInteger")), field(graphInitializer, external("a.bin"))))
	f.Add(field(modelFunctions, field(functionNode, op("If"), field(nodeAttribute, field(attributeGraphs, field(graphNode, op("MatMul")))))))
	f.Fuzz(func(t *testing.T, file []byte) {
		g, err := readGraph(bytes.NewReader(file), int64(len(file)))
		if (g == nil) != (err != nil) {
			t.Errorf("got %v, %v", g, err)
		}
		if err != nil {
			return
		}
		if g.dynamic != "" && !bytes.Contains(file, []byte(g.dynamic)) {
			t.Errorf("%q is not in the file", g.dynamic)
		}
		for _, name := range g.external {
			if !bytes.Contains(file, []byte(name)) {
				t.Errorf("%q is not in the file", name)
			}
		}
	})
}
