//go:build cgo

package onnx_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"semantic-epp/classifier"
	"semantic-epp/classifier/onnx"
	"semantic-epp/classifier/tokenizer"
)

// library finds ONNX Runtime, or skips the test; where the environment says
// that it must be there, the test fails.
func library(tb testing.TB) string {
	tb.Helper()
	path, err := onnx.FindLibrary("")
	switch {
	case err == nil:
	case os.Getenv("SEMANTIC_EPP_REQUIRE_ONNX") == "1":
		tb.Fatal(err)
	default:
		tb.Skip(err)
	}
	return path
}

func read(tb testing.TB, name string) []byte {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join("../builtin", name))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// config is a configuration for a model of two labels.
func config(tb testing.TB, model []byte) onnx.Config {
	tb.Helper()
	tok, err := tokenizer.Load(read(tb, "tokenizer.json"))
	if err != nil {
		tb.Fatal(err)
	}
	return onnx.Config{Library: library(tb), Model: model, Tokenizer: tok, Labels: []string{"art", "law"}, MaxTokens: 16, Device: "cpu"}
}

func open(tb testing.TB, cfg onnx.Config) *onnx.Model {
	tb.Helper()
	c, err := onnx.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := c.Close(); err != nil {
			tb.Error(err)
		}
	})
	return c
}

func builtin(tb testing.TB, maxTokens int) *onnx.Model {
	tb.Helper()
	cfg := config(tb, read(tb, "model.onnx"))
	var model struct {
		Labels map[int]string `json:"id2label"`
	}
	if err := json.Unmarshal(read(tb, "config.json"), &model); err != nil {
		tb.Fatal(err)
	}
	cfg.Labels = make([]string, len(model.Labels))
	for i, label := range model.Labels {
		cfg.Labels[i] = label
	}
	cfg.MaxTokens = maxTokens
	return open(tb, cfg)
}

func TestClassify(t *testing.T) {
	c := builtin(t, 128)
	for text, want := range map[string]string{
		"What is the derivative of f(x) = x^3?":                        "math",
		"Which organelle makes ATP in a cell?":                         "biology",
		"Balance this equation: H2 + O2 -> H2O":                        "chemistry",
		strings.Repeat("Balance this equation: H2 + O2 -> H2O. ", 500): "chemistry",
		"\x00What is the derivative of f(x) = x^3?\x00":                "math",
		"What is the derivative\xff of f(x) = x^3?":                    "math",
	} {
		got, err := c.Classify(t.Context(), text)
		if err != nil || got.Category != want || len(got.Probabilities) != 14 || got.Revision != c.Info().Revision {
			t.Errorf("%.60q: got %+v, %v; want %s", text, got, err, want)
		}
	}
}

func TestClassifyFeedsWhatTheGraphAsksFor(t *testing.T) {
	cfg := config(t, sums())
	cfg.Labels = []string{"mask", "types", "ids"}
	got, err := open(t, cfg).Classify(t.Context(), "hello") // [CLS] 7592 [SEP]
	if err != nil {
		t.Fatal(err)
	}
	p := make(map[string]float64)
	for _, x := range got.Probabilities {
		p[x.Category] = x.P
	}
	mask := math.Log(p["mask"]/p["types"]) * 100
	ids := math.Log(p["ids"]/p["types"]) * 100
	if math.Abs(mask-1) > 1e-3 || math.Abs(ids-(101+7592+102)/3.) > 1e-2 {
		t.Errorf("means: mask %v, ids %v (over token types); want 1 and %v", mask, ids, (101+7592+102)/3.)
	}
}

func TestClassifyHasNoOpinionAboutNothing(t *testing.T) {
	c := open(t, config(t, fixed(1, 2)))
	for _, text := range []string{"", " \n\t", "\x00\x00", "\u200b"} {
		if _, err := c.Classify(t.Context(), text); !errors.Is(err, classifier.ErrNoMatch) {
			t.Errorf("%q: got %v, want ErrNoMatch", text, err)
		}
	}
}

func TestClassifyAfterTheEnd(t *testing.T) {
	c := open(t, config(t, fixed(1, 2)))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Classify(ctx, "hello"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	for range 2 {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := c.Classify(t.Context(), "hello"); !errors.Is(err, classifier.ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
}

func TestNewRefuses(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	ids := value("input_ids", int64Type, -1, -1)
	logits := value("logits", float32Type, -1, 2)
	constants := [][]byte{constant("c", 1, 2)}
	identity := [][]byte{node("Identity", []string{"c"}, "logits")}
	tests := map[string]struct {
		change func(*onnx.Config)
		want   []string
	}{
		"everything missing": {
			change: func(c *onnx.Config) { *c = onnx.Config{Library: c.Library, MaxTokens: -1} },
			want:   []string{"no model", "no tokenizer", "no labels", "max tokens is -1"},
		},
		"everything wrong": {
			change: func(c *onnx.Config) {
				c.Path, c.CUDAModel, c.CUDAPath, c.Device, c.Temperature, c.Pooling, c.PadID = "a.onnx", c.Model, "b.onnx", "tpu", -1, "max", -1
			},
			want: []string{"twice, as bytes and as a.onnx", "twice, as bytes and as b.onnx", `device is "tpu"`, "temperature is -1", `pooling is "max"`, "pad id is -1"},
		},
		"a temperature that is no number": {change: func(c *onnx.Config) { c.Temperature = math.NaN() }, want: []string{"temperature is NaN"}},
		"a label twice":                   {change: func(c *onnx.Config) { c.Labels = []string{"art", "art"} }, want: []string{`label 1, "art"`}},
		"no ONNX file":                    {change: func(c *onnx.Config) { c.Model = []byte("hello") }, want: []string{"not an ONNX file"}},
		"half an ONNX file":               {change: func(c *onnx.Config) { c.Model = read(t, "model.onnx")[:1e6] }, want: []string{"not an ONNX file"}},
		"more labels than told":           {change: func(c *onnx.Config) { c.Labels = append(c.Labels, "math") }, want: []string{"not float [batch, 3]"}},
		"a width that only a run shows": {change: func(c *onnx.Config) {
			c.Model = model([][]byte{ids}, [][]byte{value("logits", float32Type, -1, -1)}, [][]byte{node("Cast", []string{"input_ids"}, "logits", attribute("to", float32Type))}, nil)
		}, want: []string{"try the model with 8 tokens", "[1 8], not [1 2]"}},
		"logits that are no numbers": {change: func(c *onnx.Config) { c.Model = fixed(1, nan) }, want: []string{`the logit of "law" is NaN`}},
		"infinite logits":            {change: func(c *onnx.Config) { c.Model = fixed(inf, 1) }, want: []string{`the logit of "art" is +Inf`}},
		"another input": {change: func(c *onnx.Config) {
			c.Model = model([][]byte{ids, value("pixels", float32Type, -1, -1)}, [][]byte{logits}, identity, constants)
		}, want: []string{"pixels"}},
		"ids of another type": {change: func(c *onnx.Config) {
			c.Model = model([][]byte{value("input_ids", float32Type, -1, -1)}, [][]byte{logits}, identity, constants)
		}, want: []string{"input_ids"}},
		"no ids": {change: func(c *onnx.Config) {
			c.Model = model([][]byte{value("attention_mask", int64Type, -1, -1)}, [][]byte{logits}, identity, constants)
		}, want: []string{"no input input_ids"}},
		"two outputs, none named logits": {
			change: func(c *onnx.Config) {
				c.Model = model([][]byte{ids}, [][]byte{value("a", float32Type, -1, 2), value("b", float32Type, -1, 2)},
					[][]byte{node("Identity", []string{"c"}, "a"), node("Neg", []string{"c"}, "b")}, constants)
			},
			want: []string{"none of its 2 outputs"},
		},
		"more tokens than the model has positions for": {
			change: func(c *onnx.Config) { c.Model, c.Labels, c.MaxTokens = read(t, "model.onnx"), letters(14), 600 },
			want:   []string{"with 600 tokens"},
		},
		"no embeddings to be had": {
			change: func(c *onnx.Config) { c.Embeddings = true },
			want:   []string{"none of its 1 outputs is named sentence_embedding"},
		},
		"an embedding without a direction": {
			change: func(c *onnx.Config) {
				c.Labels, c.Embeddings = nil, true
				c.Model = model([][]byte{ids}, [][]byte{value("sentence_embedding", float32Type, -1, 2)}, [][]byte{node("Identity", []string{"c"}, "sentence_embedding")}, [][]byte{constant("c", 0, 0)})
			},
			want: []string{"the model: the embedding's length is 0"},
		},
		"float16 vectors of a size that the file does not tell": {
			change: func(c *onnx.Config) {
				c.Labels, c.Embeddings = nil, true
				c.Model = model([][]byte{ids}, [][]byte{value("last_hidden_state", float16Type, -1, -1, -1)}, [][]byte{
					node("Unsqueeze", []string{"input_ids", "axis"}, "u"), node("Cast", []string{"u"}, "last_hidden_state", attribute("to", float16Type)),
				}, [][]byte{raw("axis", int64Type, int64s(1), 1)})
			},
			want: []string{"does not tell how many dimensions"},
		},
		"logits of a fixed length": {change: func(c *onnx.Config) {
			c.Model = model([][]byte{value("input_ids", int64Type, 1, 128)}, [][]byte{logits}, identity, constants)
		}, want: []string{"fixed size", "dynamic axes"}},
		"fewer tokens in the model than in the tokenizer": {change: func(c *onnx.Config) {
			c.Model = model([][]byte{ids}, [][]byte{logits}, [][]byte{
				node("Gather", []string{"few", "input_ids"}, "g", attribute("axis", 0)), // [batch, tokens, 2]
				node("ReduceMax", []string{"g"}, "logits", integers("axes", 1), attribute("keepdims", 0)),
			}, [][]byte{raw("few", float32Type, make([]byte, 20000*2*4), 20000, 2)})
		}, want: []string{"with token 30521, the tokenizer's last"}},
		"a file that is not there": {change: func(c *onnx.Config) { c.Model, c.Path = nil, "none.onnx" }, want: []string{"none.onnx"}},
		"no library there":         {change: func(c *onnx.Config) { c.Library = "/no/such.so" }, want: []string{"/no/such.so", "make deps"}},
		"a second library":         {change: func(c *onnx.Config) { c.Library = "onnx_test.go" }, want: []string{"load ONNX Runtime from onnx_test.go", "already"}},
	}
	open(t, config(t, fixed(1, 2))) // what the cases change is good, and the library is loaded
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := config(t, fixed(1, 2))
			tc.change(&cfg)
			_, err := onnx.New(cfg)
			for _, want := range tc.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q", err, want)
				}
			}
		})
	}
}

// A model on disk gives the answers of the same one in memory; its weights may
// be in another file, and the temperature counts.
func TestClassifyFromDisk(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	weights := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, math.Float32bits(3)), math.Float32bits(1))
	write("weights.bin", weights)
	entry := func(key, value string) field { return data(13, message(text(1, key), text(2, value))) }
	apart := message(number(1, 1), number(1, 2), number(2, float32Type), text(8, "c"), number(14, 1), entry("location", "weights.bin"), entry("offset", "0"), entry("length", "8"))
	for name, path := range map[string]string{
		"one file": write("one.onnx", fixed(3, 1)),
		"two files": write("two.onnx", model(
			[][]byte{value("input_ids", int64Type, -1, -1)}, [][]byte{value("logits", float32Type, -1, -1)}, [][]byte{node("Identity", []string{"c"}, "logits")}, [][]byte{apart},
		)),
	} {
		cfg := config(t, nil)
		cfg.Path, cfg.Temperature = path, 2
		got, err := open(t, cfg).Classify(t.Context(), "hello")
		if err != nil || got.Category != "art" || math.Abs(got.Confidence-1/(1+math.Exp(-1))) > 1e-6 {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}

func letters(n int) (all []string) {
	for i := range n {
		all = append(all, string(rune('a'+i)))
	}
	return all
}

func TestRevisionTellsConfigurationsApart(t *testing.T) {
	base := config(t, fixed(1, 2))
	revisions := map[string]string{open(t, base).Info().Revision: "the first"}
	for name, change := range map[string]func(*onnx.Config){
		"another model":  func(c *onnx.Config) { c.Model = fixed(2, 1) },
		"other labels":   func(c *onnx.Config) { c.Labels = []string{"law", "art"} },
		"another length": func(c *onnx.Config) { c.MaxTokens = 17 },
		"a temperature":  func(c *onnx.Config) { c.Temperature = 2 },
	} {
		cfg := base
		change(&cfg)
		r := open(t, cfg).Info().Revision
		if same, ok := revisions[r]; ok {
			t.Errorf("%s has the revision of %s", name, same)
		}
		revisions[r] = name
	}
	if again := open(t, base).Info(); revisions[again.Revision] != "the first" || again.Device != "cpu" {
		t.Errorf("the same again is %+v", again)
	}
}

// Callers at once get what one caller gets: no buffer is shared. Close comes
// while they run.
func TestClassifyConcurrently(t *testing.T) {
	defer goleak.VerifyNone(t)
	c := builtin(t, 64)
	texts := []string{"What is 2+2?", "Who was Napoleon?", "a cell", strings.Repeat("supply and demand ", 100), "short"}
	want := make([]classifier.Result, len(texts))
	for i, text := range texts {
		var err error
		if want[i], err = c.Classify(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	var callers sync.WaitGroup
	halfway := make(chan struct{}, 4)
	for k := range 4 {
		callers.Go(func() {
			for n := range 40 {
				if n == 20 {
					halfway <- struct{}{}
				}
				i := (n + k) % len(texts)
				got, err := c.Classify(t.Context(), texts[i])
				if n >= 20 && errors.Is(err, classifier.ErrClosed) {
					return
				}
				if err != nil || !reflect.DeepEqual(got, want[i]) {
					t.Errorf("text %d: got %+v, %v; alone %+v", i, got, err, want[i])
				}
			}
		})
	}
	for range 4 {
		<-halfway
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	callers.Wait()
}

func BenchmarkClassify(b *testing.B) {
	c := builtin(b, 256)
	for _, tokens := range []int{16, 64, 128, 256} {
		b.Run(fmt.Sprintf("%d_tokens", tokens), func(b *testing.B) {
			text := strings.Repeat("word ", tokens-2)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Classify(b.Context(), text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		if err := builtin(b, 256).Close(); err != nil {
			b.Fatal(err)
		}
	}
}
