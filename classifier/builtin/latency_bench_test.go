//go:build linux

package builtin

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"semantic-epp/classifier"
	"semantic-epp/classifier/tokenizer"
)

// longestText is what the benchmarks let the models read.
const longestText = 512

var textLengths = []int{16, 64, 128, 256, longestText}

// BenchmarkLatency measures a text of so many tokens from the call to the
// answer, tokenizing included. Each of the callers asks again as soon as it is
// answered. CPU is the whole process's.
func BenchmarkLatency(b *testing.B) {
	for _, model := range []string{ONNX, Small, Linear} {
		b.Run("model="+model, func(b *testing.B) {
			m := openLong(b, model)
			for _, tokens := range textLengths {
				text := textOf(b, tokens)
				for _, callers := range []int{1, 2} {
					b.Run(fmt.Sprintf("tokens=%d/callers=%d", tokens, callers), func(b *testing.B) {
						latency(b, m, text, callers)
					})
				}
			}
		})
	}
}

func latency(b *testing.B, m classifier.Classifier, text string, callers int) {
	took := make([]time.Duration, b.N)
	var next atomic.Int64
	var group sync.WaitGroup
	ask(b, m, text) // the first run of a length takes memory
	before := cpuTime(b)
	b.ResetTimer()
	for range callers {
		group.Go(func() {
			for i := next.Add(1) - 1; i < int64(b.N); i = next.Add(1) - 1 {
				start := time.Now()
				if _, err := m.Classify(b.Context(), text); err != nil {
					b.Error(err)
				}
				took[i] = time.Since(start)
			}
		})
	}
	group.Wait()
	b.StopTimer()
	b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/1e3/float64(b.N), "cpu-ms/op")
	b.ReportMetric(percentile(took, 50), "p50-ms")
	b.ReportMetric(percentile(took, 99), "p99-ms")
}

// percentile is in milliseconds.
func percentile(took []time.Duration, percent int) float64 {
	slices.Sort(took)
	return took[len(took)*percent/100].Seconds() * 1e3
}

// cpuTime is what this process has used, in user and in kernel mode.
func cpuTime(tb testing.TB) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkTokenize is the part of a text's latency that its tokens take.
func BenchmarkTokenize(b *testing.B) {
	tokens := loadTokenizer(b)
	texts := []string{strings.Repeat(passage, 1+16<<10/len(passage))[:16<<10]} // whose ends are read
	for _, n := range textLengths {
		texts = append(texts, textOf(b, n))
	}
	for _, text := range texts {
		b.Run(fmt.Sprintf("bytes=%d", len(text)), func(b *testing.B) {
			var ids []int64
			b.ReportAllocs()
			for b.Loop() {
				ids = tokens.EncodeEnds(ids[:0], text, longestText)
			}
			b.ReportMetric(float64(len(ids)), "tokens/op")
		})
	}
}

// openLong opens a model on the CPU that reads long texts.
func openLong(tb testing.TB, model string) classifier.Model {
	tb.Helper()
	if model != Linear {
		open(tb, ONNX) // or skip: the linear model stands in for the small one
	}
	m, err := Open(Options{Model: model, Device: "cpu", MaxTokens: longestText})
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

func loadTokenizer(tb testing.TB) *tokenizer.Tokenizer {
	tb.Helper()
	tokens, err := tokenizer.Load(tokenizerFile)
	if err != nil {
		tb.Fatal(err)
	}
	return tokens
}

const passage = "Our landlord wants to keep the deposit because of two scratches in the parquet floor. We had told him about them " +
	"when we moved in, by e-mail, and he never answered. Which paragraph says how much wear is normal, and how long may he wait " +
	"before he has to pay it back? I'd like a short letter (max. 120 words) that asks for 1,450.00 € within 14 days. "

// textOf is an English text of exactly so many tokens, special ones included.
func textOf(tb testing.TB, n int) string {
	tb.Helper()
	tokens := loadTokenizer(tb)
	count := func(text string) int { return len(tokens.Encode(nil, text, 2*longestText)) }
	words := strings.Fields(strings.Repeat(passage, 1+n/len(strings.Fields(passage))))
	used := 0
	for used < len(words) && count(strings.Join(words[:used+1], " ")) <= n {
		used++
	}
	text := strings.Join(words[:used], " ")
	text += strings.Repeat(" so", n-count(text)) // one token a word
	if got := len(tokens.EncodeEnds(nil, text, longestText)); got != n {
		tb.Fatalf("the text has %d tokens, not %d", got, n)
	}
	return text
}
