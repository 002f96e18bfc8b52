package batch

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"semantic-epp/classifier"
)

// A Runner answers a batch: one answer for each item, in the same order. Each
// item is to be padded to size tokens. Runs do not overlap. An item belongs to
// the run until it returns, even where nobody waits for it any more.
type Runner[Item, Answer any] func(items []Item, size int) ([]Answer, error)

// A Batcher gathers items into batches and runs one batch at a time. The
// oldest item leads: its batch is what came with it and is of its bucket or of
// the next smaller one, so that padding at most doubles an item. So no item
// waits for newer ones but those that fit into its own batch.
type Batcher[Item, Answer any] struct {
	cfg  Config
	run  Runner[Item, Answer]
	news chan struct{} // there is an item; buffered: one says it for all

	mu     sync.Mutex
	queue  []*entry[Item, Answer] // the oldest first
	free   bool                   // the device, since the queue was empty
	closed bool

	done chan struct{} // closed when the worker is gone
}

type entry[Item, Answer any] struct {
	ctx     context.Context
	item    Item
	bucket  int
	arrived time.Time
	outcome chan outcome[Answer] // buffered: nobody may be waiting any more
}

type outcome[Answer any] struct {
	answer Answer
	err    error
}

// New starts the goroutine that calls run; Close stops it. The error names
// everything that is wrong with cfg.
func New[Item, Answer any](cfg Config, run Runner[Item, Answer]) (*Batcher[Item, Answer], error) {
	err := cfg.check()
	if run == nil {
		err = errors.Join(err, errors.New("there is no runner"))
	}
	if err != nil {
		return nil, fmt.Errorf("make a batcher: %w", err)
	}
	b := &Batcher[Item, Answer]{cfg: cfg, run: run, news: make(chan struct{}, 1), free: true, done: make(chan struct{})}
	go b.work()
	return b, nil
}

// Do waits until item, of size tokens, has been in a batch. The error is
// classifier.ErrOverloaded at once where the queue is full,
// classifier.ErrClosed after Close, the error of ctx as soon as that ends, and
// the runner's, also where it panics, for every item of its batch.
func (b *Batcher[Item, Answer]) Do(ctx context.Context, item Item, size int) (answer Answer, err error) {
	if err := ctx.Err(); err != nil {
		return answer, fmt.Errorf("batch: before it began: %w", err)
	}
	if size < 1 || size > b.cfg.MaxSize {
		return answer, fmt.Errorf("batch: an item of %d tokens is not within 1 to %d", size, b.cfg.MaxSize)
	}
	e := &entry[Item, Answer]{ctx: ctx, item: item, bucket: b.cfg.bucket(size), arrived: time.Now(), outcome: make(chan outcome[Answer], 1)}
	if err := b.enqueue(e); err != nil {
		return answer, err
	}
	select {
	case o := <-e.outcome:
		return o.answer, o.err
	case <-ctx.Done():
		b.forget(e)
		return answer, fmt.Errorf("batch: %w", ctx.Err())
	}
}

// Close turns new and waiting callers away, then waits for the run that goes
// on, at most until ctx ends.
func (b *Batcher[Item, Answer]) Close(ctx context.Context) error {
	b.mu.Lock()
	b.closed = true
	turnedAway := b.queue
	b.queue = nil
	b.mu.Unlock()
	for _, e := range turnedAway {
		e.fail(classifier.ErrClosed)
	}
	b.wake()
	select {
	case <-b.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close batcher: a run goes on: %w", ctx.Err())
	}
}

func (b *Batcher[Item, Answer]) enqueue(e *entry[Item, Answer]) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		return classifier.ErrClosed
	case len(b.queue) >= b.cfg.Queue:
		return classifier.ErrOverloaded
	}
	b.queue = append(b.queue, e)
	b.wake()
	return nil
}

// forget makes room in the queue where e is still there.
func (b *Batcher[Item, Answer]) forget(e *entry[Item, Answer]) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.Index(b.queue, e); i >= 0 {
		b.queue = slices.Delete(b.queue, i, i+1)
	}
}

func (b *Batcher[Item, Answer]) wake() {
	select {
	case b.news <- struct{}{}:
	default:
	}
}

func (b *Batcher[Item, Answer]) work() {
	defer close(b.done)
	for {
		batch := b.next()
		if batch == nil {
			return
		}
		b.answer(batch)
	}
}

// next waits for a batch; nil means that the batcher is closed. An item that
// finds the device free goes at once. Items that came during the last run go
// when their batch is full or the oldest has waited long enough.
func (b *Batcher[Item, Answer]) next() []*entry[Item, Answer] {
	for {
		batch, wait, closed := b.take()
		switch {
		case closed:
			return nil
		case batch != nil:
			return batch
		case wait == 0:
			<-b.news
		default:
			timer := time.NewTimer(wait)
			select {
			case <-b.news:
			case <-timer.C:
			}
			timer.Stop()
		}
	}
}

// take takes the batch of the oldest item out of the queue, or says how long
// that may wait for others: 0 where there is nothing in the queue.
func (b *Batcher[Item, Answer]) take() (batch []*entry[Item, Answer], wait time.Duration, closed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, 0, true
	}
	b.queue = slices.DeleteFunc(b.queue, (*entry[Item, Answer]).gone)
	if len(b.queue) == 0 {
		b.free = true
		return nil, 0, false
	}
	batch, full := b.gather()
	if wait := b.cfg.MaxWait - time.Since(b.queue[0].arrived); !b.free && !full && wait > 0 {
		return nil, wait, false
	}
	b.free = false
	rest := b.queue[:0]
	for taken, i := 0, 0; i < len(b.queue); i++ {
		if taken < len(batch) && b.queue[i] == batch[taken] {
			taken++
		} else {
			rest = append(rest, b.queue[i])
		}
	}
	clear(b.queue[len(rest):])
	b.queue = rest
	return batch, 0, false
}

// gather lists the batch of the oldest item, in the order of the queue, and
// says whether it has no room for another.
func (b *Batcher[Item, Answer]) gather() (batch []*entry[Item, Answer], full bool) {
	size := b.queue[0].bucket
	room := b.cfg.room(size)
	for _, e := range b.queue {
		if e.bucket <= size && e.bucket*2 >= size {
			batch = append(batch, e)
		}
		if len(batch) == room {
			return batch, true
		}
	}
	return batch, false
}

func (b *Batcher[Item, Answer]) answer(batch []*entry[Item, Answer]) {
	items := make([]Item, len(batch))
	for i, e := range batch {
		items[i] = e.item
	}
	size := batch[0].bucket
	if b.cfg.OnBatch != nil {
		b.cfg.OnBatch(len(items), size)
	}
	answers, err := b.safely(items, size)
	if err == nil && len(answers) != len(items) {
		err = fmt.Errorf("batch: the runner gave %d answers for %d items", len(answers), len(items))
	}
	for i, e := range batch {
		if err != nil {
			e.fail(err)
		} else {
			e.outcome <- outcome[Answer]{answer: answers[i]}
		}
	}
}

// safely turns a panic into an error. Only the runtime's own messages are
// told: another panic may carry the text.
func (b *Batcher[Item, Answer]) safely(items []Item, size int) (answers []Answer, err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case runtime.Error:
			err = fmt.Errorf("batch: the runner panicked: %w", p)
		default:
			err = fmt.Errorf("batch: the runner panicked with a %T", p)
		}
	}()
	return b.run(items, size)
}

// gone reports whether nobody waits for e any more, and tells a caller who has
// not noticed yet.
func (e *entry[Item, Answer]) gone() bool {
	err := e.ctx.Err()
	if err != nil {
		e.fail(fmt.Errorf("batch: %w", err))
	}
	return err != nil
}

func (e *entry[Item, Answer]) fail(err error) {
	e.outcome <- outcome[Answer]{err: err}
}
