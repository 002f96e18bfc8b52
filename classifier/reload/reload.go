package reload

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"semantic-epp/classifier"
)

// Config says what to open and when to look.
type Config struct {
	Open        func(ctx context.Context) (classifier.Model, error)
	Fingerprint func() (string, error) // differs when Open would give another model; see Paths
	Every       time.Duration          // between two looks

	// AllowNewLabels takes a model over whose set of labels differs. Without
	// it such a model is refused, since rules refer to labels.
	AllowNewLabels bool

	// OnReload and OnError may be nil. OnError is called once for each state of
	// the files that could not be taken over, and where a replaced model did
	// not close, perhaps at the same time.
	OnReload func(before, after classifier.Info)
	OnError  func(err error)
}

func (c *Config) check() error {
	var errs []error
	if c.Open == nil {
		errs = append(errs, errors.New("there is nothing that opens the model"))
	}
	if c.Fingerprint == nil {
		errs = append(errs, errors.New("there is no fingerprint"))
	}
	if c.Every <= 0 {
		errs = append(errs, fmt.Errorf("the time between two looks is %v, not above 0", c.Every))
	}
	return errors.Join(errs...)
}

// A Model is a classifier.Model that holds another one and replaces it.
type Model struct {
	cfg     Config
	current atomic.Pointer[held] // nil when closed
	loaded  string               // the fingerprint of current; of the watcher alone

	stop    context.CancelFunc
	close   sync.Once
	running sync.WaitGroup // the watcher, and the closing of old models
}

// held is a model that can be in use while another one takes its place.
type held struct {
	model classifier.Model
	users atomic.Int64  // runs, and one for being the current model
	idle  chan struct{} // closed when the last user has left
}

func hold(model classifier.Model) *held {
	h := &held{model: model, idle: make(chan struct{})}
	h.users.Store(1)
	return h
}

// enter says whether the model may be run; after the last user left, it may
// not.
func (h *held) enter() bool {
	for n := h.users.Load(); n > 0; n = h.users.Load() {
		if h.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
	return false
}

func (h *held) leave() {
	if h.users.Add(-1) == 0 {
		close(h.idle)
	}
}

// retire closes a model that is no longer the current one, after its runs.
func (h *held) retire() error {
	h.leave()
	<-h.idle
	return h.model.Close()
}

// New opens the model and begins to watch it. ctx ends the opening; Close ends
// the watching.
func New(ctx context.Context, cfg Config) (*Model, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("watch a model: %w", err)
	}
	if cfg.OnReload == nil {
		cfg.OnReload = func(classifier.Info, classifier.Info) {}
	}
	if cfg.OnError == nil {
		cfg.OnError = func(error) {}
	}
	m := &Model{cfg: cfg}
	var err error
	// Before the opening: what changes during it is seen at the next look.
	if m.loaded, err = cfg.Fingerprint(); err != nil {
		return nil, fmt.Errorf("watch a model: %w", err)
	}
	model, err := m.open(ctx)
	if err != nil {
		return nil, err
	}
	m.current.Store(hold(model))
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	m.stop = stop
	m.running.Go(func() { m.watch(watching) })
	return m, nil
}

// Classify asks the newest model that is open.
func (m *Model) Classify(ctx context.Context, text string) (classifier.Result, error) {
	h := m.enter()
	if h == nil {
		return classifier.Result{}, classifier.ErrClosed
	}
	defer h.leave()
	return h.model.Classify(ctx, text)
}

// Embed asks the newest model that is open, where that is a
// classifier.Embedder.
func (m *Model) Embed(ctx context.Context, text string) ([]float32, error) {
	h := m.enter()
	if h == nil {
		return nil, classifier.ErrClosed
	}
	defer h.leave()
	e, ok := h.model.(classifier.Embedder)
	if !ok {
		return nil, fmt.Errorf("embed: the model %s gives no embeddings", h.model.Info().Name)
	}
	return e.Embed(ctx, text)
}

// enter returns the newest model, entered, or nil after Close. One that cannot
// be entered was replaced since.
func (m *Model) enter() *held {
	for {
		if h := m.current.Load(); h == nil || h.enter() {
			return h
		}
	}
}

// Info describes the newest model; after Close it is empty.
func (m *Model) Info() classifier.Info {
	if h := m.current.Load(); h != nil {
		return h.model.Info()
	}
	return classifier.Info{}
}

// Close stops watching, waits for runs that go on, and closes the model.
func (m *Model) Close() error {
	var err error
	m.close.Do(func() {
		m.stop()
		m.running.Wait()
		if err = m.current.Swap(nil).retire(); err != nil {
			err = fmt.Errorf("close the watched model: %w", err)
		}
	})
	return err
}

// watch looks at the files until ctx ends. Two looks in a row have to agree
// before a change counts: a model that is being copied is not yet one.
func (m *Model) watch(ctx context.Context) {
	ticks := time.NewTicker(m.cfg.Every)
	defer ticks.Stop()
	var before, refused string
	for {
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return
		}
		now, err := m.cfg.Fingerprint()
		if err != nil {
			err = fmt.Errorf("look at the model's files: %w", err)
			now = "\x00" + err.Error() // a state too, told once
		}
		settled := now == before
		before = now
		switch {
		case now == m.loaded:
			refused = ""
			continue
		case !settled || now == refused:
			continue
		}
		if err == nil {
			err = m.replace(ctx, now)
		}
		if err != nil && ctx.Err() == nil {
			refused = now
			m.cfg.OnError(fmt.Errorf("reload the model: the old one stays: %w", err))
		}
	}
}

// replace opens the model that the files now hold and puts it in place.
func (m *Model) replace(ctx context.Context, fingerprint string) error {
	model, err := m.open(ctx)
	if err != nil {
		return err
	}
	old := m.current.Load()
	before, after := old.model.Info(), model.Info()
	if err := sameLabels(before.Labels, after.Labels); err != nil && !m.cfg.AllowNewLabels {
		return errors.Join(err, model.Close())
	}
	m.current.Store(hold(model))
	m.loaded = fingerprint
	m.running.Go(func() { // a long run must not keep the watcher from looking
		if err := old.retire(); err != nil {
			m.cfg.OnError(fmt.Errorf("close the replaced model: %w", err))
		}
	})
	m.cfg.OnReload(before, after)
	return nil
}

// open turns a panic into an error: the files may hold anything.
func (m *Model) open(ctx context.Context) (model classifier.Model, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("open the model: panic: %v", p)
		}
	}()
	if model, err = m.cfg.Open(ctx); err != nil {
		return nil, fmt.Errorf("open the model: %w", err)
	}
	return model, nil
}

// sameLabels compares two sets of labels; their order does not matter.
func sameLabels(before, after []string) error {
	gone := without(before, after)
	added := without(after, before)
	if len(gone)+len(added) == 0 {
		return nil
	}
	return fmt.Errorf("its labels differ, and rules refer to labels: gone [%s], new [%s]; restart with rules for them, or allow new labels",
		strings.Join(gone, ", "), strings.Join(added, ", "))
}

// without is what of a is not in b, quoted.
func without(a, b []string) []string {
	var rest []string
	for _, label := range a {
		if !slices.Contains(b, label) {
			rest = append(rest, fmt.Sprintf("%q", label))
		}
	}
	return rest
}
