package chain

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"semantic-epp/classifier"
	"semantic-epp/classifier/onnx"
	"semantic-epp/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func number(v float64) *float64 { return &v }

// open opens a chain that needs ONNX Runtime, and closes it after the test.
func open(t *testing.T, cfg config.Classifier, o Options) *Chain {
	t.Helper()
	c, err := Open(t.Context(), cfg, o)
	if errors.Is(err, onnx.ErrUnavailable) && os.Getenv("SEMANTIC_EPP_REQUIRE_ONNX") != "1" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return c
}

// answers counts who answered.
type answers struct {
	sync.Mutex
	from []Stage
}

func (a *answers) add(s Stage) {
	a.Lock()
	defer a.Unlock()
	a.from = append(a.from, s)
}

func TestChainAnswers(t *testing.T) {
	const text = "What is the derivative of f(x) = x^3?"
	tests := map[string]struct {
		cfg  config.Classifier
		want []Stage // who answers the same text, asked twice
	}{
		"the model answers by itself":                       {config.Classifier{Model: "linear"}, []Stage{FromModel, FromModel}},
		"a cache answers the second time":                   {config.Classifier{Model: "linear", Cache: config.Cache{Entries: 10}}, []Stage{FromModel, FromCache}},
		"a linear model that is sure enough spares ours":    {config.Classifier{Model: "small", Cascade: config.Cascade{Linear: number(.1)}}, []Stage{FromLinear, FromLinear}},
		"a linear model that is not sure enough passes on":  {config.Classifier{Model: "small", Cascade: config.Cascade{Linear: number(1)}}, []Stage{FromModel, FromModel}},
		"what the linear model says is cached all the same": {config.Classifier{Model: "small", Cascade: config.Cascade{Linear: number(.1)}, Cache: config.Cache{Entries: 10}}, []Stage{FromLinear, FromCache}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var got answers
			c := open(t, tt.cfg, Options{Answered: got.add})
			for range 2 {
				if r, err := c.Classify(t.Context(), text); err != nil || r.Category != "math" {
					t.Errorf("got %+v, %v; want math", r, err)
				}
			}
			if !slices.Equal(got.from, tt.want) {
				t.Errorf("answered by %v, want %v", got.from, tt.want)
			}
		})
	}
}

func TestNoneClassifiesNothing(t *testing.T) {
	c, err := Open(t.Context(), config.Classifier{Model: "none"}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Classify(t.Context(), "a"); c.Classifies() || !errors.Is(err, classifier.ErrNoMatch) {
		t.Errorf("got %v, want no match", err)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := c.Embed(t.Context(), "a"); !errors.Is(err, classifier.ErrClosed) {
		t.Errorf("after the end, an embedding gives %v", err)
	}
}

// Whatever classifies, texts can be compared.
func TestEmbed(t *testing.T) {
	for _, model := range []string{"builtin", "small", "linear", "none"} {
		t.Run(model, func(t *testing.T) {
			c := open(t, config.Classifier{Model: model}, Options{})
			var vectors [][]float32
			for _, text := range []string{"How do I cook rice?", "What is the best way to boil rice?", "My laptop does not start"} {
				v, err := c.Embed(t.Context(), text)
				if errors.Is(err, onnx.ErrUnavailable) && os.Getenv("SEMANTIC_EPP_REQUIRE_ONNX") != "1" {
					t.Skip(err)
				}
				if err != nil {
					t.Fatal(err)
				}
				vectors = append(vectors, v)
			}
			like, unlike := dot(vectors[0], vectors[1]), dot(vectors[0], vectors[2])
			if like < unlike+0.3 || dot(vectors[0], vectors[0]) < .999 {
				t.Errorf("similarities are %.2f and %.2f", like, unlike)
			}
		})
	}
}

func dot(a, b []float32) (sum float32) {
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}

// Ten examples each are enough for categories that no training knew.
func TestOwnCategories(t *testing.T) {
	c := open(t, config.Classifier{Model: "builtin", Categories: map[string][]string{
		"billing": {
			"I was charged twice this month", "Where can I see my invoice?", "Please refund my last payment", "My credit card was declined",
			"How do I change my billing address?", "Cancel my subscription", "Why is my bill higher than last month?", "Do you accept PayPal?",
			"I need a receipt for my taxes", "When is the next payment due?",
		},
		"shipping": {
			"Where is my parcel?", "The package never arrived", "How long does delivery take?", "Can you ship to Norway?",
			"The tracking number does not work", "My order was delivered to the wrong address", "Do you offer express shipping?",
			"The box arrived damaged", "Has my order left the warehouse yet?", "What does delivery cost?",
		},
	}}, Options{})
	if got := c.Info().Labels; !slices.Equal(got, []string{"billing", "shipping"}) {
		t.Errorf("the categories are %q", got)
	}
	for text, want := range map[string]string{
		"you took the money from my account two times, give it back": "billing",
		"the courier says delivered but there is no parcel here":     "shipping",
		"can I pay by bank transfer instead of card":                 "billing",
		"how many days until the package gets to Portugal":           "shipping",
	} {
		if r, err := c.Classify(t.Context(), text); err != nil || r.Category != want {
			t.Errorf("%q: got %+v, %v; want %s", text, r, err, want)
		}
	}
	if v, err := c.Embed(t.Context(), "a parcel"); err != nil || len(v) != 384 {
		t.Errorf("the embedding has %d dimensions, %v", len(v), err)
	}
}

// directory is a model directory with the built-in model in it.
func directory(t *testing.T) string {
	dir := t.TempDir()
	for from, to := range map[string]string{"model.onnx": "model_quantized.onnx", "tokenizer.json": "tokenizer.json", "config.json": "config.json"} {
		data, err := os.ReadFile(filepath.Join("..", "builtin", from))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, to), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestDirectory(t *testing.T) {
	dir := directory(t)
	c := open(t, config.Classifier{Model: dir, Device: "cpu"}, Options{})
	if r, err := c.Classify(t.Context(), "What does the court decide about breach of contract?"); err != nil || r.Category != "law" {
		t.Errorf("got %+v, %v; want law", r, err)
	}
	pinned := config.Classifier{Model: dir, Device: "cpu", SHA256: map[string]string{"model_quantized.onnx": strings.Repeat("0", 64)}}
	if _, err := Open(t.Context(), pinned, Options{}); err == nil || !strings.Contains(err.Error(), "model_quantized.onnx") {
		t.Errorf("a pin that does not match gives %v", err)
	}
}

// A directory that breaks while it serves leaves the old model in its place,
// and one that is mended is taken over.
func TestDirectoryReloads(t *testing.T) {
	dir := directory(t)
	reloaded := make(chan error, 10)
	c := open(t, config.Classifier{Model: dir, Device: "cpu"}, Options{Every: 20 * time.Millisecond, Reloaded: func(err error) { reloaded <- err }})
	before := c.Info().Revision
	good, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	steps := []struct {
		what, config string
		err          string
		changed      bool
	}{
		{what: "a broken file", config: "{", err: "the old one stays"},
		{what: "other labels", config: strings.ReplaceAll(string(good), `"math"`, `"sums"`), err: "labels"},
		{what: "the same with an unused key", config: strings.Replace(string(good), "{", `{"note": 1,`, 1)},
	}
	for _, step := range steps {
		if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(step.config), 0o644); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-reloaded:
			if (err == nil) != (step.err == "") || err != nil && !strings.Contains(err.Error(), step.err) {
				t.Errorf("%s: told %v, want %q", step.what, err, step.err)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s: nothing was told", step.what)
		}
		if r, err := c.Classify(t.Context(), "What is the derivative of f(x) = x^3?"); err != nil || r.Category != "math" || r.Revision != before {
			t.Errorf("%s: got %+v, %v; want math from %s", step.what, r, err, before)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	tests := map[string]struct {
		cfg     config.Classifier
		options Options
		want    string
	}{
		"a directory that is not there":                  {cfg: config.Classifier{Model: "/no/such/model"}, want: "/no/such/model"},
		"a library that is not there":                    {cfg: config.Classifier{Model: "builtin"}, options: Options{Library: "/no/such.so"}, want: "/no/such.so"},
		"a linear model before one of other categories":  {cfg: config.Classifier{Model: "builtin", Categories: map[string][]string{"a": {"x"}, "b": {"y"}}, Cascade: config.Cascade{Linear: number(.9)}}, want: "cannot answer first"},
		"a GPU for a program that has none of its parts": {cfg: config.Classifier{Model: "builtin", Device: "cuda:0"}, want: "CUDA"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := Open(t.Context(), tt.cfg, tt.options); err == nil || !strings.Contains(err.Error(), tt.want) && !errors.Is(err, onnx.ErrUnavailable) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
