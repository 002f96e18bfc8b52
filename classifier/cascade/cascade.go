package cascade

import (
	"context"
	"errors"
	"fmt"

	"semantic-epp/classifier"
)

// A Stage is one classifier of a cascade.
type Stage struct {
	Name          string // for Hooks; unique
	Classifier    classifier.Classifier
	MinConfidence float64 // 0 to 1: what its answer needs to be taken; does not count for the last stage
}

// Hooks tell what happens inside. They run on the caller's goroutine and may
// be nil.
type Hooks struct {
	Answered func(ctx context.Context, stage string)            // its answer was taken
	Failed   func(ctx context.Context, stage string, err error) // it failed, and the next stage was asked
}

// New returns a classifier that asks the stages in order. An answer that is
// not sure enough, ErrNoMatch, and an error lead to the next stage; the last
// one decides, with whatever it says. Once the context has ended no further
// stage is asked. The error of New names every bad stage.
func New(hooks Hooks, stages ...Stage) (classifier.Classifier, error) {
	if err := check(stages); err != nil {
		return nil, fmt.Errorf("build a cascade: %w", err)
	}
	if hooks.Answered == nil {
		hooks.Answered = func(context.Context, string) {}
	}
	if hooks.Failed == nil {
		hooks.Failed = func(context.Context, string, error) {}
	}
	last := len(stages) - 1
	c := &cascade{hooks: hooks, early: append([]Stage(nil), stages[:last]...), last: stages[last]}
	return c, nil
}

func check(stages []Stage) error {
	if len(stages) == 0 {
		return errors.New("there are no stages")
	}
	var errs []error
	seen := make(map[string]bool, len(stages))
	for i, s := range stages {
		if s.Name == "" || seen[s.Name] {
			errs = append(errs, fmt.Errorf("the name of stage %d, %q, is empty or there twice", i, s.Name))
		}
		seen[s.Name] = true
		if s.Classifier == nil {
			errs = append(errs, fmt.Errorf("stage %d, %q, has no classifier", i, s.Name))
		}
		if !(s.MinConfidence >= 0 && s.MinConfidence <= 1) { // NaN too
			errs = append(errs, fmt.Errorf("the confidence that stage %d, %q, needs is %v, not within 0 to 1", i, s.Name, s.MinConfidence))
		}
	}
	return errors.Join(errs...)
}

type cascade struct {
	hooks Hooks
	early []Stage
	last  Stage
}

// Classify returns the first sure answer, or else the last stage's.
func (c *cascade) Classify(ctx context.Context, text string) (classifier.Result, error) {
	for i := range c.early {
		s := &c.early[i]
		r, err := s.Classifier.Classify(ctx, text)
		if end := ctx.Err(); end != nil {
			return classifier.Result{}, fmt.Errorf("classify: in stage %q: %w", s.Name, end)
		}
		switch {
		case errors.Is(err, classifier.ErrNoMatch):
		case err != nil:
			c.hooks.Failed(ctx, s.Name, err)
		case r.Confidence >= s.MinConfidence:
			c.hooks.Answered(ctx, s.Name)
			return r, nil
		}
	}
	r, err := c.last.Classifier.Classify(ctx, text)
	if err != nil {
		return classifier.Result{}, fmt.Errorf("classify: stage %q: %w", c.last.Name, err)
	}
	c.hooks.Answered(ctx, c.last.Name)
	return r, nil
}
