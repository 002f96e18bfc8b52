package classifier

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
)

// ErrClosed means that the classifier was closed before it could answer.
var ErrClosed = errors.New("classifier is closed")

// BoundConfig says how much work a Bounded takes on.
type BoundConfig struct {
	Concurrency int // runs at once, at least 1
	Queue       int // callers that may wait beyond those, at least 0
}

// A Bounded limits how many texts another Classifier works on at once, be it to
// classify or to embed them, and how many wait for that. A caller gives up when its context ends; a run that
// cannot be interrupted goes on and keeps its place until it returns, so that
// slow runs never pile up.
type Bounded struct {
	classifier Classifier
	room       chan struct{} // one for each caller that runs or waits
	jobs       chan *job     // unbuffered: who waits can still leave
	closing    chan struct{}
	close      sync.Once
	done       chan struct{} // closed when the last worker is gone
}

type job struct {
	ctx    context.Context
	text   string
	embed  bool
	answer chan answer // buffered: nobody may be waiting any more
}

type answer struct {
	result Result
	vector []float32
	err    error
}

// Bound starts cfg.Concurrency workers that run c; Close stops them. The error
// names everything that is wrong with cfg.
func Bound(c Classifier, cfg BoundConfig) (*Bounded, error) {
	var errs []error
	if c == nil {
		errs = append(errs, errors.New("there is no classifier"))
	}
	if cfg.Concurrency < 1 {
		errs = append(errs, fmt.Errorf("concurrency is %d, below 1", cfg.Concurrency))
	}
	if cfg.Queue < 0 {
		errs = append(errs, fmt.Errorf("queue is %d, below 0", cfg.Queue))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("bound a classifier: %w", err)
	}
	b := &Bounded{
		classifier: c,
		room:       make(chan struct{}, cfg.Concurrency+cfg.Queue),
		jobs:       make(chan *job),
		closing:    make(chan struct{}),
		done:       make(chan struct{}),
	}
	var workers sync.WaitGroup
	for range cfg.Concurrency {
		workers.Go(b.work)
	}
	go func() {
		workers.Wait()
		close(b.done)
	}()
	return b, nil
}

// Classify waits for a worker and for its answer. It returns ErrOverloaded at
// once where the queue is full, ErrClosed after Close, and an error where the
// classifier panics.
func (b *Bounded) Classify(ctx context.Context, text string) (Result, error) {
	a := b.ask(&job{ctx: ctx, text: text, answer: make(chan answer, 1)})
	return a.result, a.err
}

// Embed is as Classify, for a classifier that is an Embedder too.
func (b *Bounded) Embed(ctx context.Context, text string) ([]float32, error) {
	a := b.ask(&job{ctx: ctx, text: text, embed: true, answer: make(chan answer, 1)})
	return a.vector, a.err
}

func (b *Bounded) ask(j *job) answer {
	if err := j.ctx.Err(); err != nil {
		return answer{err: fmt.Errorf("classify: before it began: %w", err)}
	}
	select {
	case b.room <- struct{}{}:
	default:
		return answer{err: ErrOverloaded}
	}
	select {
	case b.jobs <- j:
	case <-j.ctx.Done():
		<-b.room
		return answer{err: fmt.Errorf("classify: in the queue: %w", j.ctx.Err())}
	case <-b.closing:
		<-b.room
		return answer{err: ErrClosed}
	}
	select {
	case a := <-j.answer:
		return a
	case <-j.ctx.Done():
		return answer{err: fmt.Errorf("classify: during the run: %w", j.ctx.Err())}
	}
}

// Close turns new and waiting callers away, then waits for the runs that go
// on, at most until ctx ends. It does not close the classifier.
func (b *Bounded) Close(ctx context.Context) error {
	b.close.Do(func() { close(b.closing) })
	select {
	case <-b.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close classifier: a run goes on: %w", ctx.Err())
	}
}

func (b *Bounded) work() {
	for {
		select {
		case j := <-b.jobs:
			a := b.run(j)
			<-b.room // before the answer: who has it may come again at once
			j.answer <- a
		case <-b.closing:
			return
		}
	}
}

// run turns a panic into an error. Only the runtime's own messages are told:
// another panic may carry the text.
func (b *Bounded) run(j *job) (a answer) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case runtime.Error:
			a.err = fmt.Errorf("classify: the classifier panicked: %w", p)
		default:
			a.err = fmt.Errorf("classify: the classifier panicked with a %T", p)
		}
	}()
	if !j.embed {
		a.result, a.err = b.classifier.Classify(j.ctx, j.text)
		return a
	}
	e, ok := b.classifier.(Embedder)
	if !ok {
		return answer{err: fmt.Errorf("embed: a %T gives no embeddings", b.classifier)}
	}
	a.vector, a.err = e.Embed(j.ctx, j.text)
	return a
}
