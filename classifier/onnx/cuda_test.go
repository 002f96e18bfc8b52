//go:build cgo

package onnx_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"semantic-epp/classifier/batch"
	"semantic-epp/classifier/onnx"
)

// onGPU opens a model on the first GPU, or skips the test and says why.
func onGPU(tb testing.TB, cfg onnx.Config) *onnx.Model {
	tb.Helper()
	cfg.Device = "cuda"
	m, err := onnx.New(cfg)
	if err != nil {
		tb.Skip(err)
	}
	tb.Cleanup(func() {
		if err := m.Close(); err != nil {
			tb.Error(err)
		}
	})
	return m
}

// A machine without a GPU says what it lacks, whichever library it has. Run it
// with LibraryEnv naming a library of the wheel onnxruntime-gpu, without and
// with CUDA's libraries in LD_LIBRARY_PATH, to see the other start errors.
func TestWithoutGPU(t *testing.T) {
	cfg := smallConfig(t, small)
	cfg.Device = "cuda"
	m, err := onnx.New(cfg)
	if err == nil {
		m.Close()
		t.Skip("this machine has a GPU")
	}
	remedies := []string{"deps/fetch.py onnxruntime-gpu", "of the same wheel", "LD_LIBRARY_PATH", "nvidia-smi"}
	if !slices.ContainsFunc(remedies, func(remedy string) bool { return strings.Contains(err.Error(), remedy) }) {
		t.Errorf("no remedy: %v", err)
	}
	t.Log(err)

	cfg.Device = "auto"
	m = open(t, cfg)
	if m.Info().Device != "cpu" || m.Fallback() == nil || !strings.Contains(err.Error(), strings.TrimPrefix(m.Fallback().Error(), "the model runs on the CPU: ")) {
		t.Errorf("auto: on %s since %v; want on the CPU for the same reason", m.Info().Device, m.Fallback())
	}
	ask(t, m, "hello")

	cfg.Device = "cpu"
	if m := open(t, cfg); m.Fallback() != nil {
		t.Errorf("cpu: %v, though it got what it asked for", m.Fallback())
	}
}

func TestDynamicallyQuantisedModelsStayOnTheCPU(t *testing.T) {
	cfg := config(t, read(t, "model.onnx"))
	cfg.Labels = letters(14)
	cfg.Device = "cuda"
	const remedy = "give a float16 or float32 file for CUDA"
	if _, err := onnx.New(cfg); err == nil || !strings.Contains(err.Error(), remedy) {
		t.Errorf("cuda: got %v", err)
	}
	cfg.Device = "auto"
	if m := open(t, cfg); m.Info().Device != "cpu" || m.Fallback() == nil || !strings.Contains(m.Fallback().Error(), remedy) {
		t.Errorf("auto: on %s, %v", m.Info().Device, m.Fallback())
	}
	// With another file for CUDA, what is in the way is the machine, if anything.
	large := small
	large.labels = 14
	cfg.CUDAPath = filepath.Join(t.TempDir(), "cuda.onnx")
	if err := os.WriteFile(cfg.CUDAPath, large.file(), 0o644); err != nil {
		t.Fatal(err)
	}
	if m := open(t, cfg); m.Fallback() != nil && strings.Contains(m.Fallback().Error(), remedy) {
		t.Errorf("auto with two files: %v", m.Fallback())
	}
}

func TestCUDAGivesTheAnswersOfTheCPU(t *testing.T) {
	texts := someTexts()
	want := askAll(t, open(t, smallConfig(t, small)), texts)
	half := small
	half.half = true
	for name, tc := range map[string]struct {
		graph     transformer
		tolerance float64
	}{"float32": {small, 1e-3}, "float16": {half, 1e-2}} {
		t.Run(name, func(t *testing.T) {
			m := onGPU(t, smallConfig(t, tc.graph))
			sameAnswers(t, askAll(t, m, texts), want, tc.tolerance)
			if m.Info().Device != "cuda:0" || !m.OnGPU() {
				t.Errorf("it runs on %s", m.Info().Device)
			}
		})
	}
}

// The size of MiniLM-L6, 128 tokens. The weights are random: they cost as much
// as trained ones.
func BenchmarkCUDA(b *testing.B) {
	for _, half := range []bool{true, false} {
		var count batchCount
		mini := transformer{layers: 6, hidden: 384, heads: 12, labels: 14, half: half, outputs: []string{"logits"}}
		cfg := config(b, mini.file())
		cfg.Labels, cfg.MaxTokens = letters(14), 256
		cfg.Batch = batch.Config{OnBatch: count.add}
		m := onGPU(b, cfg)
		precision := map[bool]string{true: "float16", false: "float32"}[half]
		text := strings.Repeat("word ", 126)
		for _, callers := range []int{1, 8, 32, 128, 256} {
			b.Run(fmt.Sprintf("%s/%d_callers", precision, callers), func(b *testing.B) { fullLoad(b, m, text, callers, &count) })
		}
		for _, rate := range []int{1000, 2000} {
			b.Run(fmt.Sprintf("%s/%d_per_second", precision, rate), func(b *testing.B) { paced(b, m, text, rate, &count) })
		}
	}
}

// A batchCount knows how large batches are on average.
type batchCount struct{ batches, items atomic.Int64 }

func (c *batchCount) add(items, _ int) {
	c.batches.Add(1)
	c.items.Add(int64(items))
}

func (c *batchCount) reset() {
	c.batches.Store(0)
	c.items.Store(0)
}

// fullLoad has so many callers ask again as soon as they are answered.
func fullLoad(b *testing.B, m *onnx.Model, text string, callers int, count *batchCount) {
	latencies := make([]time.Duration, b.N)
	var next atomic.Int64
	var wg sync.WaitGroup
	count.reset()
	b.ResetTimer()
	for range callers {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(b.N); i = next.Add(1) - 1 {
				start := time.Now()
				if _, err := m.Classify(b.Context(), text); err != nil {
					b.Error(err)
				}
				latencies[i] = time.Since(start)
			}
		})
	}
	wg.Wait()
	report(b, latencies, count)
}

// paced asks at a fixed rate, whether or not there are answers. A latency is
// counted from when the question was due: a generator that falls behind hides
// nothing.
func paced(b *testing.B, m *onnx.Model, text string, rate int, count *batchCount) {
	latencies := make([]time.Duration, b.N)
	var wg sync.WaitGroup
	count.reset()
	b.ResetTimer()
	start := time.Now()
	for i := range b.N {
		due := start.Add(time.Duration(i) * time.Second / time.Duration(rate))
		time.Sleep(time.Until(due))
		wg.Go(func() {
			if _, err := m.Classify(b.Context(), text); err != nil {
				b.Error(err)
			}
			latencies[i] = time.Since(due)
		})
	}
	wg.Wait()
	report(b, latencies, count)
}

func report(b *testing.B, latencies []time.Duration, count *batchCount) {
	slices.Sort(latencies)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "prompts/s")
	b.ReportMetric(latencies[b.N/2].Seconds()*1e3, "p50-ms")
	b.ReportMetric(latencies[b.N*99/100].Seconds()*1e3, "p99-ms")
	b.ReportMetric(float64(count.items.Load())/float64(count.batches.Load()), "prompts/batch")
}
