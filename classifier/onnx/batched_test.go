//go:build cgo

package onnx_test

import (
	"errors"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"semantic-epp/classifier"
	"semantic-epp/classifier/batch"
	"semantic-epp/classifier/onnx"
)

// small is quick, and large enough that texts get different answers.
var small = transformer{layers: 2, hidden: 64, heads: 4, labels: 5, outputs: []string{"logits", "last_hidden_state"}}

func smallConfig(tb testing.TB, t transformer) onnx.Config {
	cfg := config(tb, t.file())
	cfg.Labels, cfg.MaxTokens, cfg.Embeddings = letters(t.labels), 80, true
	cfg.Batch = batch.Config{MaxItems: 16, MaxTokens: 1024}
	return cfg
}

func batched(tb testing.TB, cfg onnx.Config) *onnx.Model {
	tb.Helper()
	m, err := onnx.NewBatched(cfg)
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

// someTexts are of 1 to 99 words, more than the model reads.
func someTexts() (texts []string) {
	words := strings.Fields("what is the derivative of a cell in french law when supply meets demand and why does rain fall on old music")
	for i := range 150 {
		var text []string
		for k := range 1 + i*37%99 {
			text = append(text, words[(i*7+k*(i%5+1))%len(words)])
		}
		texts = append(texts, strings.Join(text, " "))
	}
	return texts
}

type reply struct {
	result classifier.Result
	vector []float32
}

func ask(t *testing.T, m *onnx.Model, text string) (r reply) {
	var err error
	if r.result, err = m.Classify(t.Context(), text); err != nil {
		t.Errorf("classify: %v", err)
	}
	if r.vector, err = m.Embed(t.Context(), text); err != nil {
		t.Errorf("embed: %v", err)
	}
	return r
}

// askAll asks about all texts at once.
func askAll(t *testing.T, m *onnx.Model, texts []string) []reply {
	replies := make([]reply, len(texts))
	var callers sync.WaitGroup
	for i, text := range texts {
		callers.Go(func() { replies[i] = ask(t, m, text) })
	}
	callers.Wait()
	return replies
}

// sameAnswers compares probabilities and embeddings within a tolerance.
func sameAnswers(t *testing.T, got, want []reply, tolerance float64) {
	t.Helper()
	for i := range want {
		if got[i].result.Category != want[i].result.Category {
			t.Errorf("text %d is %s at %v, not %s at %v", i, got[i].result.Category, got[i].result.Confidence, want[i].result.Category, want[i].result.Confidence)
		}
		p := make(map[string]float64)
		for _, x := range want[i].result.Probabilities {
			p[x.Category] = x.P
		}
		for _, x := range got[i].result.Probabilities {
			if d := math.Abs(x.P - p[x.Category]); !(d <= tolerance) {
				t.Errorf("text %d: p(%s) is off by %v", i, x.Category, d)
			}
		}
		if d := 1 - dot(got[i].vector, want[i].vector); !(math.Abs(d) <= tolerance) {
			t.Errorf("text %d: the embedding's cosine is off by %v", i, d)
		}
	}
}

func dot(a, b []float32) (sum float64) {
	if len(a) != len(b) {
		return math.NaN()
	}
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}

func TestPaddingAndBatchingChangeNoAnswer(t *testing.T) {
	cfg := smallConfig(t, small)
	alone := open(t, cfg)
	var mu sync.Mutex
	largest, seen := 0, map[int]bool{}
	cfg.PadID = 5 // any: nothing may look at it
	cfg.Batch.OnBatch = func(items, size int) {
		mu.Lock()
		defer mu.Unlock()
		largest, seen[size] = max(largest, items), true
	}
	together := batched(t, cfg)
	texts := someTexts()
	var want []reply
	categories := map[string]bool{}
	for _, text := range texts {
		r := ask(t, alone, text)
		want = append(want, r)
		categories[r.result.Category] = true
	}
	sameAnswers(t, askAll(t, together, texts), want, 1e-3)
	if largest < 8 || len(seen) < 3 || len(categories) < 3 {
		t.Errorf("it showed little: batches of up to %d, padded to %v, about %v", largest, seen, categories)
	}
}

func TestEmbedPoolsAsTheGraphDoes(t *testing.T) {
	texts := someTexts()[:20]
	answers := make(map[string][]reply)
	for _, output := range []string{"sentence_embedding", "last_hidden_state"} {
		v := small
		v.outputs = []string{"logits", output}
		answers[output] = askAll(t, open(t, smallConfig(t, v)), texts)
	}
	sameAnswers(t, answers["last_hidden_state"], answers["sentence_embedding"], 1e-5)
	for i, r := range answers["last_hidden_state"] {
		if length := dot(r.vector, r.vector); len(r.vector) != 64 || math.Abs(length-1) > 1e-5 {
			t.Errorf("text %d: %d dimensions, length² %v", i, len(r.vector), length)
		}
	}
}

func TestEmbedTakesTheFirstToken(t *testing.T) {
	// Each token's vector is its id and 1.
	cfg := config(t, model(
		[][]byte{value("input_ids", int64Type, -1, -1)},
		[][]byte{value("any_name", float32Type, -1, -1, -1)},
		[][]byte{
			node("Cast", []string{"input_ids"}, "f", attribute("to", float32Type)),
			node("Unsqueeze", []string{"f", "axis"}, "id"),
			node("Div", []string{"id", "id"}, "one"),
			node("Concat", []string{"id", "one"}, "any_name", attribute("axis", 2)),
		},
		[][]byte{raw("axis", int64Type, int64s(2), 1)},
	))
	cfg.Labels, cfg.Embeddings = nil, true
	for pooling, first := range map[string]float64{onnx.CLSPooling: 101, onnx.MeanPooling: (101 + 7592 + 102) / 3.} {
		cfg.Pooling = pooling
		m := open(t, cfg)
		got, err := m.Embed(t.Context(), "hello") // [CLS] 7592 [SEP]
		if err != nil || len(got) != 2 || math.Abs(float64(got[0]/got[1])/first-1) > 1e-5 {
			t.Errorf("%s: got %v, %v; want a ratio of %v", pooling, got, err, first)
		}
		if _, err := m.Classify(t.Context(), "hello"); err == nil || !strings.Contains(err.Error(), "without labels") {
			t.Errorf("Classify without labels: %v", err)
		}
		if _, err := m.Embed(t.Context(), " "); !errors.Is(err, classifier.ErrNoMatch) {
			t.Errorf("a blank text: %v", err)
		}
	}
}

func TestOtherTypesGiveTheSameAnswers(t *testing.T) {
	texts := someTexts()[:20]
	want := askAll(t, open(t, smallConfig(t, small)), texts)
	narrow, single, half := small, small, small
	narrow.narrow, single.oneByOne, half.half = true, true, true
	tests := map[string]struct {
		graph     transformer
		tolerance float64
	}{
		"int32 inputs":       {narrow, 1e-6},
		"one text at a time": {single, 1e-6},
		"float16":            {half, 1e-2},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			sameAnswers(t, askAll(t, open(t, smallConfig(t, tc.graph)), texts), want, tc.tolerance)
			sameAnswers(t, askAll(t, batched(t, smallConfig(t, tc.graph)), texts), want, tc.tolerance)
		})
	}
}

const illegalAccess = "Error running network: CUDA failure 700: an illegal memory access was encountered ; GPU=0 ; hostname=h ; file=f ; line=1 ; expr=cudaStreamSynchronize(stream)"

// The GPU is lost while many wait for it: everybody gets the right answer, and
// the operator hears of it once.
func TestLostGPU(t *testing.T) {
	defer goleak.VerifyNone(t)
	texts := someTexts()
	var told atomic.Int32
	cfg := smallConfig(t, small)
	cfg.OnFallback = func(err error) {
		told.Add(1)
		if !strings.Contains(err.Error(), "CUDA failure 700") || !strings.Contains(err.Error(), "to the CPU") {
			t.Errorf("told %v", err)
		}
	}
	want := askAll(t, open(t, cfg), texts)
	m, err := onnx.NewBatched(cfg)
	if err != nil {
		t.Fatal(err)
	}
	failed := m.Break(5, errors.New(illegalAccess))
	if !m.OnGPU() {
		t.Error("it does not begin on the GPU")
	}
	sameAnswers(t, askAll(t, m, texts), want, 1e-3)
	sameAnswers(t, askAll(t, m, texts[:5]), want[:5], 1e-3)
	if told.Load() != 1 || m.OnGPU() || failed.Load() == 0 {
		t.Errorf("told %d times; still on the GPU: %v; %d runs failed", told.Load(), m.OnGPU(), failed.Load())
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if _, err := m.Classify(t.Context(), "hello"); !errors.Is(err, classifier.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestAnotherErrorLeavesTheGPUInPlace(t *testing.T) {
	cfg := smallConfig(t, small)
	cfg.OnFallback = func(err error) { t.Errorf("told %v", err) }
	m := batched(t, cfg)
	m.Break(0, errors.New("Non-zero status code returned while running Gather node"))
	if _, err := m.Classify(t.Context(), "hello"); err == nil || !strings.Contains(err.Error(), "Gather") || !m.OnGPU() {
		t.Errorf("got %v; on the GPU: %v", err, m.OnGPU())
	}
}

func TestBatchesRefuse(t *testing.T) {
	cfg := smallConfig(t, small)
	cfg.Batch.MaxItems = -1
	if _, err := onnx.NewBatched(cfg); err == nil || !strings.Contains(err.Error(), "items of a batch: -1") {
		t.Errorf("got %v", err)
	}
}

// The batches' own cost, and the measurements of BenchmarkCUDA where there is
// no GPU.
func BenchmarkBatched(b *testing.B) {
	var count batchCount
	cfg := smallConfig(b, small)
	cfg.Batch.OnBatch = count.add
	m := batched(b, cfg)
	text := strings.Repeat("word ", 14)
	b.Run("full_load", func(b *testing.B) { fullLoad(b, m, text, 32, &count) })
	b.Run("500_per_second", func(b *testing.B) { paced(b, m, text, 500, &count) })
}
