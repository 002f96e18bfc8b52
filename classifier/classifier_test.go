package classifier_test

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"semantic-epp/classifier"
)

func TestRank(t *testing.T) {
	labels := []string{"art", "law", "math"}
	log := func(p float64) float32 { return float32(math.Log(p)) }
	tests := map[string]struct {
		logits      []float32
		temperature float64
		category    string
		confidence  float64
		margin      float64
	}{
		"the logits' softmax":              {logits: []float32{log(.1), log(.2), log(.7)}, temperature: 1, category: "math", confidence: .7, margin: .5},
		"the first of equals":              {logits: []float32{2, 2, 2}, temperature: 1, category: "art", confidence: 1. / 3, margin: 0},
		"a temperature of 2 takes roots":   {logits: []float32{log(.64), log(.04), log(.04)}, temperature: 2, category: "art", confidence: .8 / 1.2, margin: .6 / 1.2},
		"logits too large for exp":         {logits: []float32{1e30, 0, -1e30}, temperature: 1, category: "art", confidence: 1, margin: 1},
		"logits whose exp is 0 in float64": {logits: []float32{-3000, -3001, -1e30}, temperature: 1, category: "art", confidence: 1 / (1 + math.Exp(-1)), margin: math.Tanh(.5)},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := classifier.Rank(labels, tc.logits, tc.temperature, "r1")
			if err != nil {
				t.Fatal(err)
			}
			if got.Category != tc.category || math.Abs(got.Confidence-tc.confidence) > 1e-6 || math.Abs(got.Margin-tc.margin) > 1e-6 || got.Revision != "r1" {
				t.Errorf("got %+v, want %s at %v, margin %v", got, tc.category, tc.confidence, tc.margin)
			}
			if len(got.Probabilities) != 3 || !slices.IsSortedFunc(got.Probabilities, func(a, b classifier.Probability) int { return cmp.Compare(b.P, a.P) }) {
				t.Errorf("not all labels, or not in order: %v", got.Probabilities)
			}
		})
	}
}

func TestRankRefuses(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	tests := map[string]struct {
		logits []float32
		want   string
	}{
		"too few logits":    {logits: []float32{1}, want: "1 logits for 2 labels"},
		"no logits":         {want: "0 logits for 2 labels"},
		"not a number":      {logits: []float32{1, nan}, want: `the logit of "law" is NaN`},
		"infinity":          {logits: []float32{inf, 1}, want: `the logit of "art" is +Inf`},
		"negative infinity": {logits: []float32{-inf, 1}, want: `the logit of "art" is -Inf`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := classifier.Rank([]string{"art", "law"}, tc.logits, 1, "")
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestRevisionTellsPartsApart(t *testing.T) {
	seen := make(map[string]int)
	for i, parts := range [][][]byte{{}, {nil}, {[]byte("ab")}, {[]byte("a"), []byte("b")}, {[]byte("b"), []byte("a")}, {[]byte("1:a")}} {
		r := classifier.Revision(parts...)
		if before, ok := seen[r]; ok || len(r) != 12 {
			t.Errorf("parts %d and %d are both %q", before, i, r)
		}
		seen[r] = i
	}
}

func ExampleFunc() {
	var c classifier.Classifier = classifier.Func(func(_ context.Context, text string) (classifier.Result, error) {
		if strings.Contains(text, "integral") {
			return classifier.Result{Category: "math", Confidence: 1}, nil
		}
		return classifier.Result{}, classifier.ErrNoMatch
	})
	r, err := c.Classify(context.Background(), "Solve this integral")
	fmt.Println(r.Category, err)
	// Output: math <nil>
}
