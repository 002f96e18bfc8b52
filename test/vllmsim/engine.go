package vllmsim

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// An engine admits sequences into a batch, in the order in which they came,
// and lets their tokens appear in time. It follows vLLM's scheduler: a sequence
// waits for a free place, for KV-cache blocks and for its adapter to fit beside
// those that run; one that only its adapter keeps back lets others pass.
type engine struct {
	cfg Config

	mu       sync.Mutex
	running  []*sequence
	waiting  []*sequence
	reserved int // blocks that the running sequences will come to hold
	stats    stats
}

// A sequence is one request on its way through the engine.
type sequence struct {
	adapter      string // "" for the base model
	promptTokens int
	outputTokens int

	arrived, started, first, latest time.Time

	admitted chan struct{}
	held     int // tokens in the KV cache
}

func newEngine(cfg Config) *engine {
	e := &engine{cfg: cfg, stats: newStats()}
	e.noteAdapters()
	return e
}

// run takes a sequence through the engine and calls emit for each token when
// it is there. It returns when all are, with the error of emit, or when ctx
// ends. finish is vLLM's finished_reason for a sequence that gets to its end.
func (e *engine) run(ctx context.Context, s *sequence, finish string, hang bool, emit func(token int) error) error {
	e.submit(s)
	reason := "abort"
	defer func() { e.leave(s, reason) }()

	select {
	case <-s.admitted:
	case <-ctx.Done():
		return ctx.Err()
	}
	if hang {
		<-ctx.Done()
		return ctx.Err()
	}
	wait := e.cfg.TTFT
	for token := range s.outputTokens {
		if err := sleep(ctx, wait); err != nil {
			return err
		}
		wait = e.cfg.TPOT
		e.produced(s)
		if err := emit(token); err != nil {
			return err
		}
	}
	reason = finish
	return nil
}

// embed takes a sequence without output through the engine.
func (e *engine) embed(ctx context.Context, s *sequence, hang bool) error {
	return e.run(ctx, s, "stop", hang, func(int) error { return errors.New("an embedding has no tokens") })
}

func sleep(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (e *engine) submit(s *sequence) {
	s.admitted = make(chan struct{})
	e.mu.Lock()
	defer e.mu.Unlock()
	s.arrived = time.Now()
	e.waiting = append(e.waiting, s)
	e.schedule()
	e.noteAdapters()
}

// schedule admits what fits. The caller holds the lock.
func (e *engine) schedule() {
	kept := e.waiting[:0]
	for i, s := range e.waiting {
		if len(e.running) == e.cfg.MaxNumSeqs || e.reserved+e.blocks(s.total()) > e.cfg.NumGPUBlocks {
			kept = append(kept, e.waiting[i:]...)
			break
		}
		if !e.adapterFits(s.adapter) {
			kept = append(kept, s)
			continue
		}
		e.reserved += e.blocks(s.total())
		s.started = time.Now()
		s.held = s.promptTokens
		e.running = append(e.running, s)
		close(s.admitted)
	}
	clear(e.waiting[len(kept):])
	e.waiting = kept
}

func (e *engine) adapterFits(adapter string) bool {
	if adapter == "" {
		return true
	}
	active := adaptersOf(e.running)
	return len(active) < e.cfg.MaxLoras || slices.Contains(active, adapter)
}

func (e *engine) produced(s *sequence) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	if s.first.IsZero() {
		s.first = now
		e.stats.firstToken(s)
	} else {
		e.stats.nextToken(now.Sub(s.latest))
	}
	s.latest = now
	s.held++
}

// leave takes a sequence out, wherever it is.
func (e *engine) leave(s *sequence, reason string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if i := slices.Index(e.running, s); i >= 0 {
		e.running = slices.Delete(e.running, i, i+1)
		e.reserved -= e.blocks(s.total())
	} else if i := slices.Index(e.waiting, s); i >= 0 {
		e.waiting = slices.Delete(e.waiting, i, i+1)
	}
	e.stats.finished(s, reason)
	e.schedule()
	e.noteAdapters()
}

// load is the true load. The caller holds the lock.
func (e *engine) load() Load {
	used := 0
	for _, s := range e.running {
		used += e.blocks(s.held)
	}
	return Load{
		Running:      len(e.running),
		Waiting:      len(e.waiting),
		KVCacheUsage: float64(used) / float64(e.cfg.NumGPUBlocks),
	}
}

func (e *engine) blocks(tokens int) int { return (tokens + e.cfg.BlockSize - 1) / e.cfg.BlockSize }

func (s *sequence) total() int { return s.promptTokens + s.outputTokens }

// adaptersOf lists the adapters of sequences, each once, in order.
func adaptersOf(sequences []*sequence) []string {
	var names []string
	for _, s := range sequences {
		if s.adapter != "" {
			names = append(names, s.adapter)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// noteAdapters gives the series of the present state the present time, as vLLM
// does; the series of earlier states stay. The caller holds the lock, or is the
// constructor.
func (e *engine) noteAdapters() {
	if e.cfg.MaxLoras > 0 {
		e.stats.adapters(adaptersOf(e.running), adaptersOf(e.waiting))
	}
}
