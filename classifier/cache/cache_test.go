package cache_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"semantic-epp/classifier"
	"semantic-epp/classifier/cache"
)

var errBroken = errors.New("broken")

// counted answers with the text and counts its runs.
type counted struct {
	runs atomic.Int32
	do   func(ctx context.Context, text string) (classifier.Result, error) // nil: answer at once
}

func (c *counted) Classify(ctx context.Context, text string) (classifier.Result, error) {
	c.runs.Add(1)
	if c.do != nil {
		return c.do(ctx, text)
	}
	return classifier.Result{Category: text, Probabilities: []classifier.Probability{{Category: text, P: 1}}}, nil
}

func build(t testing.TB, c classifier.Classifier, cfg cache.Config) *cache.Cache {
	t.Helper()
	if cfg.Entries == 0 {
		cfg.Entries = 100
	}
	if cfg.Bytes == 0 {
		cfg.Bytes = 1 << 20
	}
	got, err := cache.New(c, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func ask(t *testing.T, c *cache.Cache, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if r, err := c.Classify(t.Context(), text); err != nil || r.Category != text {
			t.Errorf("asked for %q, got %q, %v", text, r.Category, err)
		}
	}
}

func TestCacheRemembers(t *testing.T) {
	var hits, misses int
	inner := new(counted)
	c := build(t, inner, cache.Config{OnHit: func() { hits++ }, OnMiss: func() { misses++ }})
	ask(t, c, "a", "b", "a", "a", "b", "")
	if inner.runs.Load() != 3 || hits != 3 || misses != 3 {
		t.Errorf("%d runs, %d hits, %d misses, want 3 each", inner.runs.Load(), hits, misses)
	}
}

func TestCacheForgetsWhatWasAskedForLongestAgo(t *testing.T) {
	inner := new(counted)
	c := build(t, inner, cache.Config{Entries: 3})
	ask(t, c, "a", "b", "c", "a", "d") // d takes the place of b
	inner.runs.Store(0)
	ask(t, c, "a", "c", "d")
	if got := inner.runs.Load(); got != 0 {
		t.Errorf("%d of a, c and d were forgotten", got)
	}
	ask(t, c, "b")
	if got := inner.runs.Load(); got != 1 {
		t.Error("b was remembered beyond the bound")
	}
}

func TestCacheIsBoundedInBytes(t *testing.T) {
	const labels = 1000 // 24 kB an answer
	inner := &counted{do: func(_ context.Context, text string) (classifier.Result, error) {
		return classifier.Result{Category: text, Probabilities: make([]classifier.Probability, labels)}, nil
	}}
	c := build(t, inner, cache.Config{Entries: 1000, Bytes: cache.MinBytes})
	for range 2 {
		for i := range 10 {
			ask(t, c, fmt.Sprint(i))
		}
	}
	if got := inner.runs.Load(); got != 20 { // none of ten stays where less than three fit
		t.Errorf("%d runs, want 20", got)
	}
	huge := &counted{do: func(_ context.Context, text string) (classifier.Result, error) {
		return classifier.Result{Category: text, Probabilities: make([]classifier.Probability, 10*labels)}, nil
	}}
	c = build(t, huge, cache.Config{Bytes: cache.MinBytes})
	ask(t, c, "a", "a")
	if got := huge.runs.Load(); got != 2 {
		t.Errorf("%d runs, want 2: an answer larger than the cache was kept", got)
	}
}

func TestWhatIsRemembered(t *testing.T) {
	tests := map[string]struct {
		err  error
		runs int32
	}{
		"an answer":                   {runs: 1},
		"no opinion":                  {err: classifier.ErrNoMatch, runs: 1},
		"no opinion, wrapped":         {err: fmt.Errorf("x: %w", classifier.ErrNoMatch), runs: 1},
		"an error is not":             {err: errBroken, runs: 3},
		"want of room is not":         {err: classifier.ErrOverloaded, runs: 3},
		"a time-out of its own isn't": {err: context.DeadlineExceeded, runs: 3},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			inner := &counted{do: func(context.Context, string) (classifier.Result, error) { return classifier.Result{}, tc.err }}
			c := build(t, inner, cache.Config{})
			for range 3 {
				_, err := c.Classify(t.Context(), "text")
				if !errors.Is(tc.err, err) && !errors.Is(err, tc.err) {
					t.Errorf("got %v, want %v", err, tc.err)
				}
			}
			if got := inner.runs.Load(); got != tc.runs {
				t.Errorf("%d runs, want %d", got, tc.runs)
			}
		})
	}
}

func TestTenantsAreApart(t *testing.T) {
	inner := new(counted)
	c := build(t, inner, cache.Config{})
	asked := []struct{ tenant, text string }{{"", "ab"}, {"a", "b"}, {"ab", ""}, {"b", "a"}, {"a", "ab"}}
	for range 2 {
		for _, a := range asked {
			ctx := cache.WithTenant(t.Context(), a.tenant)
			if r, err := c.Classify(ctx, a.text); err != nil || r.Category != a.text {
				t.Errorf("%+v: got %q, %v", a, r.Category, err)
			}
		}
	}
	if got := inner.runs.Load(); got != int32(len(asked)) {
		t.Errorf("%d runs, want %d", got, len(asked))
	}
}

func TestANewRevisionForgetsAll(t *testing.T) {
	revision := "1"
	inner := new(counted)
	c := build(t, inner, cache.Config{Revision: func() string { return revision }})
	for i, next := range []string{"1", "2", "2", "1"} {
		revision = next
		ask(t, c, "a")
		if got, want := inner.runs.Load(), []int32{1, 2, 2, 3}[i]; got != want {
			t.Errorf("after revision %s: %d runs, want %d", next, got, want)
		}
	}
}

func TestCallersDoNotShareProbabilities(t *testing.T) {
	c := build(t, new(counted), cache.Config{})
	for range 3 {
		r, err := c.Classify(t.Context(), "a")
		if err != nil || r.Probabilities[0].P != 1 {
			t.Fatalf("got %+v, %v", r, err)
		}
		r.Probabilities[0].P = 0
	}
}

func TestTheSameTextRunsOnceAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shared atomic.Int32
		inner := &counted{do: func(_ context.Context, text string) (classifier.Result, error) {
			time.Sleep(time.Second)
			return classifier.Result{Category: text}, nil
		}}
		c := build(t, inner, cache.Config{OnShared: func() { shared.Add(1) }})
		var callers sync.WaitGroup
		for range 10 {
			callers.Go(func() { ask(t, c, "a") })
		}
		callers.Wait()
		if inner.runs.Load() != 1 || shared.Load() != 9 {
			t.Errorf("%d runs, %d shared, want 1 and 9", inner.runs.Load(), shared.Load())
		}
	})
}

func TestARunLastsAsLongAsSomebodyWaits(t *testing.T) {
	tests := map[string]struct {
		patience []time.Duration // of callers that come one after the other
		served   []bool
		ended    bool // the run was told to stop
	}{
		"who began it leaves, the other is served": {patience: []time.Duration{time.Second, time.Hour}, served: []bool{false, true}},
		"who joined it leaves":                     {patience: []time.Duration{time.Hour, time.Second}, served: []bool{true, false}},
		"all leave":                                {patience: []time.Duration{time.Second, 2 * time.Second}, served: []bool{false, false}, ended: true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var ended atomic.Bool
				inner := &counted{do: func(ctx context.Context, text string) (classifier.Result, error) {
					select {
					case <-time.After(time.Minute):
						return classifier.Result{Category: text}, nil
					case <-ctx.Done():
						ended.Store(true)
						return classifier.Result{}, ctx.Err()
					}
				}}
				c := build(t, inner, cache.Config{})
				var callers sync.WaitGroup
				for i, patience := range tc.patience {
					callers.Go(func() {
						ctx, cancel := context.WithTimeout(t.Context(), patience)
						defer cancel()
						_, err := c.Classify(ctx, "a")
						if (err == nil) != tc.served[i] || err != nil && !errors.Is(err, context.DeadlineExceeded) {
							t.Errorf("caller %d got %v", i, err)
						}
					})
					synctest.Wait()
				}
				callers.Wait()
				synctest.Wait()
				if inner.runs.Load() != 1 || ended.Load() != tc.ended {
					t.Errorf("%d runs, ended %v, want 1, %v", inner.runs.Load(), ended.Load(), tc.ended)
				}
				ask(t, c, "a") // neither a dead run nor its error stays
			})
		})
	}
}

func TestPanicsBecomeErrorsWithoutTheText(t *testing.T) {
	c := build(t, &counted{do: func(_ context.Context, text string) (classifier.Result, error) { panic("bad: " + text) }}, cache.Config{})
	_, err := c.Classify(t.Context(), "my secret")
	if err == nil || !strings.Contains(err.Error(), "panicked with a string") || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v, want the panic and not the text", err)
	}
}

func TestNobodyRunsForAnEndedContext(t *testing.T) {
	inner := new(counted)
	c := build(t, inner, cache.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Classify(ctx, "a"); !errors.Is(err, context.Canceled) || inner.runs.Load() != 0 {
		t.Errorf("got %v after %d runs", err, inner.runs.Load())
	}
}

func TestNewNamesAllFaults(t *testing.T) {
	_, err := cache.New(nil, cache.Config{Bytes: 1})
	for _, want := range []string{"no classifier", "entries are 0", "bytes are 1, below 65536"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// Many callers, few texts, little patience and a model that changes: answers
// are never another text's; the race detector and goleak look on.
func TestCacheUnderPressure(t *testing.T) {
	defer goleak.VerifyNone(t)
	var revision atomic.Int32
	inner := &counted{do: func(ctx context.Context, text string) (classifier.Result, error) {
		select {
		case <-time.After(200 * time.Microsecond):
			return classifier.Result{Category: text}, nil
		case <-ctx.Done():
			return classifier.Result{}, ctx.Err()
		}
	}}
	c := build(t, inner, cache.Config{Entries: 64, Revision: func() string { return fmt.Sprint(revision.Load()) }})
	var callers sync.WaitGroup
	for worker := range 16 {
		callers.Go(func() {
			for i := range 200 {
				text := fmt.Sprint((worker*7 + i*i) % 90)
				ctx, cancel := context.WithTimeout(t.Context(), 300*time.Microsecond)
				r, err := c.Classify(ctx, text)
				cancel()
				if err == nil && r.Category != text || err != nil && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("asked for %q, got %q, %v", text, r.Category, err)
				}
				if i%50 == 0 {
					revision.Add(1)
				}
			}
		})
	}
	callers.Wait()
}

func FuzzCacheAnswersAsTheClassifierDoes(f *testing.F) {
	f.Add("a", "b")
	f.Add("", "\x00\xff")
	inner := new(counted)
	c, err := cache.New(inner, cache.Config{Entries: 50, Bytes: cache.MinBytes})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, tenant, text string) {
		for range 2 {
			if r, err := c.Classify(cache.WithTenant(t.Context(), tenant), text); err != nil || r.Category != text {
				t.Errorf("got %q, %v", r.Category, err)
			}
		}
	})
}

func ExampleNew() {
	model := classifier.Func(func(_ context.Context, text string) (classifier.Result, error) {
		fmt.Println("a run")
		return classifier.Result{Category: "math"}, nil
	})
	c, err := cache.New(model, cache.Config{Entries: 10_000, Bytes: 8 << 20})
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 3 {
		r, _ := c.Classify(context.Background(), "2+2")
		fmt.Println(r.Category)
	}
	// Output:
	// a run
	// math
	// math
	// math
}

func BenchmarkHit(b *testing.B) {
	for _, size := range []int{100, 1 << 10, 16 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			answer := classifier.Result{Category: "math", Probabilities: make([]classifier.Probability, 14)}
			c := build(b, classifier.Func(func(context.Context, string) (classifier.Result, error) { return answer, nil }), cache.Config{
				Entries: 10_000, Revision: func() string { return "0123456789ab" },
			})
			text := strings.Repeat("x", size)
			ctx := cache.WithTenant(b.Context(), "tenant")
			if _, err := c.Classify(ctx, text); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Classify(ctx, text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
