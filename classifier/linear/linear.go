package linear

import (
	"context"
	"fmt"
	"math"
	"sync"

	"semantic-epp/classifier"
)

// A Classifier is a model in memory.
type Classifier struct {
	info    classifier.Info
	bias    []float32
	scales  []float32
	weights []int8 // [bucket][label]
	scratch sync.Pool
}

// scratch is what one call of Classify needs.
type scratch struct {
	features *Extractor
	sums     []int32
	logits   []float32
}

func newClassifier(file []byte, labels []string, bias, scales []float32, weights []int8) *Classifier {
	c := &Classifier{
		info:    classifier.Info{Name: "linear", Revision: classifier.Revision(file), Labels: labels, Device: "cpu"},
		bias:    bias,
		scales:  scales,
		weights: weights,
	}
	c.scratch.New = func() any {
		return &scratch{
			features: NewExtractor(c.buckets()),
			sums:     make([]int32, len(labels)),
			logits:   make([]float32, len(labels)),
		}
	}
	return c
}

func (c *Classifier) buckets() int { return len(c.weights) / len(c.info.Labels) }

// Classify reads at most 16 KiB of text: of a longer one the head and the
// tail. A blank text is ErrNoMatch.
func (c *Classifier) Classify(ctx context.Context, text string) (classifier.Result, error) {
	if err := ctx.Err(); err != nil {
		return classifier.Result{}, fmt.Errorf("classify: %w", err)
	}
	s := c.scratch.Get().(*scratch)
	defer c.scratch.Put(s)
	features := s.features.Features(text, c.buckets())
	if len(features) == 0 {
		return classifier.Result{}, classifier.ErrNoMatch
	}
	clear(s.sums)
	for _, bucket := range features {
		row := c.weights[int(bucket)*len(s.sums):][:len(s.sums)]
		for label, w := range row {
			s.sums[label] += int32(w)
		}
	}
	norm := 1 / math.Sqrt(float64(len(features)))
	for label, sum := range s.sums {
		s.logits[label] = c.bias[label] + float32(float64(sum)*norm)*c.scales[label]
	}
	return classifier.Rank(c.info.Labels, s.logits, 1, c.info.Revision)
}

// Info describes the model.
func (c *Classifier) Info() classifier.Info { return c.info }

// Close does nothing: the model is plain memory.
func (c *Classifier) Close() error { return nil }
