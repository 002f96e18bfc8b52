package huggingface_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"semantic-epp/classifier/huggingface"
)

// files lays out a directory: "=NAME" is a copy of a file in testdata, and
// "->PATH" is a symbolic link.
func files(t testing.TB, dir string, content map[string]string) string {
	t.Helper()
	for name, text := range content {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		switch {
		case strings.HasPrefix(text, "->"):
			err = os.Symlink(text[2:], path)
		case strings.HasPrefix(text, "="):
			var data []byte
			if data, err = os.ReadFile("testdata/" + text[1:]); err == nil {
				err = os.WriteFile(path, data, 0o644)
			}
		default:
			err = os.WriteFile(path, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// with is a directory that opens, with changes; a value "" leaves a file out.
func with(changes map[string]string) map[string]string {
	content := map[string]string{
		"config.json":     `{"model_type": "bert", "id2label": {"0": "math", "1": "law"}, "max_position_embeddings": 512, "pad_token_id": 0}`,
		"tokenizer.json":  `{"model": {}}`,
		"onnx/model.onnx": "=fp32.onnx",
	}
	for name, text := range changes {
		if content[name] = text; text == "" {
			delete(content, name)
		}
	}
	return content
}

func open(t testing.TB, content map[string]string, o huggingface.Options) (*huggingface.Directory, error) {
	t.Helper()
	return huggingface.Open(files(t, t.TempDir(), content), o)
}

func TestOpen(t *testing.T) {
	type want struct {
		Labels    []string
		MaxTokens int
		PadID     int64
		Pooling   string
		Notices   int
	}
	named := []string{"math", "law"}
	generic := `{"architectures": ["BertForSequenceClassification"], "id2label": {"0": "LABEL_0", "1": "LABEL_1"}}`
	tests := map[string]struct {
		files   map[string]string
		options huggingface.Options
		want    want
	}{
		"what config.json says": {want: want{Labels: named, MaxTokens: 512}},
		"RoBERTa counts positions from behind the padding": {
			files: map[string]string{"config.json": `{"model_type": "xlm-roberta", "id2label": {"0": "math", "1": "law"}, "max_position_embeddings": 514, "pad_token_id": 1}`},
			want:  want{Labels: named, MaxTokens: 512, PadID: 1},
		},
		"the tokenizer's limit, where it is lower": {
			files: map[string]string{"tokenizer_config.json": `{"model_max_length": 128}`},
			want:  want{Labels: named, MaxTokens: 128},
		},
		"the tokenizer's way to say no limit": {
			files: map[string]string{"tokenizer_config.json": `{"model_max_length": 1000000000000000019884624838656}`},
			want:  want{Labels: named, MaxTokens: 512},
		},
		"nothing about tokens and padding": {
			files: map[string]string{"config.json": `{"id2label": {"0": "math", "1": "law"}, "pad_token_id": null}`},
			want:  want{Labels: named, PadID: -1},
		},
		"a sentence encoder without labels": {
			files: map[string]string{
				"config.json": `{"architectures": ["BertModel"], "max_position_embeddings": 512, "pad_token_id": 0}`, "sentence_bert_config.json": `{"max_seq_length": 256}`,
				"1_Pooling/config.json": `{"word_embedding_dimension": 384, "pooling_mode_cls_token": false, "pooling_mode_mean_tokens": true, "pooling_mode_max_tokens": false}`,
			},
			want: want{MaxTokens: 256, Pooling: "mean"},
		},
		"CLS pooling": {
			files: map[string]string{"1_Pooling/config.json": `{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}`},
			want:  want{Labels: named, MaxTokens: 512, Pooling: "cls"},
		},
		"labels without names": {
			files: map[string]string{"config.json": generic},
			want:  want{Labels: []string{"LABEL_0", "LABEL_1"}, PadID: -1, Notices: 1},
		},
		"two labels that transformers does not write down": {
			files: map[string]string{"config.json": `{"architectures": ["BertForSequenceClassification"]}`},
			want:  want{Labels: []string{"LABEL_0", "LABEL_1"}, PadID: -1, Notices: 1},
		},
		"vSR's mapping wins": {
			files: map[string]string{"config.json": generic, "category_mapping.json": `{"category_to_idx": {"law": 1, "math": 0}, "idx_to_category": {"0": "math", "1": "law"}, "category_descriptions": {"law": "…"}}`},
			want:  want{Labels: named, PadID: -1},
		},
		"vSR's mapping in one direction": {
			files: map[string]string{"config.json": generic, "category_mapping.json": `{"category_to_idx": {"law": 1, "math": 0}}`},
			want:  want{Labels: named, PadID: -1},
		},
		"the mapping of vSR's training code": {
			files: map[string]string{"config.json": generic, "label_mapping.json": `{"label_to_id": {"law": 1, "math": 0}, "id_to_label": {"0": "math", "1": "law"}}`},
			want:  want{Labels: named, PadID: -1},
		},
		"a plain mapping from labels": {
			files: map[string]string{"config.json": generic, "category_mapping.json": `{"law": 1, "math": 0}`},
			want:  want{Labels: named, PadID: -1},
		},
		"a plain mapping to labels, under a name of its own": {
			files:   map[string]string{"config.json": generic, "jailbreak_type_mapping.json": `{"0": "math", "1": "law"}`},
			options: huggingface.Options{Mapping: "jailbreak_type_mapping.json"},
			want:    want{Labels: named, PadID: -1},
		},
		"a Kubernetes volume": {
			files: map[string]string{
				"config.json": "->..data/config.json", "..data": "->..2026_11_21", "..2026_11_21/config.json": `{"id2label": {"0": "math", "1": "law"}}`,
				"onnx/model.onnx": "", "model.onnx": "->..data/model.onnx", "..2026_11_21/model.onnx": "=fp32.onnx",
			},
			want: want{Labels: named, PadID: -1},
		},
		"a broken file beside a good one": {
			files: map[string]string{"onnx/model_quantized.onnx": "nonsense"},
			want:  want{Labels: named, MaxTokens: 512, Notices: 1},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			d, err := open(t, with(tc.files), tc.options)
			if err != nil {
				t.Fatal(err)
			}
			got := want{d.Labels, d.MaxTokens, d.PadID, d.Pooling, len(d.Notices)}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s%q", diff, d.Notices)
			}
			if string(d.Tokenizer) != `{"model": {}}` {
				t.Errorf("the tokenizer is %q", d.Tokenizer)
			}
			if path, err := d.File("cpu"); err != nil || !filepath.IsAbs(path) || !strings.HasSuffix(path, "/model.onnx") {
				t.Errorf("File: %q, %v", path, err)
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	pin := func(name, digest string) huggingface.Options {
		return huggingface.Options{SHA256: map[string]string{name: digest}}
	}
	sum := sha256.Sum256([]byte(`{"model": {}}`))
	found := hex.EncodeToString(sum[:])
	labels := func(config string) map[string]string { return map[string]string{"config.json": config} }
	mapping := func(mapping string) map[string]string {
		return map[string]string{"category_mapping.json": mapping}
	}
	tests := map[string]struct {
		files   map[string]string
		options huggingface.Options
		want    []string
	}{
		"an empty directory, with every fault": {
			files: map[string]string{"config.json": "", "tokenizer.json": "", "onnx/model.onnx": ""},
			want:  []string{"open config.json: no such file", "open tokenizer.json: no such file", "save_pretrained", "no .onnx file", "optimum-cli"},
		},
		"no JSON":                         {files: labels("{"), want: []string{"read config.json: unexpected end"}},
		"several labels a text":           {files: labels(`{"problem_type": "multi_label_classification"}`), want: []string{"multi_label_classification"}},
		"a regression":                    {files: labels(`{"problem_type": "regression"}`), want: []string{`problem_type is "regression"`}},
		"labels for tokens":               {files: labels(`{"architectures": ["BertForTokenClassification"]}`), want: []string{"BertForTokenClassification does not classify a text"}},
		"a gap in id2label":               {files: labels(`{"id2label": {"0": "a", "2": "b"}}`), want: []string{"2 labels, but none has the id 1"}},
		"a label twice and one blank":     {files: labels(`{"id2label": {"0": "a", "1": "a", "2": " "}}`), want: []string{`labels 0 and 1 are both "a"`, "label 2: it is blank"}},
		"a label that breaks a header":    {files: labels(`{"id2label": {"0": "a\r\nx-admin: 1"}}`), want: []string{"cannot be printed"}},
		"num_labels of another model":     {files: labels(`{"id2label": {"0": "a"}, "num_labels": 2}`), want: []string{"num_labels is 2, but there are 1 labels"}},
		"num_labels and no names":         {files: labels(`{"architectures": ["XForSequenceClassification"], "num_labels": 14}`), want: []string{"num_labels is 14", "category_mapping.json names them"}},
		"a mapping of another model":      {files: mapping(`{"a": 0, "b": 1, "c": 2}`), want: []string{"category_mapping.json has 3 labels", "id2label has 2"}},
		"a mapping that contradicts":      {files: mapping(`{"category_to_idx": {"a": 0, "b": 1}, "idx_to_category": {"0": "b", "1": "a"}}`), want: []string{"do not agree"}},
		"a mapping with one id twice":     {files: mapping(`{"a": 0, "b": 0}`), want: []string{`the labels "a" and "b" are both 0`}},
		"a mapping with a huge id":        {files: mapping(`{"a": 0, "b": 2000000000}`), want: []string{"none has the id 1"}},
		"an empty mapping":                {files: mapping(`{}`), want: []string{"there are no labels"}},
		"a mapping of neither shape":      {files: mapping(`{"a": [0]}`), want: []string{"it is neither"}},
		"a mapping that is not there":     {options: huggingface.Options{Mapping: "gone.json"}, want: []string{"open gone.json: no such file"}},
		"max pooling":                     {files: map[string]string{"1_Pooling/config.json": `{"pooling_mode_max_tokens": true}`}, want: []string{"pooling_mode_max_tokens", "pooling_mode_mean_tokens"}},
		"a file that is too large":        {files: labels(strings.Repeat(" ", 5<<20)), want: []string{"config.json has 5242880 bytes"}},
		"Git LFS pointers":                {files: map[string]string{"tokenizer.json": "version https://git-lfs.github.com/spec/v1\n", "onnx/model.onnx": "version https://git-lfs.github.com/spec/v1\noid"}, want: []string{"tokenizer.json is a Git LFS pointer", "onnx/model.onnx is a Git LFS pointer", "git lfs pull"}},
		"a cut ONNX file":                 {files: map[string]string{"onnx/model.onnx": "\x3a\x7fabc"}, want: []string{"onnx/model.onnx: it is no ONNX file, or cut short"}},
		"an empty ONNX file":              {files: map[string]string{"onnx/model.onnx": "\x08\x01"}, want: []string{"no graph in it"}},
		"ONNX Runtime's own format":       {files: map[string]string{"onnx/model.onnx": "\x10\x00\x00\x00ORTM...."}, want: []string{"ONNX Runtime's own format"}},
		"a file that is not there":        {options: huggingface.Options{File: "gone.onnx"}, want: []string{"gone.onnx: open gone.onnx: no such file"}},
		"a file outside":                  {options: huggingface.Options{File: "../model.onnx"}, want: []string{"../model.onnx", "escapes"}},
		"a pin that does not match":       {options: pin("./tokenizer.json", strings.Repeat("ab", 32)), want: []string{"tokenizer.json has the SHA-256 " + found, strings.Repeat("ab", 32) + " is pinned"}},
		"a pin that is none":              {options: pin("tokenizer.json", "abc"), want: []string{`"abc", is not 64 hexadecimal digits`}},
		"a pin of a file that is not":     {options: pin("gone", found), want: []string{"open gone: no such file"}},
		"external data that is not there": {files: map[string]string{"onnx/model.onnx": "=external.onnx"}, want: []string{"its external data: open onnx/external.onnx_data: no such file"}},
		"external data that is cut":       {files: map[string]string{"onnx/model.onnx": "=external.onnx", "onnx/external.onnx_data": "short"}, want: []string{"onnx/external.onnx_data has 5 bytes, but 64 are needed"}},
		"external data behind a link": {
			files: map[string]string{"onnx/model.onnx": "=external.onnx", "onnx/external.onnx_data": "->/etc/passwd"},
			want:  []string{"onnx/external.onnx_data is a link that leaves the directory"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := open(t, with(tc.files), tc.options)
			for _, want := range tc.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q", err, want)
				}
			}
		})
	}
}

func TestACacheOfTheHubIsNotADirectory(t *testing.T) {
	hub := files(t, t.TempDir(), map[string]string{
		"blobs/1": `{}`, "snapshots/main/config.json": "->../../blobs/1", "snapshots/main/tokenizer.json": "->../../blobs/1",
	})
	_, err := huggingface.Open(hub+"/snapshots/main", huggingface.Options{})
	for _, want := range []string{"config.json is a link into a Hugging Face cache", "--local-dir", "cp -rL"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestExternalDataWithAnotherNameElsewhere(t *testing.T) {
	dir := files(t, t.TempDir(), with(map[string]string{"onnx/model.onnx": "=external.onnx"}))
	outside := files(t, t.TempDir(), map[string]string{"secret": strings.Repeat("x", 64)})
	if err := os.Link(outside+"/secret", dir+"/onnx/external.onnx_data"); err != nil {
		t.Skip(err)
	}
	_, err := huggingface.Open(dir, huggingface.Options{})
	if err == nil || !strings.Contains(err.Error(), "2 hard links") {
		t.Errorf("got %v, want a refusal of hard links", err)
	}
}

func TestAPipeDoesNotHang(t *testing.T) {
	dir := files(t, t.TempDir(), with(map[string]string{"config.json": ""}))
	if err := syscall.Mkfifo(dir+"/config.json", 0o644); err != nil {
		t.Skip(err)
	}
	if _, err := huggingface.Open(dir, huggingface.Options{}); err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("got %v", err)
	}
}

func TestFile(t *testing.T) {
	all := map[string]string{
		"onnx/model.onnx": "=fp32.onnx", "onnx/model_fp16.onnx": "=fp16.onnx", "onnx/model_quantized.onnx": "=dynamic.onnx", "onnx/model_fa_fp16.onnx": "=custom.onnx",
	}
	only := func(name, file string) map[string]string {
		return map[string]string{"onnx/model.onnx": "", name: "=" + file}
	}
	tests := map[string]struct {
		files map[string]string
		file  string // Options.File
		want  map[string]string
	}{
		"one of each": {files: all, want: map[string]string{"cpu": "onnx/model_quantized.onnx", "cuda": "onnx/model_fp16.onnx", "cuda:1": "onnx/model_fp16.onnx"}},
		"only fp32":   {want: map[string]string{"cpu": "onnx/model.onnx", "cuda": "onnx/model.onnx"}},
		"only fp16":   {files: only("model.onnx", "fp16.onnx"), want: map[string]string{"cpu": "model.onnx", "cuda": "model.onnx"}},
		"int8 under the plain name is for the CPU alone": {
			files: only("model.onnx", "dynamic.onnx"),
			want:  map[string]string{"cpu": "model.onnx", "cuda": "! model.onnx (int8, dynamic) is fp16 or fp32"},
		},
		"operators that ONNX Runtime does not have": {
			files: only("model.onnx", "custom.onnx"),
			want:  map[string]string{"cpu": "! (fp32, with operators of ck.flash)"},
		},
		"the root before onnx": {files: map[string]string{"model.onnx": "=fp32.onnx"}, want: map[string]string{"cpu": "model.onnx"}},
		"int8 for another processor comes last": {
			files: map[string]string{"onnx/model_qint8_sparc.onnx": "=dynamic.onnx", "onnx/model_int8.onnx": "=dynamic.onnx"},
			want:  map[string]string{"cpu": "onnx/model_int8.onnx"},
		},
		"the file that was named":                     {files: all, file: "./onnx/model.onnx", want: map[string]string{"cpu": "onnx/model.onnx", "cuda": "onnx/model.onnx"}},
		"dynamic int8 that was named is not for CUDA": {files: all, file: "onnx/model_quantized.onnx", want: map[string]string{"cpu": "onnx/model_quantized.onnx", "cuda": "! is quantized dynamically"}},
		"another device":                              {want: map[string]string{"tpu": `! the device "tpu" is neither`, "": "! the device"}},
		"weights beside the graph":                    {files: map[string]string{"onnx/model.onnx": "=external.onnx", "onnx/external.onnx_data": "=external.onnx_data"}, want: map[string]string{"cpu": "onnx/model.onnx"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			d, err := open(t, with(tc.files), huggingface.Options{File: tc.file})
			if err != nil {
				t.Fatal(err)
			}
			for device, want := range tc.want {
				got, err := d.File(device)
				if fault, ok := strings.CutPrefix(want, "! "); ok {
					if err == nil || !strings.Contains(err.Error(), fault) {
						t.Errorf("%s: got %q, %v, want %q", device, got, err, fault)
					}
				} else if err != nil || got != filepath.Join(d.Path, want) {
					t.Errorf("%s: got %q, %v, want %q", device, got, err, want)
				}
			}
		})
	}
}

func TestReadChecksThePin(t *testing.T) {
	content := []byte("weights")
	sum := sha256.Sum256(content)
	dir := files(t, t.TempDir(), with(map[string]string{"extra": string(content)}))
	d, err := huggingface.Open(dir, huggingface.Options{SHA256: map[string]string{"extra": strings.ToUpper(hex.EncodeToString(sum[:]))}})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := d.Read("extra"); err != nil || !slices.Equal(got, content) {
		t.Errorf("got %q, %v", got, err)
	}
	if err := os.WriteFile(dir+"/extra", []byte("changed"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Read("./extra"); err == nil || !strings.Contains(err.Error(), "is pinned") {
		t.Errorf("after a change: got %v", err)
	}
}

// The directory of the model that comes with the program is of this kind too.
func TestTheBuiltInModelsDirectory(t *testing.T) {
	d, err := huggingface.Open("../builtin", huggingface.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Labels) != 14 || len(d.Files) != 1 || d.Files[0].Precision != huggingface.INT8 || !d.Files[0].Dynamic || d.Files[0].Custom != "" {
		t.Errorf("got %d labels and %+v", len(d.Labels), d.Files)
	}
}

func ExampleOpen() {
	d, err := huggingface.Open("../builtin", huggingface.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(d.ModelType, d.Labels[9])
	_, err = d.File("cuda")
	fmt.Println(err != nil)
	// Output:
	// bert math
	// true
}
