package batch_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"semantic-epp/classifier"
	"semantic-epp/classifier/batch"
)

// device answers an item with itself, takes its time for that, and remembers
// what it was given.
type device struct {
	fixed, perToken time.Duration
	batches         [][]string
	sizes           []int
}

func (d *device) run(items []string, size int) ([]string, error) {
	d.batches = append(d.batches, items)
	d.sizes = append(d.sizes, size)
	time.Sleep(d.fixed + time.Duration(len(items)*size)*d.perToken)
	return items, nil
}

func start(t *testing.T, cfg batch.Config, run batch.Runner[string, string]) *batch.Batcher[string, string] {
	t.Helper()
	if cfg.MaxSize == 0 {
		cfg.MaxSize = 512
	}
	b, err := batch.New(cfg, run)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func stop[I, O any](t testing.TB, b *batch.Batcher[I, O]) {
	t.Helper()
	if err := b.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// arrival is an item that comes at a time after the start.
type arrival struct {
	at   time.Duration
	item string
	size int
}

func TestBatches(t *testing.T) {
	const ms = time.Millisecond
	tests := map[string]struct {
		cfg      batch.Config
		arrivals []arrival
		batches  [][]string
		sizes    []int
		took     time.Duration // until all are answered; a run takes 10 ms
	}{
		"an item that finds the device free goes at once": {
			arrivals: []arrival{{0, "a", 5}}, batches: [][]string{{"a"}}, sizes: []int{16}, took: 10 * ms,
		},
		"what comes during a run goes together after it": {
			arrivals: []arrival{{0, "a", 5}, {1 * ms, "b", 5}, {2 * ms, "c", 6}},
			batches:  [][]string{{"a"}, {"b", "c"}}, sizes: []int{16, 16}, took: 20 * ms,
		},
		"who came just before the device was free waits for company, from when he came": {
			arrivals: []arrival{{0, "a", 5}, {9500 * time.Microsecond, "b", 5}, {10 * ms, "c", 5}, {11 * ms, "d", 5}},
			batches:  [][]string{{"a"}, {"b", "c", "d"}}, sizes: []int{16, 16}, took: 21500 * time.Microsecond,
		},
		"but not where no wait is allowed": {
			cfg:      batch.Config{MaxWait: -1},
			arrivals: []arrival{{0, "a", 5}, {9500 * time.Microsecond, "b", 5}, {10500 * time.Microsecond, "c", 5}},
			batches:  [][]string{{"a"}, {"b"}, {"c"}}, sizes: []int{16, 16, 16}, took: 30 * ms,
		},
		"nor once the batch is full": {
			cfg:      batch.Config{MaxItems: 2},
			arrivals: []arrival{{0, "a", 5}, {9 * ms, "b", 5}, {9500 * time.Microsecond, "c", 5}, {9600 * time.Microsecond, "d", 5}},
			batches:  [][]string{{"a"}, {"b", "c"}, {"d"}}, sizes: []int{16, 16, 16}, took: 30 * ms,
		},
		"the token budget counts the padding": {
			cfg:      batch.Config{MaxTokens: 128},
			arrivals: []arrival{{0, "a", 5}, {1 * ms, "b", 33}, {2 * ms, "c", 34}, {3 * ms, "d", 35}},
			batches:  [][]string{{"a"}, {"b", "c"}, {"d"}}, sizes: []int{16, 64, 64}, took: 30 * ms,
		},
		"an item above the budget runs alone": {
			cfg:      batch.Config{MaxTokens: 128},
			arrivals: []arrival{{0, "a", 300}, {1 * ms, "b", 300}, {2 * ms, "c", 300}},
			batches:  [][]string{{"a"}, {"b"}, {"c"}}, sizes: []int{512, 512, 512}, took: 30 * ms,
		},
		"nothing is padded beyond the longest item": {
			cfg: batch.Config{MaxSize: 300}, arrivals: []arrival{{0, "a", 280}}, batches: [][]string{{"a"}}, sizes: []int{300}, took: 10 * ms,
		},
		"the oldest leads, and takes its own size and half of it along": {
			arrivals: []arrival{{0, "a", 5}, {1 * ms, "256", 256}, {2 * ms, "16", 16}, {3 * ms, "128", 128}, {4 * ms, "512", 512}, {5 * ms, "200", 200}, {6 * ms, "17", 17}},
			batches:  [][]string{{"a"}, {"256", "128", "200"}, {"16"}, {"512"}, {"17"}}, sizes: []int{16, 256, 16, 512, 32}, took: 50 * ms,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tc.cfg.MaxWait = max(tc.cfg.MaxWait, -1)
				if tc.cfg.MaxWait == 0 {
					tc.cfg.MaxWait = 2 * ms
				}
				d := &device{fixed: 10 * ms}
				b := start(t, tc.cfg, d.run)
				began := time.Now()
				var callers sync.WaitGroup
				for _, a := range tc.arrivals {
					callers.Go(func() {
						time.Sleep(a.at)
						if got, err := b.Do(t.Context(), a.item, a.size); err != nil || got != a.item {
							t.Errorf("%s: got %q, %v", a.item, got, err)
						}
					})
				}
				callers.Wait()
				if took := time.Since(began); took != tc.took {
					t.Errorf("took %v, want %v", took, tc.took)
				}
				stop(t, b)
				if !reflect.DeepEqual(d.batches, tc.batches) || !reflect.DeepEqual(d.sizes, tc.sizes) {
					t.Errorf("batches %v padded to %v, want %v to %v", d.batches, d.sizes, tc.batches, tc.sizes)
				}
			})
		})
	}
}

// A long item gets its turn though short ones keep the device busy without end.
func TestNoItemStarves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &device{fixed: time.Millisecond}
		b := start(t, batch.Config{MaxItems: 4}, d.run)
		ctx, cancel := context.WithCancel(t.Context())
		var callers sync.WaitGroup
		for range 20 {
			callers.Go(func() {
				for ctx.Err() == nil {
					b.Do(ctx, "short", 5)
				}
			})
		}
		time.Sleep(100 * time.Millisecond)
		began := time.Now()
		if _, err := b.Do(t.Context(), "long", 500); err != nil {
			t.Error(err)
		}
		// Before it: the run that went on, and five batches of four.
		if took := time.Since(began); took > 7*time.Millisecond {
			t.Errorf("the long item took %v", took)
		}
		cancel()
		callers.Wait()
		stop(t, b)
	})
}

func TestCallerGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &device{fixed: 10 * time.Millisecond}
		b := start(t, batch.Config{Queue: 1}, d.run)
		var callers sync.WaitGroup
		giveUp := func(item string, after, want time.Duration) {
			callers.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), after)
				defer cancel()
				began := time.Now()
				if _, err := b.Do(ctx, item, 5); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != want {
					t.Errorf("%s: got %v after %v, want the deadline after %v", item, err, time.Since(began), want)
				}
			})
			synctest.Wait()
		}
		giveUp("runs", 3*time.Millisecond, 3*time.Millisecond)
		giveUp("waits", 5*time.Millisecond, 5*time.Millisecond)
		if _, err := b.Do(t.Context(), "too many", 5); !errors.Is(err, classifier.ErrOverloaded) {
			t.Errorf("got %v, want ErrOverloaded", err)
		}
		time.Sleep(6 * time.Millisecond)
		if _, err := b.Do(t.Context(), "has the room of who left", 5); err != nil {
			t.Error(err)
		}
		callers.Wait()
		stop(t, b)
		if want := [][]string{{"runs"}, {"has the room of who left"}}; !reflect.DeepEqual(d.batches, want) {
			t.Errorf("ran %v, want %v", d.batches, want)
		}
	})
}

func TestDoRefuses(t *testing.T) {
	b := start(t, batch.Config{}, (&device{}).run)
	defer stop(t, b)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Do(ended, "a", 5); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	for _, size := range []int{0, 513} {
		if _, err := b.Do(t.Context(), "a", size); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%d tokens is not within 1 to 512", size)) {
			t.Errorf("size %d: got %v", size, err)
		}
	}
}

func TestRunnerFails(t *testing.T) {
	broken := errors.New("broken")
	tests := map[string]struct {
		run  batch.Runner[string, string]
		want string
	}{
		"an error":                 {run: func([]string, int) ([]string, error) { return nil, broken }, want: "broken"},
		"too few answers":          {run: func([]string, int) ([]string, error) { return nil, nil }, want: "0 answers for 1 items"},
		"the runtime's own panic":  {run: func(items []string, _ int) ([]string, error) { return items[7:], nil }, want: "out of range"},
		"a panic that tells texts": {run: func(items []string, _ int) ([]string, error) { panic(items[0]) }, want: "panicked with a string"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			b := start(t, batch.Config{}, tc.run)
			defer stop(t, b)
			for range 2 { // it goes on after the first
				if _, err := b.Do(t.Context(), "secret", 5); err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "secret") {
					t.Errorf("got %v, want %q and not the text", err, tc.want)
				}
			}
		})
	}
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &device{fixed: time.Minute}
		b := start(t, batch.Config{}, d.run)
		errs := make(chan error, 2)
		for range 2 {
			go func() {
				_, err := b.Do(t.Context(), "a", 5)
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
			t.Errorf("who waited got %v, want ErrClosed", err)
		}
		if err := <-errs; err != nil {
			t.Errorf("whose run went on got %v", err)
		}
		stop(t, b)
		if _, err := b.Do(t.Context(), "a", 5); !errors.Is(err, classifier.ErrClosed) {
			t.Errorf("after Close: got %v, want ErrClosed", err)
		}
	})
}

func TestNewNamesAllFaults(t *testing.T) {
	_, err := batch.New[string, string](batch.Config{MaxItems: -1, MaxTokens: -2, Queue: -3, MaxWait: time.Second}, nil)
	for _, want := range []string{"items of a batch: -1", "tokens of a batch: -2", "queue: -3", "longest item: 0", "1s", "no runner"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// Many impatient callers while it closes: every answer is one's own, no batch
// breaks its bounds; the race detector and goleak look on.
func TestUnderPressure(t *testing.T) {
	defer goleak.VerifyNone(t)
	var batches atomic.Int32
	b := start(t, batch.Config{MaxItems: 8, MaxTokens: 1024, Queue: 30, OnBatch: func(items, size int) {
		batches.Add(1)
		if items < 1 || items > 8 || items > 1 && items*size > 1024 {
			t.Errorf("a batch of %d × %d", items, size)
		}
	}}, func(items []string, size int) ([]string, error) {
		time.Sleep(time.Duration(len(items)*size) * 100 * time.Nanosecond)
		return items, nil
	})
	var callers sync.WaitGroup
	for i := range 40 {
		callers.Go(func() {
			item := strings.Repeat("x", 1+i*12)
			for range 50 {
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Millisecond)
				got, err := b.Do(ctx, item, len(item))
				cancel()
				known := errors.Is(err, classifier.ErrOverloaded) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, classifier.ErrClosed)
				if err == nil && got != item || err != nil && !known {
					t.Errorf("got the answer of another caller, or a strange error: %v", err)
				}
			}
		})
	}
	time.Sleep(30 * time.Millisecond)
	stop(t, b)
	callers.Wait()
	if batches.Load() == 0 {
		t.Error("nothing ran")
	}
}

// A simulated GPU: a run costs 1 ms and 25 ns for each token, padding
// included. The metric shows how large batches get.
func BenchmarkBatcher(b *testing.B) {
	for _, callers := range []int{1, 8, 64, 256} {
		b.Run(fmt.Sprintf("%d_callers", callers), func(b *testing.B) {
			var batches, items atomic.Int64
			cfg := batch.Config{MaxSize: 512, OnBatch: func(n, _ int) { batches.Add(1); items.Add(int64(n)) }}
			d, err := batch.New(cfg, func(items []int, size int) ([]int, error) {
				time.Sleep(time.Millisecond + time.Duration(len(items)*size)*25*time.Nanosecond)
				return items, nil
			})
			if err != nil {
				b.Fatal(err)
			}
			defer stop(b, d)
			var next atomic.Int64
			var wg sync.WaitGroup
			b.ReportAllocs()
			b.ResetTimer()
			for range callers {
				wg.Go(func() {
					for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
						if _, err := d.Do(b.Context(), 0, 1+int(i*37%512)); err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "items/s")
			b.ReportMetric(float64(items.Load())/float64(batches.Load()), "items/batch")
		})
	}
}

func Example() {
	double := func(items []int, _ int) ([]int, error) { // on a device, all at once
		for i := range items {
			items[i] *= 2
		}
		return items, nil
	}
	b, err := batch.New(batch.Config{MaxSize: 512}, double)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer b.Close(context.Background())
	fmt.Println(b.Do(context.Background(), 21, 128))
	// Output: 42 <nil>
}

func TestShapes(t *testing.T) {
	got := map[int]int{}
	for size, items := range (batch.Config{MaxItems: 32, MaxTokens: 1000, MaxSize: 300}).Shapes() {
		got[size] = items
	}
	if want := map[int]int{16: 32, 32: 31, 64: 15, 128: 7, 256: 3, 300: 3}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for size := range (batch.Config{}).Shapes() {
		t.Errorf("size %d though no longest item is set", size)
	}
}
