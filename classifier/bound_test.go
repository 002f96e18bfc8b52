package classifier_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"semantic-epp/classifier"
)

// gate is a classifier that cannot be interrupted: each run ends when it gets
// a value from open.
type gate struct {
	open    chan struct{}
	running atomic.Int32
	most    atomic.Int32
}

func (g *gate) Classify(context.Context, string) (classifier.Result, error) {
	now := g.running.Add(1)
	defer g.running.Add(-1)
	for most := g.most.Load(); now > most && !g.most.CompareAndSwap(most, now); most = g.most.Load() {
	}
	<-g.open
	return classifier.Result{Category: "math"}, nil
}

func bound(t *testing.T, c classifier.Classifier, concurrency, queue int) *classifier.Bounded {
	t.Helper()
	b, err := classifier.Bound(c, classifier.BoundConfig{Concurrency: concurrency, Queue: queue})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func closeNow(t *testing.T, b *classifier.Bounded) {
	t.Helper()
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestBoundedRunsQueuesAndTurnsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		b := bound(t, g, 2, 3)
		var served atomic.Int32
		var callers sync.WaitGroup
		for range 5 {
			callers.Go(func() {
				if r, err := b.Classify(t.Context(), ""); err == nil && r.Category == "math" {
					served.Add(1)
				}
			})
		}
		synctest.Wait()
		if got := g.running.Load(); got != 2 {
			t.Errorf("%d runs at once, want 2", got)
		}
		if _, err := b.Classify(t.Context(), ""); !errors.Is(err, classifier.ErrOverloaded) {
			t.Errorf("the sixth caller got %v, want ErrOverloaded", err)
		}
		for range 5 {
			g.open <- struct{}{}
		}
		callers.Wait()
		if served.Load() != 5 || g.most.Load() != 2 {
			t.Errorf("%d of 5 served, %d runs at once at most, want 2", served.Load(), g.most.Load())
		}
		closeNow(t, b)
	})
}

func TestBoundedCallerGivesUp(t *testing.T) {
	tests := map[string]struct {
		busy int // runs that hold the only worker before the caller comes
		want string
	}{
		"during its run": {busy: 0, want: "during the run"},
		"in the queue":   {busy: 1, want: "in the queue"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := &gate{open: make(chan struct{})}
				b := bound(t, g, 1, 1)
				var others sync.WaitGroup
				for range tc.busy {
					others.Go(func() { b.Classify(t.Context(), "") })
					synctest.Wait()
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				start := time.Now()
				_, err := b.Classify(ctx, "")
				if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("got %v, want the deadline, %s", err, tc.want)
				}
				if took := time.Since(start); took != time.Second {
					t.Errorf("gave up after %v, want 1s", took)
				}
				g.open <- struct{}{}
				others.Wait()
				closeNow(t, b)
			})
		})
	}
}

func TestBoundedOverstayingRunKeepsItsPermit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		b := bound(t, g, 1, 0)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		b.Classify(ctx, "") // gives up; the run does not
		if _, err := b.Classify(t.Context(), ""); !errors.Is(err, classifier.ErrOverloaded) {
			t.Errorf("while the run overstays: got %v, want ErrOverloaded", err)
		}
		g.open <- struct{}{}
		synctest.Wait()
		close(g.open)
		if _, err := b.Classify(t.Context(), ""); err != nil {
			t.Errorf("after the run: %v", err)
		}
		closeNow(t, b)
	})
}

func TestBoundedDoesNotRunForCallersThatAreGone(t *testing.T) {
	var runs atomic.Int32
	b := bound(t, classifier.Func(func(context.Context, string) (classifier.Result, error) {
		runs.Add(1)
		return classifier.Result{}, nil
	}), 1, 1)
	defer closeNow(t, b)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Classify(ctx, ""); !errors.Is(err, context.Canceled) || runs.Load() != 0 {
		t.Errorf("got %v after %d runs, want context.Canceled and none", err, runs.Load())
	}
}

func TestBoundedSurvivesPanics(t *testing.T) {
	tests := map[string]struct {
		panics func(text string)
		want   string
	}{
		"the runtime's own":        {panics: func(text string) { _ = []int{}[len(text)] }, want: "index out of range"},
		"one that tells the text":  {panics: func(text string) { panic("bad: " + text) }, want: "panicked with a string"},
		"one that wraps the text":  {panics: func(text string) { panic(errors.New(text)) }, want: "panicked with a *errors.errorString"},
		"one of nil, as Go has it": {panics: func(string) { panic(nil) }, want: "panic called with nil"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			b := bound(t, classifier.Func(func(_ context.Context, text string) (classifier.Result, error) {
				if text != "" {
					tc.panics(text)
				}
				return classifier.Result{Category: "math"}, nil
			}), 1, 0)
			defer closeNow(t, b)
			for range 3 { // more often than there are permits
				_, err := b.Classify(t.Context(), "my secret")
				if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "secret") {
					t.Errorf("got %v, want %q and not the text", err, tc.want)
				}
			}
			if r, err := b.Classify(t.Context(), ""); err != nil || r.Category != "math" {
				t.Errorf("after the panics: %v, %v", r, err)
			}
		})
	}
}

func TestBoundedClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		b := bound(t, g, 1, 1)
		errs := make(chan error, 2)
		for range 2 {
			go func() {
				_, err := b.Classify(t.Context(), "")
				errs <- err
			}()
			synctest.Wait()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := b.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close during a run: got %v, want the deadline", err)
		}
		if err := <-errs; !errors.Is(err, classifier.ErrClosed) {
			t.Errorf("the caller in the queue got %v, want ErrClosed", err)
		}
		g.open <- struct{}{}
		if err := <-errs; err != nil {
			t.Errorf("the caller whose run went on got %v", err)
		}
		closeNow(t, b)
		if _, err := b.Classify(t.Context(), ""); !errors.Is(err, classifier.ErrClosed) {
			t.Errorf("after Close: got %v, want ErrClosed", err)
		}
	})
}

func TestBoundNamesAllFaults(t *testing.T) {
	_, err := classifier.Bound(nil, classifier.BoundConfig{Concurrency: 0, Queue: -1})
	for _, want := range []string{"no classifier", "concurrency is 0", "queue is -1"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// Many callers with short patience, most of which give up, while it closes:
// the race detector and goleak look on.
func TestBoundedUnderPressure(t *testing.T) {
	defer goleak.VerifyNone(t)
	b := bound(t, classifier.Func(func(_ context.Context, text string) (classifier.Result, error) {
		time.Sleep(time.Duration(len(text)) * 50 * time.Microsecond)
		return classifier.Result{Category: text}, nil
	}), 3, 5)
	var callers sync.WaitGroup
	for i := range 20 {
		callers.Go(func() {
			text := strings.Repeat("x", i)
			for range 50 {
				ctx, cancel := context.WithTimeout(t.Context(), 500*time.Microsecond)
				r, err := b.Classify(ctx, text)
				cancel()
				known := errors.Is(err, classifier.ErrOverloaded) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, classifier.ErrClosed)
				if err == nil && r.Category != text || err != nil && !known {
					t.Errorf("got the answer of another caller, or a strange error: %v, %v", r, err)
				}
			}
		})
	}
	time.Sleep(20 * time.Millisecond)
	closeNow(t, b)
	callers.Wait()
}

func BenchmarkBounded(b *testing.B) {
	c, err := classifier.Bound(classifier.Func(func(context.Context, string) (classifier.Result, error) {
		return classifier.Result{}, nil
	}), classifier.BoundConfig{Concurrency: 2, Queue: 1000})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := c.Classify(b.Context(), "text"); err != nil {
				b.Error(err)
			}
		}
	})
	if err := c.Close(context.Background()); err != nil {
		b.Fatal(err)
	}
}

// vectors is a classifier that embeds.
type vectors struct{ classifier.Func }

func (vectors) Embed(_ context.Context, text string) ([]float32, error) {
	if text == "" {
		panic("no text")
	}
	return []float32{1, 0}, nil
}

func TestBoundedEmbeds(t *testing.T) {
	never := classifier.Func(func(context.Context, string) (classifier.Result, error) {
		return classifier.Result{}, classifier.ErrNoMatch
	})
	for name, tt := range map[string]struct {
		classifier classifier.Classifier
		text, want string
	}{
		"an embedder's vector comes back":        {classifier: vectors{never}, text: "a"},
		"a panic is an error":                    {classifier: vectors{never}, want: "panicked with a string"},
		"a classifier without vectors tells why": {classifier: never, text: "a", want: "no embeddings"},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := classifier.Bound(tt.classifier, classifier.BoundConfig{Concurrency: 1})
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close(t.Context())
			v, err := b.Embed(t.Context(), tt.text)
			if tt.want == "" && (err != nil || len(v) != 2) || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, %v; want error %q", v, err, tt.want)
			}
		})
	}
}
