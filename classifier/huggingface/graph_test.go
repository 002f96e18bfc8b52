package huggingface

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

func walkBytes(data []byte) (*graph, error) { return walk(bytes.NewReader(data), int64(len(data))) }

func TestWalkFindsExternalDataEverywhere(t *testing.T) {
	data, err := os.ReadFile("testdata/everywhere.onnx")
	if err != nil {
		t.Fatal(err)
	}
	g, err := walkBytes(data)
	if err != nil {
		t.Fatal(err)
	}
	got := slices.Sorted(maps.Keys(g.external))
	want := []string{"in-branch", "in-branch-initializer", "in-function", "in-initializer", "in-sparse-indices", "in-sparse-initializer", "in-sparse-values", "in-tensors", "in-training"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if g.custom() != "" { // "own" is defined in the file
		t.Errorf("a custom domain %q", g.custom())
	}
}

// nested is a message in a field, in a field, …, from the outside in.
func nested(content []byte, fields ...protowire.Number) []byte {
	for _, field := range slices.Backward(fields) {
		content = protowire.AppendBytes(protowire.AppendTag(nil, field, protowire.BytesType), content)
	}
	return content
}

// entry is an entry of external_data in the first initializer of a model.
func entry(pairs ...string) []byte {
	var tensor []byte
	for i := 0; i < len(pairs); i += 2 {
		e := append(nested([]byte(pairs[i]), 1), nested([]byte(pairs[i+1]), 2)...)
		tensor = append(tensor, nested(e, 13)...)
	}
	return nested(tensor, 7, 5)
}

func TestExternalDataIsInside(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"onnx/weights", "weights"} {
		os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755)
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, 100), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	os.MkdirAll(filepath.Join(dir, "onnx", "folder"), 0o755)
	r, err := openRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	tests := map[string]struct {
		model []byte
		want  string // "" for fine
	}{
		"beside the graph":                   {model: entry("location", "weights", "offset", "60", "length", "40")},
		"beside the graph, said longer":      {model: entry("location", "./weights")},
		"absolute":                           {model: entry("location", dir+"/weights"), want: "not inside"},
		"above":                              {model: entry("location", "../weights"), want: "not inside"},
		"above and back":                     {model: entry("location", "../onnx/weights"), want: "not inside"},
		"in and out":                         {model: entry("location", "folder/../weights"), want: "not inside"},
		"with a backslash":                   {model: entry("location", `..\weights`), want: "not inside"},
		"an address in memory":               {model: entry("location", "*/_ORT_MEM_ADDR_/*", "offset", "140000"), want: "not inside"},
		"without a name":                     {model: entry("location", ""), want: "not inside"},
		"a folder":                           {model: entry("location", "folder"), want: "no regular file"},
		"beyond the file's end":              {model: entry("location", "weights", "offset", "61", "length", "40"), want: "has 100 bytes, but 101 are needed"},
		"beyond any file's end":              {model: entry("location", "weights", "offset", "9223372036854775807", "length", "40"), want: "which no file has"},
		"a negative length":                  {model: entry("location", "weights", "length", "-1"), want: `"-1"`},
		"two names for one tensor":           {model: entry("location", "weights", "location", "/etc/passwd"), want: "in two files"},
		"a name without end":                 {model: entry("location", strings.Repeat("x", 2000)), want: "2000 bytes"},
		"external without saying where":      {model: nested(protowire.AppendVarint(protowire.AppendTag(nil, 14, protowire.VarintType), 1), 7, 5), want: "not inside"},
		"an entry with a key that wins late": {model: nested(append(append(nested([]byte("offset"), 1), nested([]byte("location"), 1)...), nested([]byte("/x"), 2)...), 7, 5, 13), want: "not inside"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(filepath.Join(dir, "onnx", "model.onnx"), tc.model, 0o644); err != nil {
				t.Fatal(err)
			}
			f := r.inspect("onnx/model.onnx")
			if tc.want == "" && f.Err != nil || tc.want != "" && (f.Err == nil || !strings.Contains(f.Err.Error(), tc.want)) {
				t.Errorf("got %v, want %q", f.Err, tc.want)
			}
			if tc.want == "" && !slices.Equal(f.External, []string{"onnx/weights"}) {
				t.Errorf("External is %q", f.External)
			}
		})
	}
}

func TestWalkIsBounded(t *testing.T) {
	deep := []byte{}
	for range 200 { // subgraphs in nodes in subgraphs
		deep = nested(deep, 1, 5, 6)
	}
	many := nested(bytes.Repeat([]byte{0x10, 0}, maxFields+1), 7)
	tests := map[string]struct {
		model []byte
		want  string
	}{
		"deep nesting":         {model: nested(deep, 7), want: "nested deeper"},
		"many fields":          {model: many, want: "parts"},
		"a group":              {model: []byte{0x3b}, want: "wire type 3"},
		"a length beyond":      {model: []byte{0x3a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, want: "unexpected EOF"},
		"a number for a graph": {model: []byte{0x38, 1}, want: "a number where a message belongs"},
		"field 0":              {model: []byte{0x02, 0}, want: "no ONNX file"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := walkBytes(tc.model); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

// sparseFile is a file of zeros after its head, however large.
type sparseFile struct {
	head []byte
	read *int
}

func (f sparseFile) ReadAt(p []byte, at int64) (int, error) {
	clear(p)
	if at < int64(len(f.head)) {
		copy(p, f.head[at:])
	}
	*f.read += len(p)
	return len(p), nil
}

func TestWalkDoesNotReadWeights(t *testing.T) {
	const size = 1 << 30
	head := protowire.AppendTag(nil, 9, protowire.BytesType) // raw_data
	head = protowire.AppendVarint(head, size)
	for _, field := range []protowire.Number{5, 7} {
		outer := protowire.AppendTag(nil, field, protowire.BytesType)
		head = append(protowire.AppendVarint(outer, uint64(len(head)+size)), head...)
	}
	read := 0
	if _, err := walk(sparseFile{head, &read}, int64(len(head))+size); err != nil {
		t.Fatal(err)
	}
	if read > 1<<20 {
		t.Errorf("read %d bytes of a graph of %d", read, len(head))
	}
}

func FuzzWalk(f *testing.F) {
	for _, name := range []string{"fp32", "fp16", "dynamic", "custom", "external", "everywhere"} {
		data, err := os.ReadFile("testdata/" + name + ".onnx")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		g, err := walkBytes(data)
		if err != nil {
			return
		}
		if !slices.Contains([]string{FP32, FP16, INT8, Other}, g.precision()) {
			t.Errorf("precision %q", g.precision())
		}
		for location, size := range g.external {
			if len(location) > maxString || size < 0 {
				t.Errorf("external data of %d bytes in %q", size, location)
			}
		}
	})
}

func FuzzReadMapping(f *testing.F) {
	f.Add([]byte(`{"category_to_idx": {"law": 1, "math": 0}, "idx_to_category": {"0": "math", "1": "law"}}`))
	f.Add([]byte(`{"law": 1, "math": 0}`))
	f.Add([]byte(`{"0": "math", "1": "law"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		labels, err := readMapping(data)
		if err != nil {
			return
		}
		if len(labels) == 0 {
			t.Fatal("no error and no labels")
		}
		byName := make(map[string]int)
		for id, label := range labels {
			byName[label] = id
		}
		if len(byName) != len(labels) {
			t.Fatalf("a label twice: %q", labels)
		}
		again, err := json.Marshal(byName)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := readMapping(again); err != nil && !strings.Contains(string(again), "_to_") && !strings.Contains(string(again), "2") || err == nil && !slices.Equal(got, labels) {
			t.Errorf("written and read again: %q, %v, want %q", got, err, labels)
		}
	})
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte(`{"id2label": {"0": "math"}, "max_position_embeddings": 512, "pad_token_id": 0}`), []byte(`{"model_max_length": 1e30}`), []byte(`{"pooling_mode_cls_token": true}`))
	f.Add([]byte(`{"num_labels": -1, "max_position_embeddings": -1e300}`), []byte(`{}`), []byte(`[]`))
	dir := f.TempDir()
	os.Mkdir(filepath.Join(dir, "1_Pooling"), 0o755)
	onnx, err := os.ReadFile("testdata/fp32.onnx")
	if err != nil {
		f.Fatal(err)
	}
	os.WriteFile(filepath.Join(dir, "model.onnx"), onnx, 0o644)
	os.WriteFile(filepath.Join(dir, "tokenizer.json"), []byte("{}"), 0o644)
	f.Fuzz(func(t *testing.T, config, tokenizer, pooling []byte) {
		os.WriteFile(filepath.Join(dir, "config.json"), config, 0o644)
		os.WriteFile(filepath.Join(dir, "tokenizer_config.json"), tokenizer, 0o644)
		os.WriteFile(filepath.Join(dir, "1_Pooling", "config.json"), pooling, 0o644)
		d, err := Open(dir, Options{})
		if err == nil && (d.MaxTokens < 0 || d.MaxTokens > maxTokens || d.PadID < -1) {
			t.Errorf("no error, yet %d tokens, padding %d", d.MaxTokens, d.PadID)
		}
	})
}
