//go:build cgo

package onnx

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"semantic-epp/classifier"
	"semantic-epp/classifier/tokenizer"
)

// A Model classifies or embeds texts, or both: one loaded graph serves both. A
// run cannot be interrupted; on the CPU, put a classifier.Bounded before it.
type Model struct {
	cfg       Config // without the files
	tokenizer *tokenizer.Tokenizer
	blank     int       // tokens of a text that says nothing
	ids       sync.Pool // of *[]int64: tokens of a text that runs alone

	cpu      *backend
	gpu      *backend // nil where there is none
	current  atomic.Pointer[backend]
	fallback error
	cores    chan struct{} // one for each run on the CPU at once, after the GPU is lost

	open   sync.RWMutex // held for reading by runs
	closed bool
}

// New loads a model and runs it once with the longest text that it may get.
//
// The graph takes input_ids and, as it likes, attention_mask, token_type_ids
// and position_ids, int64 or int32 of shape [batch, tokens]. Its outputs are
// float32 or float16. For labels it gives logits of shape [batch, labels], as
// its only output or under that name. For embeddings it gives
// sentence_embedding, [batch, dimensions], or else last_hidden_state,
// token_embeddings or its only output of that shape, [batch, tokens,
// dimensions].
//
// Without a GPU that works, Device "auto" means the CPU; see Fallback.
func New(cfg Config) (*Model, error) {
	m, err := load(cfg)
	if err != nil {
		return nil, fmt.Errorf("load ONNX model: %w", err)
	}
	return m, nil
}

func load(cfg Config) (*Model, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	on, err := parseDevice(cfg.Device)
	if err != nil {
		return nil, err
	}
	library, err := FindLibrary(cfg.Library)
	if err != nil {
		return nil, err
	}
	if err := loadEnvironment(library); err != nil {
		return nil, err
	}
	cpu, err := openBackend(&cfg, cfg.forCPU(), device{})
	if err != nil {
		return nil, err
	}
	m := &Model{cfg: cfg, tokenizer: cfg.Tokenizer, blank: len(cfg.Tokenizer.Encode(nil, "", cfg.MaxTokens)), cpu: cpu}
	m.ids.New = func() any { return new([]int64) }
	m.cfg.Model, m.cfg.CUDAModel = nil, nil
	m.current.Store(cpu)
	if !on.cuda && !cfg.batchOnCPU {
		return m, nil
	}
	switch err := m.accelerate(&cfg, on); {
	case err != nil && on.must:
		return nil, errors.Join(err, m.Close())
	case err != nil:
		m.fallback = fmt.Errorf("the model runs on the CPU: %w", err)
	}
	return m, nil
}

// accelerate opens the model on the GPU beside the one on the CPU.
func (m *Model) accelerate(cfg *Config, on device) error {
	if cfg.MakeCUDA != nil {
		if err := probeCUDA(); err != nil {
			return explain(err)
		}
		var err error
		if cfg.CUDAModel, err = cfg.MakeCUDA(); err != nil {
			return fmt.Errorf("make the model for CUDA: %w", err)
		}
	}
	gpu, err := openBackend(cfg, cfg.forCUDA(), on)
	if err != nil {
		return explain(err)
	}
	err = gpu.warm(cfg)
	if err == nil {
		err = gpu.gather(cfg, m.gpuFailed)
	}
	if err != nil {
		return errors.Join(explain(err), gpu.session.Destroy())
	}
	m.gpu = gpu
	m.cores = make(chan struct{}, runtime.GOMAXPROCS(0))
	m.current.Store(gpu)
	return nil
}

// gpuFailed goes over to the CPU where the error of a run on the GPU says that
// there will be no better one.
func (m *Model) gpuFailed(err error) error {
	if !lost(err) {
		return err
	}
	if m.current.CompareAndSwap(m.gpu, m.cpu) && m.cfg.OnFallback != nil {
		m.cfg.OnFallback(fmt.Errorf("the model goes over from %s to the CPU: %w", m.gpu.info.Device, err))
	}
	return errLost
}

// Classify reads at most the configured number of tokens: of a longer text the
// head and the tail. A blank text is ErrNoMatch.
func (m *Model) Classify(ctx context.Context, text string) (classifier.Result, error) {
	if len(m.cfg.Labels) == 0 {
		return classifier.Result{}, errors.New("classify: the model was opened without labels")
	}
	logits, by, err := m.ask(ctx, text, false)
	if err != nil {
		return classifier.Result{}, err
	}
	return by.rank(logits, m.cfg.Temperature)
}

// Embed returns a vector of length 1 that stands for what the text means. It
// reads as much of it as Classify does. A blank text is classifier.ErrNoMatch.
func (m *Model) Embed(ctx context.Context, text string) ([]float32, error) {
	if !m.cfg.Embeddings {
		return nil, errors.New("embed: the model was opened without embeddings")
	}
	vector, _, err := m.ask(ctx, text, true)
	return vector, err
}

// ask returns the logits or the embedding of text, and who gave them.
func (m *Model) ask(ctx context.Context, text string, embed bool) (values []float32, by *backend, err error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, fmt.Errorf("run ONNX model: before it began: %w", err)
	}
	m.open.RLock()
	defer m.open.RUnlock()
	if m.closed {
		return nil, nil, classifier.ErrClosed
	}
	if by = m.current.Load(); by == m.cpu {
		values, err = m.onCPU(ctx, text, embed)
		return values, m.cpu, err
	}
	// Fresh memory: the batch may outlast this caller.
	ids, err := m.encode(nil, text)
	if err != nil {
		return nil, nil, err
	}
	a, err := by.batcher.Do(ctx, job{ids, embed}, len(ids))
	if errors.Is(err, errLost) {
		values, err = m.onCPU(ctx, text, embed)
		return values, m.cpu, err
	}
	return a.values, by, errors.Join(err, a.err)
}

// onCPU runs text alone. After the GPU was lost as many callers come as its
// batches held, so they wait here for a core each.
func (m *Model) onCPU(ctx context.Context, text string, embed bool) ([]float32, error) {
	if m.cores != nil {
		select {
		case m.cores <- struct{}{}:
			defer func() { <-m.cores }()
		case <-ctx.Done():
			return nil, fmt.Errorf("run ONNX model: waiting for a core: %w", ctx.Err())
		}
	}
	ids := m.ids.Get().(*[]int64)
	defer m.ids.Put(ids)
	var err error
	if *ids, err = m.encode((*ids)[:0], text); err != nil {
		return nil, err
	}
	return m.cpu.alone(job{*ids, embed})
}

// encode appends the tokens of text that the model reads.
func (m *Model) encode(dst []int64, text string) ([]int64, error) {
	ids := m.tokenizer.EncodeEnds(dst, text, m.cfg.MaxTokens)
	if len(ids) <= m.blank {
		return ids, classifier.ErrNoMatch
	}
	return ids, nil
}

// Fallback says why the model runs on the CPU though Device "auto" would have
// had it on a GPU; nil where it got what it asked for. It belongs in the log,
// once.
func (m *Model) Fallback() error { return m.fallback }

// Info describes the model where it runs now.
func (m *Model) Info() classifier.Info { return m.current.Load().info }

// Close waits for the runs that go on and frees the model. ONNX Runtime itself
// stays loaded.
func (m *Model) Close() error {
	if m.gpu != nil { // callers that wait for a batch get ErrClosed
		if err := m.gpu.batcher.Close(context.Background()); err != nil {
			return err
		}
	}
	m.open.Lock()
	defer m.open.Unlock()
	if m.closed {
		return nil
	}
	m.closed = true
	err := m.cpu.session.Destroy()
	if m.gpu != nil {
		err = errors.Join(err, m.gpu.session.Destroy())
	}
	if err != nil {
		return fmt.Errorf("close ONNX model: %w", err)
	}
	return nil
}
