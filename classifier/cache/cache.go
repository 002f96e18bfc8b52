package cache

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"

	"semantic-epp/classifier"
)

// Config says how much to remember.
type Config struct {
	Entries int // at least 1
	Bytes   int // at least MinBytes; an entry's share of the tables is counted, labels are not

	// Revision names the model that answers now. When it changes, everything
	// is forgotten. Nil where the model never changes.
	Revision func() string

	// These count and may be nil. They run on the caller's goroutine.
	OnHit    func() // the answer was remembered
	OnShared func() // a run for the same text was on its way
	OnMiss   func() // a run was begun
}

// MinBytes is the least that a cache can do with.
const MinBytes = 64 << 10

func (c *Config) check(inner classifier.Classifier) error {
	var errs []error
	if inner == nil {
		errs = append(errs, errors.New("there is no classifier"))
	}
	if c.Entries < 1 {
		errs = append(errs, fmt.Errorf("entries are %d, below 1", c.Entries))
	}
	if c.Bytes < MinBytes {
		errs = append(errs, fmt.Errorf("bytes are %d, below %d", c.Bytes, MinBytes))
	}
	return errors.Join(errs...)
}

// A Cache is a Classifier that remembers another one's answers.
type Cache struct {
	classifier classifier.Classifier
	cfg        Config
	digester   *digester
	current    atomic.Pointer[generation]
}

// New returns a cache before c. The error names everything that is wrong with
// cfg.
func New(c classifier.Classifier, cfg Config) (*Cache, error) {
	if err := cfg.check(c); err != nil {
		return nil, fmt.Errorf("cache answers: %w", err)
	}
	if cfg.Revision == nil {
		cfg.Revision = func() string { return "" }
	}
	for _, count := range []*func(){&cfg.OnHit, &cfg.OnShared, &cfg.OnMiss} {
		if *count == nil {
			*count = func() {}
		}
	}
	d, err := newDigester()
	if err != nil {
		return nil, fmt.Errorf("cache answers: %w", err)
	}
	cache := &Cache{classifier: c, cfg: cfg, digester: d}
	cache.current.Store(newGeneration(cfg.Revision(), cfg.Entries, cfg.Bytes))
	return cache, nil
}

// Classify returns the remembered answer, ErrNoMatch among them, or joins the
// run that is on its way, or begins one. Other errors are not remembered. A
// run goes on for as long as anybody waits for it, whoever began it; it sees
// the values of the context that began it, but neither its deadline nor its
// end.
func (c *Cache) Classify(ctx context.Context, text string) (classifier.Result, error) {
	if err := ctx.Err(); err != nil {
		return classifier.Result{}, fmt.Errorf("classify: %w", err)
	}
	k := c.digester.digest(tenant(ctx), text)
	s := c.generation().shard(k)
	s.mu.Lock()
	if e := s.get(k); e != nil {
		r, err := e.answer()
		s.mu.Unlock()
		c.cfg.OnHit()
		return r, err
	}
	f, shared := s.flights[k]
	if !shared {
		f = &flight{done: make(chan struct{})}
		s.flights[k] = f
	}
	f.waiters++
	var run context.Context
	if !shared {
		run, f.cancel = context.WithCancel(context.WithoutCancel(ctx))
	}
	s.mu.Unlock()
	if shared {
		c.cfg.OnShared()
	} else {
		c.cfg.OnMiss()
		go c.fly(run, s, k, f, text)
	}
	select {
	case <-f.done:
		return clone(f.result), f.err
	case <-ctx.Done():
		s.abandon(k, f)
		return classifier.Result{}, fmt.Errorf("classify: during the run: %w", ctx.Err())
	}
}

// generation is the memory for the model that answers now.
func (c *Cache) generation() *generation {
	revision := c.cfg.Revision()
	for {
		g := c.current.Load()
		if g.revision == revision {
			return g
		}
		fresh := newGeneration(revision, c.cfg.Entries, c.cfg.Bytes)
		if c.current.CompareAndSwap(g, fresh) {
			return fresh
		}
		revision = c.cfg.Revision() // another caller saw a change: perhaps a newer one
	}
}

// A flight is a run that callers wait for.
type flight struct {
	waiters int // guarded by the shard
	cancel  context.CancelFunc

	done   chan struct{} // closed when the two below are set
	result classifier.Result
	err    error
}

// fly runs the classifier and hands out what it says.
func (c *Cache) fly(ctx context.Context, s *shard, k key, f *flight, text string) {
	defer f.cancel()
	f.result, f.err = c.run(ctx, text)
	s.mu.Lock()
	if s.flights[k] == f {
		delete(s.flights, k)
		if f.err == nil || errors.Is(f.err, classifier.ErrNoMatch) {
			s.put(k, f.result, f.err != nil)
		}
	}
	s.mu.Unlock()
	close(f.done)
}

// run turns a panic into an error, as the caller could have done had it run
// the classifier itself. A panic's own words may carry the text.
func (c *Cache) run(ctx context.Context, text string) (r classifier.Result, err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case runtime.Error:
			err = fmt.Errorf("classify: the classifier panicked: %w", p)
		default:
			err = fmt.Errorf("classify: the classifier panicked with a %T", p)
		}
	}()
	return c.classifier.Classify(ctx, text)
}

// abandon leaves a flight. The last to leave ends it, and nobody joins it any
// more.
func (s *shard) abandon(k key, f *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.waiters--; f.waiters > 0 {
		return
	}
	if s.flights[k] == f {
		delete(s.flights, k)
	}
	f.cancel()
}
