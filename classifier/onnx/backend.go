//go:build cgo

package onnx

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"semantic-epp/classifier"
	"semantic-epp/classifier/batch"
)

// A backend is a model on one device.
type backend struct {
	src     source
	info    classifier.Info
	sig     *signature
	session session
	pad     int64
	pooling string
	runs    sync.Pool // of *run

	batcher *batch.Batcher[job, answer] // nil where each text runs alone
}

// A job is one text.
type job struct {
	ids   []int64
	embed bool // whether its embedding is wanted, not its logits
}

// An answer is a text's logits or its embedding, or what is wrong with them.
type answer struct {
	values []float32
	err    error
}

// openBackend loads src and runs it once on a text as long as any will be.
func openBackend(cfg *Config, src source, on device) (*backend, error) {
	g, err := src.graph()
	if err != nil {
		return nil, err
	}
	if on.cuda && g.dynamic != "" {
		return nil, fmt.Errorf("%s is dynamically quantised (%s): on CUDA that is slower than on the CPU: give a float16 or float32 file for CUDA beside it, or device cpu", src, g.dynamic)
	}
	sig, err := readSignature(src, len(cfg.Labels), cfg.Embeddings)
	if err != nil {
		return nil, err
	}
	info, err := cfg.info(src, g, on.String())
	if err != nil {
		return nil, err
	}
	s, err := openSession(src, sig, on)
	if err != nil {
		return nil, err
	}
	b := &backend{src: src, info: info, sig: sig, session: s, pad: cfg.PadID, pooling: cfg.Pooling}
	b.runs.New = func() any { return newRun(sig) }
	if err := b.try(cfg); err != nil {
		return nil, errors.Join(err, s.Destroy())
	}
	return b, nil
}

// try shows at the start what would fail later: shapes, positions that the
// model has not, tokens that it has not.
func (b *backend) try(cfg *Config) error {
	ids := longest(cfg)
	r := newRun(b.sig)
	short := ids[:min(shortest, len(ids))]
	if err := r.measure(b.session, short); err != nil {
		return fmt.Errorf("try %s with %d tokens: %w", b.src, len(short), err)
	}
	if err := r.do(b.session, [][]int64{ids}, len(ids), b.pad); err != nil {
		return fmt.Errorf("try %s with %d tokens: %w", b.src, len(ids), err)
	}
	if b.sig.logits != nil {
		if _, err := b.rank(r.logitsOf(0), cfg.Temperature); err != nil {
			return err
		}
	}
	if b.sig.vectors != nil {
		if err := b.read(r, 0, job{ids, true}, len(ids)).err; err != nil {
			return err
		}
	}
	short[len(short)/2] = cfg.Tokenizer.VocabSize() - 1
	if err := r.do(b.session, [][]int64{short}, len(short), b.pad); err != nil {
		return fmt.Errorf("try %s with token %d, the tokenizer's last: %w", b.src, cfg.Tokenizer.VocabSize()-1, err)
	}
	return nil
}

// longest is a text of as many tokens as there may be.
func longest(cfg *Config) []int64 {
	return cfg.Tokenizer.Encode(nil, strings.Repeat("a ", cfg.MaxTokens), cfg.MaxTokens)
}

// alone runs one text, without padding.
func (b *backend) alone(j job) ([]float32, error) {
	r := b.runs.Get().(*run)
	defer b.runs.Put(r)
	if err := r.do(b.session, [][]int64{j.ids}, len(j.ids), b.pad); err != nil {
		return nil, err
	}
	a := b.read(r, 0, j, len(j.ids))
	return a.values, a.err
}

// read takes the answer to the ith text out of a run that padded each to size.
func (b *backend) read(r *run, i int, j job, size int) (a answer) {
	if !j.embed {
		return answer{values: r.logitsOf(i)}
	}
	a.values, a.err = r.vectorOf(i, len(j.ids), size, b.pooling)
	if a.err != nil {
		a.err = fmt.Errorf("%s: %w", b.src, a.err)
	}
	return a
}

func (b *backend) rank(logits []float32, temperature float64) (classifier.Result, error) {
	r, err := classifier.Rank(b.info.Labels, logits, temperature, b.info.Revision)
	if err != nil {
		return r, fmt.Errorf("%s: %w", b.src, err)
	}
	return r, nil
}

// gather makes the backend run texts in batches. An error of a run goes through
// failed first.
func (b *backend) gather(cfg *Config, failed func(error) error) error {
	if b.sig.single {
		cfg.Batch.MaxItems = 1
	}
	r := newRun(b.sig) // runs do not overlap
	texts := make([][]int64, 0, max(1, cfg.Batch.MaxItems))
	batcher, err := batch.New(cfg.Batch, func(jobs []job, size int) ([]answer, error) {
		texts = texts[:0]
		for _, j := range jobs {
			texts = append(texts, j.ids)
		}
		err := r.do(b.session, texts, size, b.pad)
		clear(texts)
		if err != nil {
			return nil, failed(err)
		}
		answers := make([]answer, len(jobs))
		for i, j := range jobs {
			answers[i] = b.read(r, i, j, size)
		}
		return answers, nil
	})
	if err != nil {
		return err
	}
	b.batcher = batcher
	return nil
}

// warm runs full batches of every size: the first run of a shape is slow on a
// GPU, and takes memory for later ones.
func (b *backend) warm(cfg *Config) error {
	ids := longest(cfg)
	for size, items := range cfg.Batch.Shapes() {
		if b.sig.single {
			items = 1
		}
		texts := slices.Repeat([][]int64{ids[:min(size, len(ids))]}, items)
		if err := newRun(b.sig).do(b.session, texts, size, b.pad); err != nil {
			return fmt.Errorf("try a batch of %d texts of %d tokens: %w", items, size, err)
		}
	}
	return nil
}
