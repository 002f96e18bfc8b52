package scheduling

import (
	"errors"
	"fmt"
	"math"

	"semantic-epp/config"
)

// examples embeds the examples of rules, each text once.
type examples struct {
	embed Embedder
	known map[string][]float32
	size  int // of all vectors
}

var errNoEmbedder = errors.New("needs a classifier that embeds texts")

func (x *examples) vectors(texts []string) ([][]float32, error) {
	if x.embed == nil {
		return nil, errNoEmbedder
	}
	of := make([][]float32, len(texts))
	for i, text := range texts {
		if known, ok := x.known[text]; ok {
			of[i] = known
			continue
		}
		raw, err := x.embed(text)
		if err != nil {
			return nil, fmt.Errorf("embed example %d: %w", i, err)
		}
		vector := normal(raw)
		if vector == nil {
			return nil, fmt.Errorf("embed example %d: the vector has no direction", i)
		}
		if x.size == 0 {
			x.size = len(vector)
		}
		if len(vector) != x.size {
			return nil, fmt.Errorf("embed example %d: a vector of %d numbers where others have %d", i, len(vector), x.size)
		}
		x.known[text], of[i] = vector, vector
	}
	return of, nil
}

// normal returns a vector of the same direction and the length 1, nil where
// there is no direction.
func normal(v []float32) []float32 {
	sum := 0.0
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	if sum == 0 || math.IsNaN(sum) || math.IsInf(sum, 0) {
		return nil
	}
	scale := float32(1 / math.Sqrt(sum))
	unit := make([]float32, len(v))
	for i, x := range v {
		unit[i] = x * scale
	}
	return unit
}

// cosine is the similarity of normal vectors of equal size, in [-1, 1].
func cosine(a, b []float32) float64 {
	var sum float32
	for i := range a {
		sum += a[i] * b[i]
	}
	return float64(min(max(sum, -1), 1))
}

// closest is the greatest similarity to any of the examples.
func closest(v []float32, to [][]float32) float64 {
	best := -1.0
	for _, example := range to {
		best = max(best, cosine(v, example))
	}
	return best
}

// average is the mean similarity to all of the examples.
func average(v []float32, to [][]float32) float64 {
	sum := 0.0
	for _, example := range to {
		sum += cosine(v, example)
	}
	return sum / float64(len(to))
}

// compared says whether there is a vector that examples of that size can be
// compared with, and if not, what a condition then counts for.
func (e *evaluation) compared(size int) (bool, result) {
	switch {
	case e.broken != "":
		return false, result{state: unknown}
	case e.vector == nil:
		return false, isNo // the prompt has no meaning to compare
	case len(e.vector) != size: // the model was changed under us
		e.broken = Failed
		return false, result{state: unknown}
	}
	return true, result{}
}

// embeddingLeaf holds when a prompt means what examples mean.
type embeddingLeaf struct {
	examples  [][]float32
	threshold float64
	aggregate func(v []float32, to [][]float32) float64
}

func (x *examples) newEmbedding(cfg *config.Embedding) (*embeddingLeaf, error) {
	vectors, err := x.vectors(cfg.Examples)
	if err != nil {
		return nil, err
	}
	l := &embeddingLeaf{examples: vectors, threshold: *cfg.Threshold, aggregate: closest}
	if cfg.Aggregate == config.Mean {
		l.aggregate = average
	}
	return l, nil
}

func (l *embeddingLeaf) needs() source { return vectors }
func (l *embeddingLeaf) cost() int     { return infer }

func (l *embeddingLeaf) test(e *evaluation) result {
	if ok, otherwise := e.compared(len(l.examples[0])); !ok {
		return otherwise
	}
	if similarity := l.aggregate(e.vector, l.examples); similarity >= l.threshold {
		return holds(max(similarity, 0))
	}
	return isNo
}

func (l *embeddingLeaf) found(e *evaluation) string {
	if ok, _ := e.compared(len(l.examples[0])); !ok {
		return e.noVector()
	}
	return fmt.Sprintf("similarity %.2f, needs %.2f", l.aggregate(e.vector, l.examples), l.threshold)
}

func (e *evaluation) noVector() string {
	if e.broken != "" {
		return "no embedding: " + string(e.broken)
	}
	return "no text to embed"
}

// complexityLeaf holds when a prompt is as hard as is said: it is hard when it
// is closer to hard examples than to easy ones by the threshold.
type complexityLeaf struct {
	hard, easy [][]float32
	threshold  float64
	level      config.Level
}

func (x *examples) newComplexity(cfg *config.Complexity) (*complexityLeaf, error) {
	hard, err := x.vectors(cfg.Hard)
	if err != nil {
		return nil, fmt.Errorf("hard: %w", err)
	}
	easy, err := x.vectors(cfg.Easy)
	if err != nil {
		return nil, fmt.Errorf("easy: %w", err)
	}
	return &complexityLeaf{hard: hard, easy: easy, threshold: *cfg.Threshold, level: cfg.Level}, nil
}

func (l *complexityLeaf) needs() source { return vectors }
func (l *complexityLeaf) cost() int     { return infer }

func (l *complexityLeaf) difference(e *evaluation) float64 {
	return closest(e.vector, l.hard) - closest(e.vector, l.easy)
}

func (l *complexityLeaf) levelOf(difference float64) config.Level {
	switch {
	case difference >= l.threshold:
		return config.Hard
	case difference <= -l.threshold:
		return config.Easy
	}
	return config.Medium
}

func (l *complexityLeaf) test(e *evaluation) result {
	if ok, otherwise := e.compared(len(l.hard[0])); !ok {
		return otherwise
	}
	return holdsIf(l.levelOf(l.difference(e)) == l.level)
}

func (l *complexityLeaf) found(e *evaluation) string {
	if ok, _ := e.compared(len(l.hard[0])); !ok {
		return e.noVector()
	}
	difference := l.difference(e)
	return fmt.Sprintf("%s (%+.2f), needs %s", l.levelOf(difference), difference, l.level)
}
