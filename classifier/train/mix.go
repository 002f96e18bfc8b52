package main

import (
	"context"
	"fmt"
	"io"
	"math"

	"semantic-epp/classifier"
	"semantic-epp/classifier/builtin"
)

// A heard question is one that both models of a mixture have answered.
type heard struct {
	transformer, linear classifier.Result
	label               string
}

// fit finds the powers of a mixture that make the mean surprise least on the
// validation parts of both folders, apart for texts in English and in others.
func fit(ctx context.Context, model, library string, data sources, stdout io.Writer) error {
	transformer, err := builtin.Open(builtin.Options{Model: model, Library: library, Alone: true})
	if err != nil {
		return err
	}
	defer transformer.Close()
	linear, err := builtin.Open(builtin.Options{Model: builtin.Linear})
	if err != nil {
		return err
	}
	labels := transformer.Info().Labels
	var all [2][]heard
	for _, dir := range data.folders() {
		questions, err := readQuestions(dir, "val")
		if err != nil {
			return err
		}
		for i, q := range questions {
			h := heard{label: q.Label}
			if h.transformer, err = transformer.Classify(ctx, q.Text); err != nil {
				return fmt.Errorf("%s/val.jsonl: question %d: %w", dir, i+1, err)
			}
			if h.linear, err = linear.Classify(ctx, q.Text); err != nil {
				return fmt.Errorf("%s/val.jsonl: question %d: %w", dir, i+1, err)
			}
			at := builtin.Foreign(q.Text)
			all[at] = append(all[at], h)
		}
	}
	for at, name := range []string{"English", "others"} {
		p, surprise, err := leastSurprise(all[at], labels)
		if err != nil {
			return err
		}
		fmt.Fprintf(stdout, "%s, %s: powers {%.1f, %.1f}, mean surprise %.4f over %d questions\n", model, name, p.Transformer, p.Linear, surprise, len(all[at]))
	}
	return nil
}

// leastSurprise tries powers in steps of a tenth.
func leastSurprise(questions []heard, labels []string) (best builtin.Powers, least float64, err error) {
	least = math.Inf(1)
	for t := range 16 {
		for l := range 16 {
			p := builtin.Powers{Transformer: float64(t) / 10, Linear: float64(l) / 10}
			sum := 0.0
			for _, q := range questions {
				r, err := builtin.Mix(q.transformer, q.linear, p, labels, "")
				if err != nil {
					return best, least, err
				}
				sum -= math.Log(max(1e-9, probability(r, q.label)))
			}
			if mean := sum / float64(max(1, len(questions))); mean < least {
				best, least = p, mean
			}
		}
	}
	return best, least, nil
}

func probability(r classifier.Result, label string) float64 {
	for _, p := range r.Probabilities {
		if p.Category == label {
			return p.P
		}
	}
	return 0
}
