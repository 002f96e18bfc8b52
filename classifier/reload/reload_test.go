package reload_test

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
	"semantic-epp/classifier/reload"
)

// model is a classifier.Model whose runs take as long as it is told.
type model struct {
	name   string
	labels []string
	takes  time.Duration
	broken error // of Close

	running atomic.Int32
	closed  atomic.Bool
}

func (m *model) Classify(context.Context, string) (classifier.Result, error) {
	m.running.Add(1)
	defer m.running.Add(-1)
	if m.closed.Load() {
		return classifier.Result{}, errors.New("run of a closed model")
	}
	time.Sleep(m.takes)
	return classifier.Result{Category: m.name}, nil
}

func (m *model) Info() classifier.Info {
	return classifier.Info{Name: m.name, Revision: m.name, Labels: m.labels}
}

func (m *model) Close() error {
	if m.running.Load() > 0 {
		return errors.New("closed during a run")
	}
	m.closed.Store(true)
	return m.broken
}

// disk is what stands in for the model's files.
type disk struct {
	mu          sync.Mutex
	fingerprint string
	fault       error // of the fingerprint
	model       *model
	openFault   error
	panics      bool
	opened      int
}

func (d *disk) set(fingerprint string, m *model, openFault error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fingerprint, d.model, d.openFault = fingerprint, m, openFault
}

// change is set for what the other tests do not need.
func (d *disk) change(f func(d *disk)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f(d)
}

func (d *disk) Fingerprint() (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.fingerprint, d.fault
}

func (d *disk) Open(context.Context) (classifier.Model, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.opened++
	if d.panics {
		panic("index out of range")
	}
	if d.openFault != nil {
		return nil, d.openFault
	}
	return d.model, nil
}

// journal keeps what the callbacks tell.
type journal struct {
	mu      sync.Mutex
	reloads []string
	errs    []string
}

func (j *journal) onReload(before, after classifier.Info) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.reloads = append(j.reloads, before.Revision+" to "+after.Revision)
}

func (j *journal) onError(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.errs = append(j.errs, err.Error())
}

const every = 10 * time.Second

// looks waits until n more looks at the files are over.
func looks(n int) {
	time.Sleep(time.Duration(n) * every)
	synctest.Wait()
}

func watch(t *testing.T, d *disk, allow bool) (*reload.Model, *journal) {
	t.Helper()
	j := new(journal)
	m, err := reload.New(t.Context(), reload.Config{
		Open: d.Open, Fingerprint: d.Fingerprint, Every: every, AllowNewLabels: allow,
		OnReload: j.onReload, OnError: j.onError,
	})
	if err != nil {
		t.Fatal(err)
	}
	return m, j
}

func answers(t *testing.T, m classifier.Classifier, want string) {
	t.Helper()
	if r, err := m.Classify(t.Context(), "text"); err != nil || r.Category != want {
		t.Errorf("got %q, %v, want the answer of %q", r.Category, err, want)
	}
}

func TestReload(t *testing.T) {
	labels := []string{"math", "law"}
	tests := map[string]struct {
		change func(d *disk)
		allow  bool
		looks  int
		serves string
		reload string   // what OnReload says, "" for not called
		errs   []string // what OnError says, in order
		opened int      // calls of Open, the first one included
	}{
		"nothing changed": {change: func(*disk) {}, looks: 5, serves: "old", opened: 1},
		"a new model takes over": {
			change: func(d *disk) { d.set("2", &model{name: "new", labels: labels}, nil) },
			looks:  2, serves: "new", reload: "old to new", opened: 2,
		},
		"labels in another order are the same": {
			change: func(d *disk) { d.set("2", &model{name: "new", labels: []string{"law", "math"}}, nil) },
			looks:  2, serves: "new", reload: "old to new", opened: 2,
		},
		"files seen only once may be half written": {
			change: func(d *disk) { d.set("2", &model{name: "new", labels: labels}, nil) },
			looks:  1, serves: "old", opened: 1,
		},
		"one that does not open is told once": {
			change: func(d *disk) { d.set("2", nil, errors.New("no graph")) },
			looks:  6, serves: "old", errs: []string{"no graph"}, opened: 2,
		},
		"one that panics is told once": {
			change: func(d *disk) { d.set("2", nil, nil); d.change(func(d *disk) { d.panics = true }) },
			looks:  6, serves: "old", errs: []string{"panic: index out of range"}, opened: 2,
		},
		"other labels are refused": {
			change: func(d *disk) {
				d.set("2", &model{name: "new", labels: []string{"math", "art"}, broken: errors.New("stuck")}, nil)
			},
			looks: 6, serves: "old", errs: []string{`gone ["law"], new ["art"]`}, opened: 2,
		},
		"other labels are allowed": {
			change: func(d *disk) { d.set("2", &model{name: "new", labels: []string{"art"}}, nil) },
			allow:  true, looks: 2, serves: "new", reload: "old to new", opened: 2,
		},
		"files that cannot be read are told once": {
			change: func(d *disk) { d.change(func(d *disk) { d.fault = errors.New("permission denied") }) },
			looks:  6, serves: "old", errs: []string{"look at the model's files: permission denied"}, opened: 1,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				old := &model{name: "old", labels: labels}
				d := &disk{fingerprint: "1", model: old}
				m, j := watch(t, d, tc.allow)
				tc.change(d)
				looks(tc.looks)
				answers(t, m, tc.serves)
				if got := m.Info().Name; got != tc.serves {
					t.Errorf("Info is of %q, want %q", got, tc.serves)
				}
				if old.closed.Load() != (tc.serves != "old") {
					t.Errorf("the old model is closed: %v", old.closed.Load())
				}
				if got := strings.Join(j.reloads, ", "); got != tc.reload {
					t.Errorf("reloads %q, want %q", got, tc.reload)
				}
				if len(j.errs) != len(tc.errs) {
					t.Fatalf("errors %q, want %q", j.errs, tc.errs)
				}
				for i, want := range tc.errs {
					if !strings.Contains(j.errs[i], want) || !strings.Contains(j.errs[i], "the old one stays") {
						t.Errorf("error %q, want %q", j.errs[i], want)
					}
				}
				if d.opened != tc.opened {
					t.Errorf("opened %d times, want %d", d.opened, tc.opened)
				}
				if err := m.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestReloadAfterARefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{fingerprint: "1", model: &model{name: "old"}}
		m, j := watch(t, d, false)
		defer m.Close()
		bad := errors.New("no graph")
		for _, fingerprint := range []string{"2", "3"} { // two bad versions are two states
			d.set(fingerprint, nil, bad)
			looks(3)
		}
		if len(j.errs) != 2 {
			t.Errorf("errors %q, want two", j.errs)
		}
		d.set("4", &model{name: "new"}, nil)
		looks(2)
		answers(t, m, "new")
		d.set("5", &model{name: "newer"}, nil)
		looks(2)
		answers(t, m, "newer")
		if len(j.errs) != 2 || len(j.reloads) != 2 {
			t.Errorf("errors %q, reloads %q, want two of each", j.errs, j.reloads)
		}
	})
}

func TestReloadWaitsUntilACopyIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{fingerprint: "1", model: &model{name: "old"}}
		m, j := watch(t, d, false)
		defer m.Close()
		for size := range 5 {
			d.set(fmt.Sprint("growing ", size), nil, errors.New("half a file"))
			looks(1)
		}
		d.set("done", &model{name: "new"}, nil)
		looks(2)
		answers(t, m, "new")
		if len(j.errs) > 0 {
			t.Errorf("errors %q, want none", j.errs)
		}
	})
}

func TestRunsEndOnTheModelTheyBeganOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := &model{name: "old", takes: 5 * every}
		d := &disk{fingerprint: "1", model: old}
		m, j := watch(t, d, false)
		var run sync.WaitGroup
		run.Go(func() { answers(t, m, "old") })
		synctest.Wait()
		d.set("2", &model{name: "new"}, nil)
		looks(2)
		answers(t, m, "new") // at once, while the old run goes on
		if old.closed.Load() || old.running.Load() != 1 {
			t.Errorf("the old model: closed %v with %d runs, want open with 1", old.closed.Load(), old.running.Load())
		}
		d.set("3", &model{name: "newer"}, nil)
		looks(2) // the watcher does not wait for the old run either
		answers(t, m, "newer")
		run.Wait()
		synctest.Wait()
		if !old.closed.Load() {
			t.Error("the old model is open after its last run")
		}
		if err := m.Close(); err != nil || len(j.errs) > 0 {
			t.Errorf("Close: %v, errors %q", err, j.errs)
		}
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		held := &model{name: "old", takes: every, broken: errors.New("stuck")}
		d := &disk{fingerprint: "1", model: held}
		m, _ := watch(t, d, false)
		var run sync.WaitGroup
		run.Go(func() { answers(t, m, "old") })
		synctest.Wait()
		if err := m.Close(); err == nil || !strings.Contains(err.Error(), "stuck") {
			t.Errorf("Close: got %v, want the model's own error", err)
		}
		run.Wait()
		if !held.closed.Load() {
			t.Error("the model is open")
		}
		if _, err := m.Classify(t.Context(), "text"); !errors.Is(err, classifier.ErrClosed) {
			t.Errorf("after Close: got %v, want ErrClosed", err)
		}
		if got := m.Info(); got.Name != "" {
			t.Errorf("after Close: Info of %q", got.Name)
		}
		if err := m.Close(); err != nil {
			t.Errorf("a second Close: %v", err)
		}
	})
}

func TestTheContextEndsOnlyTheOpening(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		d := &disk{fingerprint: "1", model: &model{name: "old"}}
		m, err := reload.New(ctx, reload.Config{Open: d.Open, Fingerprint: d.Fingerprint, Every: every})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		cancel()
		d.set("2", &model{name: "new"}, nil)
		looks(2)
		answers(t, m, "new")
	})
}

func TestNewRefuses(t *testing.T) {
	good := &disk{fingerprint: "1", model: &model{}}
	tests := map[string]struct {
		cfg  reload.Config
		want []string
	}{
		"an empty configuration, with every fault": {want: []string{"nothing that opens", "no fingerprint", "0s"}},
		"files that cannot be read": {
			cfg:  reload.Config{Open: good.Open, Fingerprint: (&disk{fault: errors.New("gone")}).Fingerprint, Every: 1},
			want: []string{"watch a model: gone"},
		},
		"a model that does not open": {
			cfg:  reload.Config{Open: (&disk{openFault: errors.New("no graph")}).Open, Fingerprint: good.Fingerprint, Every: 1},
			want: []string{"open the model: no graph"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := reload.New(t.Context(), tc.cfg)
			for _, want := range tc.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q", err, want)
				}
			}
		})
	}
}

// Callers go on while models come and go: none gets an error, none runs a
// closed model; the race detector and goleak look on.
func TestReloadUnderLoad(t *testing.T) {
	defer goleak.VerifyNone(t)
	var version atomic.Int32
	m, err := reload.New(t.Context(), reload.Config{
		Open: func(context.Context) (classifier.Model, error) {
			return &model{name: fmt.Sprint(version.Load()), takes: 50 * time.Microsecond}, nil
		},
		Fingerprint: func() (string, error) { return fmt.Sprint(version.Load()), nil },
		Every:       100 * time.Microsecond,
		OnError:     func(err error) { t.Error(err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := m.Classify(t.Context(), "text"); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 50 {
		version.Add(1)
		time.Sleep(2 * time.Millisecond)
	}
	close(stop)
	callers.Wait()
	if got := m.Info().Name; got == "0" {
		t.Error("the model was never replaced")
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
}

func BenchmarkClassify(b *testing.B) {
	d := &disk{fingerprint: "1", model: &model{}}
	m, err := reload.New(b.Context(), reload.Config{
		Open: func(context.Context) (classifier.Model, error) { return nothing{}, nil }, Fingerprint: d.Fingerprint, Every: time.Hour,
	})
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	ctx := context.Background()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.Classify(ctx, "text")
		}
	})
}

// nothing is a model that costs nothing.
type nothing struct{ classifier.Model }

func (nothing) Classify(context.Context, string) (classifier.Result, error) {
	return classifier.Result{}, nil
}
func (nothing) Close() error { return nil }
