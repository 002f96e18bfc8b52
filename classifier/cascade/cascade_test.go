package cascade_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"semantic-epp/classifier"
	"semantic-epp/classifier/cascade"
)

var errBroken = errors.New("broken")

// says is a classifier that always gives the same answer.
func says(category string, confidence float64, err error) classifier.Classifier {
	return classifier.Func(func(context.Context, string) (classifier.Result, error) {
		return classifier.Result{Category: category, Confidence: confidence}, err
	})
}

func TestCascade(t *testing.T) {
	tests := map[string]struct {
		stages   []classifier.Classifier // named 0, 1, … and sure from .8 on
		category string
		err      error
		answered string
		failed   []string
	}{
		"the first sure answer is taken": {
			stages:   []classifier.Classifier{says("math", .9, nil), says("law", 1, nil)},
			category: "math", answered: "0",
		},
		"as sure as asked for is sure": {
			stages:   []classifier.Classifier{says("math", .8, nil), says("law", 1, nil)},
			category: "math", answered: "0",
		},
		"an unsure answer goes on": {
			stages:   []classifier.Classifier{says("math", .7, nil), says("law", .9, nil), says("art", 1, nil)},
			category: "law", answered: "1",
		},
		"no opinion goes on, wrapped or not": {
			stages:   []classifier.Classifier{says("", 0, classifier.ErrNoMatch), says("", 0, fmt.Errorf("x: %w", classifier.ErrNoMatch)), says("art", .9, nil)},
			category: "art", answered: "2",
		},
		"an error goes on and is told": {
			stages:   []classifier.Classifier{says("", 0, errBroken), says("", 0, classifier.ErrOverloaded), says("art", .9, nil)},
			category: "art", answered: "2", failed: []string{"0: broken", "1: " + classifier.ErrOverloaded.Error()},
		},
		"a sure answer beside an error does not count": {
			stages:   []classifier.Classifier{says("math", 1, errBroken), says("art", .9, nil)},
			category: "art", answered: "1", failed: []string{"0: broken"},
		},
		"the last decides, however unsure": {
			stages:   []classifier.Classifier{says("math", .7, nil), says("law", .1, nil)},
			category: "law", answered: "1",
		},
		"the last has no opinion": {
			stages: []classifier.Classifier{says("math", .7, nil), says("", 0, classifier.ErrNoMatch)},
			err:    classifier.ErrNoMatch,
		},
		"the last fails": {
			stages: []classifier.Classifier{says("math", .7, nil), says("", 0, errBroken)},
			err:    errBroken,
		},
		"a single stage decides": {
			stages:   []classifier.Classifier{says("math", .1, nil)},
			category: "math", answered: "0",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var stages []cascade.Stage
			for i, c := range tc.stages {
				stages = append(stages, cascade.Stage{Name: fmt.Sprint(i), Classifier: c, MinConfidence: .8})
			}
			var answered string
			var failed []string
			c, err := cascade.New(cascade.Hooks{
				Answered: func(_ context.Context, stage string) { answered += stage },
				Failed: func(_ context.Context, stage string, err error) {
					failed = append(failed, stage+": "+err.Error())
				},
			}, stages...)
			if err != nil {
				t.Fatal(err)
			}
			r, err := c.Classify(t.Context(), "text")
			if r.Category != tc.category || !errors.Is(err, tc.err) {
				t.Errorf("got %q, %v, want %q, %v", r.Category, err, tc.category, tc.err)
			}
			if answered != tc.answered || !reflect.DeepEqual(failed, tc.failed) {
				t.Errorf("answered %q, failed %q; want %q, %q", answered, failed, tc.answered, tc.failed)
			}
		})
	}
}

func TestCascadeAsksNobodyAfterTheContextEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	first := classifier.Func(func(context.Context, string) (classifier.Result, error) {
		cancel()
		return classifier.Result{}, classifier.ErrNoMatch
	})
	second := classifier.Func(func(context.Context, string) (classifier.Result, error) {
		t.Error("the second stage was asked")
		return classifier.Result{}, nil
	})
	c, err := cascade.New(cascade.Hooks{}, cascade.Stage{Name: "words", Classifier: first}, cascade.Stage{Name: "model", Classifier: second})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Classify(ctx, "text"); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), `"words"`) {
		t.Errorf("got %v, want context.Canceled in stage words", err)
	}
}

func TestNewNamesAllFaults(t *testing.T) {
	ok := says("math", 1, nil)
	tests := map[string]struct {
		stages []cascade.Stage
		want   []string
	}{
		"nothing to ask": {want: []string{"no stages"}},
		"every stage has its own": {
			stages: []cascade.Stage{
				{Name: "", Classifier: ok},
				{Name: "a"},
				{Name: "a", Classifier: ok, MinConfidence: math.NaN()},
				{Name: "b", Classifier: ok, MinConfidence: 1.5},
				{Name: "c", Classifier: ok, MinConfidence: -.1},
			},
			want: []string{`stage 0, "", is empty`, `stage 1, "a", has no classifier`, `stage 2, "a", is empty or there twice`, "NaN", "1.5", "-0.1"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := cascade.New(cascade.Hooks{}, tc.stages...)
			for _, want := range tc.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q", err, want)
				}
			}
		})
	}
}

func ExampleNew() {
	words := classifier.Func(func(_ context.Context, text string) (classifier.Result, error) {
		if strings.Contains(text, "integral") {
			return classifier.Result{Category: "math", Confidence: 1}, nil
		}
		return classifier.Result{}, classifier.ErrNoMatch
	})
	model := classifier.Func(func(context.Context, string) (classifier.Result, error) {
		return classifier.Result{Category: "law", Confidence: .7}, nil
	})
	c, err := cascade.New(cascade.Hooks{
		Answered: func(_ context.Context, stage string) { fmt.Print(stage, ": ") },
	},
		cascade.Stage{Name: "words", Classifier: words, MinConfidence: .9},
		cascade.Stage{Name: "model", Classifier: model},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, text := range []string{"Solve this integral", "Is this contract void?"} {
		r, _ := c.Classify(context.Background(), text)
		fmt.Println(r.Category)
	}
	// Output:
	// words: math
	// model: law
}
