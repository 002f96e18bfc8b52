package classifier

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
)

// ErrNoMatch means that the classifier ran and has no opinion about the text.
var ErrNoMatch = errors.New("no category matches")

// ErrOverloaded means that as many texts are waiting as may wait. The text was
// not looked at.
var ErrOverloaded = errors.New("classifier overloaded: its queue is full")

// A Classifier assigns a category to a text. The error is ErrNoMatch where it
// has no opinion, ErrOverloaded where it had no room, and wraps the error of
// ctx where that ended first. An error never quotes the text.
type Classifier interface {
	Classify(ctx context.Context, text string) (Result, error)
}

// Func adapts a function to a Classifier.
type Func func(ctx context.Context, text string) (Result, error)

// Classify calls f.
func (f Func) Classify(ctx context.Context, text string) (Result, error) { return f(ctx, text) }

// An Embedder turns a text into a vector of length 1, always of as many
// dimensions: texts that mean the same have a high cosine similarity. Errors
// are as Classify's; ErrNoMatch stands for a text that says nothing.
type Embedder interface {
	Embed(ctx context.Context, text string) ([]float32, error)
}

// A Result is what a Classifier found out about a text.
type Result struct {
	Category      string        // the most probable one
	Confidence    float64       // its probability, 0 to 1
	Margin        float64       // how far the second is behind it, 0 to 1
	Probabilities []Probability // all categories, the most probable first
	Revision      string        // of model, tokenizer and labels; see Info
}

// A Probability is how probable one category is.
type Probability struct {
	Category string
	P        float64 // 0 to 1
}

// Info describes a classifier to people: in logs and in explanations.
type Info struct {
	Name     string   // what kind of model it is
	Revision string   // changes when model, tokenizer or labels do
	Labels   []string // categories, in the model's order
	Device   string   // where it runs: "cpu"
}

// A Model is a Classifier that holds a model until it is closed.
type Model interface {
	Classifier
	Info() Info
	// Close waits for runs that go on and frees the model; later calls of
	// Classify return an error.
	Close() error
}

// Revision names the parts that a classifier is made of by the first 12
// hexadecimal digits of a SHA-256 over all of them and their lengths.
func Revision(parts ...[]byte) string {
	h := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(h, "%d:", len(part))
		h.Write(part)
	}
	return hex.EncodeToString(h.Sum(nil))[:12]
}

// Rank makes a Result from one logit per label: their softmax at the given
// temperature, in order of probability; of equals the first label comes first.
// It returns an error where a logit is not finite, or there is not one per
// label.
func Rank(labels []string, logits []float32, temperature float64, revision string) (Result, error) {
	if len(logits) != len(labels) || len(labels) == 0 {
		return Result{}, fmt.Errorf("rank categories: %d logits for %d labels", len(logits), len(labels))
	}
	probabilities := make([]Probability, len(labels))
	highest := float64(slices.Max(logits))
	sum := 0.0
	for i, logit := range logits {
		if l := float64(logit); math.IsNaN(l) || math.IsInf(l, 0) {
			return Result{}, fmt.Errorf("rank categories: the logit of %q is %v", labels[i], l)
		}
		p := math.Exp((float64(logit) - highest) / temperature)
		probabilities[i] = Probability{Category: labels[i], P: p}
		sum += p
	}
	for i := range probabilities {
		probabilities[i].P /= sum
	}
	slices.SortStableFunc(probabilities, func(a, b Probability) int { return cmp.Compare(b.P, a.P) })
	r := Result{
		Category:      probabilities[0].Category,
		Confidence:    probabilities[0].P,
		Margin:        probabilities[0].P,
		Probabilities: probabilities,
		Revision:      revision,
	}
	if len(probabilities) > 1 {
		r.Margin -= probabilities[1].P
	}
	return r, nil
}
