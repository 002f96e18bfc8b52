package examples_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"semantic-epp/classifier"
	"semantic-epp/classifier/examples"
)

// words embeds a text as the normalised counts of the words it knows.
type words []string

func (w words) Embed(ctx context.Context, text string) ([]float32, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	v := make([]float32, len(w)+1) // the last one counts what is unknown
	for _, word := range strings.Fields(text) {
		if i := slices.Index(w, word); i >= 0 {
			v[i]++
		} else {
			v[len(w)]++
		}
	}
	sum := 0.0
	for _, x := range v {
		sum += float64(x * x)
	}
	if sum == 0 {
		return nil, classifier.ErrNoMatch
	}
	for i := range v {
		v[i] /= float32(math.Sqrt(sum))
	}
	return v, nil
}

// embed is an embedder that is a function.
type embed func(ctx context.Context, text string) ([]float32, error)

func (f embed) Embed(ctx context.Context, text string) ([]float32, error) { return f(ctx, text) }

var (
	vocabulary = words{"invoice", "refund", "charge", "card", "parcel", "courier", "delivery", "late"}
	shop       = map[string][]string{
		"shipping": {"parcel late", "courier delivery", "delivery late"},
		"billing":  {"invoice", "refund charge", "charge card", "refund card"},
	}
)

func build(t testing.TB, o examples.Options) *examples.Classifier {
	t.Helper()
	c, err := examples.New(t.Context(), vocabulary, shop, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestClassify(t *testing.T) {
	half := math.Sqrt(.5)
	softmax := func(a, b, temperature float64) float64 { return 1 / (1 + math.Exp((b-a)/temperature)) }
	tests := map[string]struct {
		text       string
		options    examples.Options
		category   string
		confidence float64
		err        error
	}{
		"its nearest example decides": {
			text: "invoice", options: examples.Options{Neighbours: 1, Temperature: 1},
			category: "billing", confidence: softmax(1, 0, 1),
		},
		"the mean of the nearest two": {
			text: "invoice", options: examples.Options{Neighbours: 2, Temperature: 1},
			category: "billing", confidence: softmax(.5, 0, 1),
		},
		"of three, all near": {
			text: "delivery", options: examples.Options{Temperature: 1},
			category: "shipping", confidence: softmax((half+half+0)/3, 0, 1),
		},
		"between two": {
			text: "refund delivery", options: examples.Options{Neighbours: 2, Temperature: 1},
			category: "billing", confidence: .5,
		},
		"small talk is near to nothing":  {text: "hello there friend", err: classifier.ErrNoMatch},
		"just near enough":               {text: "invoice hello there", options: examples.Options{MinSimilarity: .44}, category: "billing", confidence: .8},
		"just not near enough":           {text: "invoice hello there", options: examples.Options{MinSimilarity: .45}, err: classifier.ErrNoMatch},
		"a text that says nothing":       {text: " ", err: classifier.ErrNoMatch},
		"a low floor lets everything in": {text: "hello", options: examples.Options{MinSimilarity: -1, Temperature: 1}, category: "billing", confidence: .5},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			r, err := build(t, tc.options).Classify(t.Context(), tc.text)
			if r.Category != tc.category || !errors.Is(err, tc.err) {
				t.Fatalf("got %q, %v, want %q, %v", r.Category, err, tc.category, tc.err)
			}
			exact := tc.options.Temperature == 1
			if exact && math.Abs(r.Confidence-tc.confidence) > 1e-6 || r.Confidence < tc.confidence-1e-6 {
				t.Errorf("confidence %v, want %v", r.Confidence, tc.confidence)
			}
			if err == nil && len(r.Probabilities) != 2 {
				t.Errorf("%d probabilities, want 2", len(r.Probabilities))
			}
		})
	}
}

func TestInfo(t *testing.T) {
	embedder := classifier.Info{Revision: "e1", Device: "cuda:0"}
	info := build(t, examples.Options{Embedder: embedder}).Info()
	if !slices.Equal(info.Labels, []string{"billing", "shipping"}) || info.Device != "cuda:0" || info.Name != "examples" {
		t.Errorf("got %+v", info)
	}
	seen := map[string]string{info.Revision: "the first"}
	for name, o := range map[string]examples.Options{
		"another embedder":    {Embedder: classifier.Info{Revision: "e2"}},
		"another temperature": {Embedder: embedder, Temperature: .1},
		"other neighbours":    {Embedder: embedder, Neighbours: 1},
		"another floor":       {Embedder: embedder, MinSimilarity: .5},
	} {
		c := build(t, o)
		if other, ok := seen[c.Info().Revision]; ok {
			t.Errorf("%s has the revision of %s", name, other)
		}
		seen[c.Info().Revision] = name
		if r, err := c.Classify(t.Context(), "invoice"); err != nil || r.Revision != c.Info().Revision {
			t.Errorf("%s: the result has the revision %q, %v", name, r.Revision, err)
		}
	}
	if again := build(t, examples.Options{Embedder: embedder}).Info().Revision; again != info.Revision {
		t.Errorf("the same examples have the revisions %s and %s", info.Revision, again)
	}
}

func TestNewNamesAllFaults(t *testing.T) {
	many := make([]string, 10_001)
	for i := range many {
		many[i] = fmt.Sprint("invoice ", i)
	}
	tests := map[string]struct {
		embedder   classifier.Embedder
		categories map[string][]string
		options    examples.Options
		want       []string
	}{
		"nothing": {want: []string{"no embedder", "no categories"}},
		"examples": {
			embedder: vocabulary,
			categories: map[string][]string{
				"": {"x"}, "empty": {}, "bad": {"refund", " \n", "refund", strings.Repeat("x", 20<<10)}, "many": many,
			},
			want: []string{"a category has no name", `category "empty" has no examples`, `example 2 of category "bad" is blank`,
				`examples 1 and 3 of category "bad" are the same`, `example 4 of category "bad" has 20480 bytes`, "there are 10006 examples"},
		},
		"options": {
			embedder: vocabulary, categories: shop,
			options: examples.Options{Neighbours: 4, Temperature: math.NaN(), MinSimilarity: 2},
			want:    []string{"neighbours are 4", "temperature is NaN", "least similarity is 2"},
		},
		"embeddings of another size": {
			embedder: embed(func(_ context.Context, text string) ([]float32, error) {
				v := make([]float32, len(text))
				v[0] = 1
				return v, nil
			}),
			categories: map[string][]string{"a": {"secret", "secrets"}},
			want:       []string{`embed example 2 of category "a": its embedding has 7 dimensions, others have 6`},
		},
		"embeddings that are not of length 1": {
			embedder: embed(func(_ context.Context, text string) ([]float32, error) {
				if text == "nan" {
					return []float32{float32(math.NaN())}, nil
				}
				return []float32{2}, nil
			}),
			categories: map[string][]string{"a": {"x", "nan"}},
			want:       []string{"example 1 of category \"a\": its embedding has the length 2", "has the length NaN"},
		},
		"an embedder that fails": {
			embedder:   embed(func(context.Context, string) ([]float32, error) { return nil, errors.New("no graph") }),
			categories: shop,
			want:       []string{`embed example 1 of category "billing": no graph`, `embed example 3 of category "shipping": no graph`},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := examples.New(t.Context(), tc.embedder, tc.categories, tc.options)
			for _, want := range tc.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q", err, want)
				}
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("%v quotes an example", err)
			}
		})
	}
}

func TestEmbeddingCanBeWatchedAndStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var seen []string
	_, err := examples.New(ctx, vocabulary, shop, examples.Options{Progress: func(done, total int) {
		seen = append(seen, fmt.Sprint(done, "/", total))
		if done == 3 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "example 4 of 7") {
		t.Errorf("got %v", err)
	}
	if want := []string{"1/7", "2/7", "3/7"}; !slices.Equal(seen, want) {
		t.Errorf("progress %q, want %q", seen, want)
	}
}

func TestClosed(t *testing.T) {
	c := build(t, examples.Options{})
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Classify(t.Context(), "invoice"); !errors.Is(err, classifier.ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
}

func FuzzAnswersAreUsable(f *testing.F) {
	f.Add("invoice delivery hello")
	c := build(f, examples.Options{})
	f.Fuzz(func(t *testing.T, text string) {
		r, err := c.Classify(t.Context(), text)
		if again, _ := c.Classify(t.Context(), text); again.Category != r.Category || again.Confidence != r.Confidence {
			t.Errorf("not deterministic: %+v, then %+v", r, again)
		}
		if err != nil && !errors.Is(err, classifier.ErrNoMatch) {
			t.Error(err)
		}
		if err == nil && (r.Category == "" || r.Confidence < .5 || r.Confidence > 1) {
			t.Errorf("no error, yet %+v", r)
		}
	})
}

func ExampleNew() {
	c, err := examples.New(context.Background(), vocabulary, map[string][]string{
		"billing":  {"refund charge", "invoice card"},
		"shipping": {"parcel late", "courier delivery"},
	}, examples.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, text := range []string{"my parcel is late", "hello"} {
		r, err := c.Classify(context.Background(), text)
		fmt.Println(r.Category, err)
	}
	// Output:
	// shipping <nil>
	//  no category matches
}

// The embedding is made before: this is what comparing costs.
func BenchmarkClassify(b *testing.B) {
	for _, total := range []int{140, 1000, 10_000} {
		b.Run(fmt.Sprint(total), func(b *testing.B) {
			random := rand.New(rand.NewPCG(1, 2))
			vectors := make([][]float32, 100)
			for i := range vectors {
				v := make([]float32, 384)
				sum := 0.0
				for j := range v {
					v[j] = float32(random.NormFloat64())
					sum += float64(v[j] * v[j])
				}
				for j := range v {
					v[j] /= float32(math.Sqrt(sum))
				}
				vectors[i] = v
			}
			next := 0
			e := embed(func(context.Context, string) ([]float32, error) { next++; return vectors[next%100], nil })
			categories := make(map[string][]string)
			for i := range total {
				label := fmt.Sprint(i % 14)
				categories[label] = append(categories[label], fmt.Sprint(i))
			}
			c, err := examples.New(b.Context(), e, categories, examples.Options{})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Classify(b.Context(), "text"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
