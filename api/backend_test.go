package api

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"semantic-epp/classifier"
)

// double is a backend whose answers depend on words of the text: "integral" is
// math, "battle" is history, "hello" is nothing, and there are words for each
// way to go wrong.
type double struct {
	asked    func(Query)
	notReady error
	none     bool // no classifier
	during   func()
}

var errQuoting = errors.New("this error quotes the prompt")

func (d *double) Classify(ctx context.Context, text string) (classifier.Result, error) {
	if d.during != nil {
		d.during()
	}
	switch {
	case strings.Contains(text, "integral"):
		return result("math", "history"), nil
	case strings.Contains(text, "battle"):
		return result("history", "math"), nil
	case strings.Contains(text, "overload"):
		return classifier.Result{}, fmt.Errorf("stage 0: %w", classifier.ErrOverloaded)
	case strings.Contains(text, "late"):
		return classifier.Result{}, fmt.Errorf("classify: %w", context.DeadlineExceeded)
	case strings.Contains(text, "break"):
		return classifier.Result{}, fmt.Errorf("%w: %s", errQuoting, text)
	case strings.Contains(text, "panic"):
		panic("while reading " + text)
	case strings.Contains(text, "nan"):
		return classifier.Result{Category: "math", Confidence: math.NaN()}, nil
	case strings.Contains(text, "wait"):
		<-ctx.Done()
		return classifier.Result{}, ctx.Err()
	}
	return classifier.Result{}, classifier.ErrNoMatch
}

func result(first, second string) classifier.Result {
	return classifier.Result{
		Category: first, Confidence: 0.9, Margin: 0.8, Revision: "0123456789ab",
		Probabilities: []classifier.Probability{{Category: first, P: 0.9}, {Category: second, P: 0.1}},
	}
}

func (d *double) Explain(ctx context.Context, query Query) (Explanation, error) {
	if d.asked != nil {
		d.asked(query)
	}
	text := query.Request.Prompt(16 << 10)
	if strings.Contains(text, "unexplained") {
		return Explanation{}, fmt.Errorf("%w: %s", errQuoting, text)
	}
	found := ClassificationOf(d.Classify(ctx, text))
	e := Explanation{Model: "general", Models: []RankedModel{{Name: "general", Score: 1}}, Reason: "default", Classification: found}
	sum := found.Category == "math"
	condition := Condition{Kind: "all", Evaluated: true, Holds: sum, Conditions: []Condition{
		{Kind: "keyword", Evaluated: true, Holds: true, Confidence: 1, Value: "1"},
		{Kind: "domain", Name: found.Category, Evaluated: true, Holds: sum, Confidence: found.Confidence, Value: found.Category, Problem: found.Problem},
		{Kind: "contextTokens", Name: "long", Evaluated: sum},
	}}
	e.Rules = []Rule{{Name: "sums", Evaluated: true, Holds: sum, Condition: condition}}
	if sum {
		e.Model, e.Rule, e.Reason, e.Confidence = "math-70b", "sums", "rule", 0.95
		e.Models = []RankedModel{{Name: "math-70b", Score: 1, Reasoning: "high"}, {Name: "general", Score: 0.4}}
		e.Actions = []string{"system_prompt"}
		e.Rules[0].Confidence = 0.95
	}
	return e, nil
}

func (d *double) Models() []Model {
	return []Model{{Name: "auto"}, {Name: "general"}, {Name: "math-70b", AdapterOf: "general"}}
}

func (d *double) Classifier() Info {
	if d.none {
		return Info{}
	}
	return Info{
		Info:   classifier.Info{Name: "linear", Revision: "0123456789ab", Labels: []string{"math", "history"}, Device: "cpu"},
		Config: map[string]any{"defaultModel": "general"},
	}
}

func (d *double) Ready(context.Context) error { return d.notReady }
