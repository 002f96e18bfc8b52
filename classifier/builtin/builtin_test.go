package builtin

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"semantic-epp/classifier"
	"semantic-epp/classifier/onnx"
)

var categories = []string{
	"biology", "business", "chemistry", "computer science", "economics", "engineering", "health",
	"history", "law", "math", "other", "philosophy", "physics", "psychology",
}

func open(tb testing.TB, model string) classifier.Model {
	tb.Helper()
	return openWith(tb, Options{Model: model})
}

func openWith(tb testing.TB, o Options) classifier.Model {
	tb.Helper()
	m, err := Open(o)
	if errors.Is(err, onnx.ErrUnavailable) {
		if os.Getenv("SEMANTIC_EPP_REQUIRE_ONNX") == "1" {
			tb.Fatal(err)
		}
		tb.Skip(err)
	}
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := m.Close(); err != nil {
			tb.Error(err)
		}
	})
	return m
}

func TestModels(t *testing.T) {
	for _, model := range []string{ONNX, Small, Linear} {
		t.Run(model, func(t *testing.T) {
			if model == Small {
				open(t, ONNX) // or skip: the linear model stands in for the small one
			}
			m := open(t, model)
			if info := m.Info(); info.Name != model || !slices.Equal(info.Labels, categories) || info.Revision == "" || info.Device != "cpu" {
				t.Errorf("it is %+v", info)
			}
			for text, want := range map[string]string{
				"What is 2+2 * (5-1)?":                                    "math",
				"What is the derivative of f(x) = x^3?":                   "math",
				"Explain how DNA is copied in a cell during mitosis.":     "biology",
				"What does the court decide about breach of contract?":    "law",
				"Balance the equation for the oxidation of sulfur to SO3": "chemistry",
				"2+2 is  ": "math",
				"Linux is said to be an open source kernel because": "computer science",
				"Who was Napoleon?":                   "history",
				"Welche Rechte habe ich vor Gericht?": "law",
			} {
				r, err := m.Classify(t.Context(), text)
				if err != nil || r.Category != want {
					t.Errorf("%q: got %s at %.2f, %v; want %s", text, r.Category, r.Confidence, err, want)
				}
			}
		})
	}
}

// Where the machine has no runtime, or the program no cgo, the linear model
// answers and says why.
func TestOpenFallsBack(t *testing.T) {
	t.Setenv(onnx.LibraryEnv, "/no/such/libonnxruntime.so")
	var notice error
	m, err := Open(Options{Notice: func(err error) { notice = err }})
	if err != nil {
		t.Fatal(err)
	}
	if m.Info().Name != Linear || !errors.Is(notice, onnx.ErrUnavailable) {
		t.Errorf("got %s with %v, want the linear model and the reason", m.Info().Name, notice)
	}
	if r, err := m.Classify(t.Context(), "What is the derivative of f(x) = x^3?"); err != nil || r.Category != "math" {
		t.Errorf("got %+v, %v; want math", r, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	tests := map[string]struct {
		options Options
		want    string
	}{
		"a model that is not built in": {options: Options{Model: "bert"}, want: `"bert" is none of onnx, small and linear`},
		"a library that is not there":  {options: Options{Library: "/no/such.so"}, want: onnx.ErrUnavailable.Error()},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := Open(tc.options); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestReadLabels(t *testing.T) {
	tests := map[string]struct {
		config string
		want   []string
		err    string
	}{
		"in the order of ids": {config: `{"id2label": {"1": "b", "0": "a", "2": "c"}}`, want: []string{"a", "b", "c"}},
		"a gap":               {config: `{"id2label": {"0": "a", "2": "c"}}`, err: "2 labels, but none for id 1"},
		"not from 0 on":       {config: `{"id2label": {"1": "a", "2": "c"}}`, err: "none for id 0"},
		"an empty label":      {config: `{"id2label": {"0": ""}}`, err: "none for id 0"},
		"no labels":           {config: `{}`, err: "id2label"},
		"no JSON":             {config: `id2label`, err: "read config.json"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := readLabels([]byte(tc.config))
			if !slices.Equal(got, tc.want) || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Errorf("got %q, %v; want %q, %q", got, err, tc.want, tc.err)
			}
		})
	}
}

func ExampleOpen() {
	model, err := Open(Options{Model: Linear})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer model.Close()
	fmt.Println(model.Info().Name, len(model.Info().Labels))
	// Output: linear 14
}

func BenchmarkClassify(b *testing.B) {
	texts := map[string]string{
		"short":     "What is the derivative of f(x) = x^3?",
		"100_words": strings.Repeat("Which of these would most likely give examples of mitotic cell divisions? ", 8),
		"16_KiB":    strings.Repeat("Which of these would most likely give examples of mitotic cell divisions? ", 219),
	}
	for _, model := range []string{ONNX, Small, Linear} {
		for name, text := range texts {
			b.Run(model+"/"+name, func(b *testing.B) {
				m := open(b, model)
				b.ReportAllocs()
				for b.Loop() {
					if _, err := m.Classify(b.Context(), text); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, model := range []string{ONNX, Small, Linear} {
		b.Run(model, func(b *testing.B) {
			for b.Loop() {
				open(b, model)
			}
		})
	}
}
