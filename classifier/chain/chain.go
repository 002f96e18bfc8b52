package chain

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"semantic-epp/classifier"
	"semantic-epp/classifier/builtin"
	"semantic-epp/classifier/cache"
	"semantic-epp/classifier/cascade"
	"semantic-epp/config"
)

// A CPU runs one text at a time on each core; a GPU wants many, for its
// batches.
const gpuConcurrency = 256

// entryBytes is more than an answer of the built-in categories takes.
const entryBytes = 2 << 10

// Options say how to open a Chain. Hooks may be nil; they must not wait.
type Options struct {
	Library string        // path of ONNX Runtime's shared library; "" to search, see onnx.FindLibrary
	Every   time.Duration // between two looks at a model's directory; 0 means never

	Notice   func(error)      // what an operator should know, once each
	Fallback func(error)      // the GPU was lost
	Reloaded func(err error)  // a changed model was taken over, or, with an error, refused
	Answered func(from Stage) // who gave an answer
}

// Stage is a part of a chain that can answer.
type Stage string

const (
	FromCache  Stage = "cache"
	FromLinear Stage = "linear"
	FromModel  Stage = "model"
)

// A Chain is an open classifier. It is safe for concurrent use.
type Chain struct {
	cfg     config.Classifier
	options Options
	front   classifier.Classifier // nil for the model "none"
	model   classifier.Model      // what Info tells of; nil likewise

	mutex    sync.Mutex // held while a model is opened
	opened   []opened
	embedder atomic.Pointer[classifier.Bounded] // nil until the first Embed
	closed   bool
}

// opened is a model with the bound on what it is asked at once.
type opened struct {
	model   classifier.Model
	bounded *classifier.Bounded
}

// Open opens what cfg, which is valid, asks for. For the model "none" the
// Chain classifies nothing, and may still embed.
func Open(ctx context.Context, cfg config.Classifier, o Options) (*Chain, error) {
	o.setDefaults()
	c := &Chain{cfg: cfg, options: o}
	if cfg.Model == "none" {
		return c, nil
	}
	if err := c.open(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open classifier: %w", err), c.Close(context.WithoutCancel(ctx)))
	}
	return c, nil
}

func (o *Options) setDefaults() {
	if o.Notice == nil {
		o.Notice = func(error) {}
	}
	if o.Fallback == nil {
		o.Fallback = func(error) {}
	}
	if o.Reloaded == nil {
		o.Reloaded = func(error) {}
	}
	if o.Answered == nil {
		o.Answered = func(Stage) {}
	}
}

// open opens the model that classifies and puts before it what answers sooner.
func (c *Chain) open(ctx context.Context) error {
	name, own := c.cfg.Model, len(c.cfg.Categories) > 0
	if own { // a model that embeds does
		name = c.embedderName()
	}
	m, err := c.add(ctx, source{c.cfg, c.options, own}, name)
	if err != nil {
		return err
	}
	c.model = m.model
	if _, embeds := m.model.(classifier.Embedder); embeds && !isPath(name) && name == c.embedderName() {
		c.embedder.Store(m.bounded)
	}
	stages := []cascade.Stage{{Name: string(FromModel), Classifier: m.bounded}}
	if c.cfg.Cascade.Linear != nil {
		linear, err := c.linear()
		if err != nil {
			return err
		}
		stages = slices.Insert(stages, 0, cascade.Stage{Name: string(FromLinear), Classifier: linear, MinConfidence: *c.cfg.Cascade.Linear})
	}
	c.front, err = cascade.New(cascade.Hooks{
		Answered: func(_ context.Context, stage string) { c.options.Answered(Stage(stage)) },
		Failed:   func(_ context.Context, _ string, err error) { c.options.Notice(err) },
	}, stages...)
	if err != nil || c.cfg.Cache.Entries == 0 {
		return err
	}
	fromCache := func() { c.options.Answered(FromCache) }
	c.front, err = cache.New(c.front, cache.Config{
		Entries:  c.cfg.Cache.Entries,
		Bytes:    max(cache.MinBytes, c.cfg.Cache.Entries*entryBytes),
		Revision: func() string { return c.model.Info().Revision },
		OnHit:    fromCache,
		OnShared: fromCache,
	})
	return err
}

func (c *Chain) embedderName() string { return cmp.Or(c.cfg.Embedder, "builtin") }

// add opens a model and bounds what it is asked at once.
func (c *Chain) add(ctx context.Context, s source, name string) (opened, error) {
	model, err := s.open(ctx, name)
	if err != nil {
		return opened{}, err
	}
	atOnce := runtime.GOMAXPROCS(0)
	if strings.HasPrefix(model.Info().Device, "cuda") {
		atOnce = gpuConcurrency
	}
	atOnce = cmp.Or(c.cfg.Concurrency, atOnce)
	bounded, err := classifier.Bound(model, classifier.BoundConfig{Concurrency: atOnce, Queue: cmp.Or(c.cfg.Queue, 8*atOnce)})
	if err != nil {
		return opened{}, errors.Join(err, model.Close())
	}
	c.opened = append(c.opened, opened{model, bounded})
	return c.opened[len(c.opened)-1], nil
}

// linear opens the model that may answer first, if it speaks of the same
// categories.
func (c *Chain) linear() (classifier.Classifier, error) {
	linear, err := builtin.Open(builtin.Options{Model: builtin.Linear})
	if err != nil {
		return nil, err
	}
	labels := c.model.Info().Labels
	for _, label := range linear.Info().Labels {
		if !slices.Contains(labels, label) {
			return nil, fmt.Errorf("the linear model cannot answer first: its category %q is none of the model's, which are %s", label, strings.Join(labels, ", "))
		}
	}
	return linear, nil
}

// Classify asks the cache, the linear model and the model, as configured.
func (c *Chain) Classify(ctx context.Context, text string) (classifier.Result, error) {
	if c.front == nil {
		return classifier.Result{}, classifier.ErrNoMatch
	}
	return c.front.Classify(ctx, text)
}

// Embed returns the embedding of a text. Where the model that classifies is
// not the one that embeds, the first call opens that.
func (c *Chain) Embed(ctx context.Context, text string) ([]float32, error) {
	e := c.embedder.Load()
	if e == nil {
		var err error
		if e, err = c.openEmbedder(ctx); err != nil {
			return nil, err
		}
	}
	return e.Embed(ctx, text)
}

func (c *Chain) openEmbedder(ctx context.Context) (*classifier.Bounded, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if e := c.embedder.Load(); e != nil {
		return e, nil
	}
	if c.closed {
		return nil, classifier.ErrClosed
	}
	cfg := c.cfg
	cfg.Categories = nil
	m, err := c.add(ctx, source{cfg, c.options, true}, c.embedderName())
	if err != nil {
		return nil, fmt.Errorf("open embedder: %w", err)
	}
	c.embedder.Store(m.bounded)
	return m.bounded, nil
}

// Classifies says whether there is a model to classify with.
func (c *Chain) Classifies() bool { return c.front != nil }

// Info describes the model that classifies; empty where there is none.
func (c *Chain) Info() classifier.Info {
	if c.model == nil {
		return classifier.Info{}
	}
	return c.model.Info()
}

// Close turns callers away, waits at most until ctx ends for runs that go on,
// and frees the models. One that still runs is left to the end of the process.
func (c *Chain) Close(ctx context.Context) error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.closed = true
	var errs []error
	for _, m := range c.opened {
		if err := m.bounded.Close(ctx); err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, m.model.Close())
	}
	c.opened = nil
	return errors.Join(errs...)
}
