package main

import (
	"context"
	"fmt"
	"math"

	"semantic-epp/classifier"
)

// bins of confidence, for the expected calibration error.
const bins = 15

// A report is how good a classifier is on some questions.
type report struct {
	questions int
	right     int
	error     float64 // expected calibration error (Guo et al. 2017)
	above     [10]tally
}

// A tally is of the questions answered with a confidence of at least n/10.
type tally struct{ questions, right int }

func evaluate(ctx context.Context, c classifier.Classifier, questions []question) (report, error) {
	r := report{questions: len(questions)}
	var sums [bins]float64 // of confidence, less 1 for each right answer
	for i, q := range questions {
		got, err := c.Classify(ctx, q.Text)
		if err != nil {
			return report{}, fmt.Errorf("evaluate question %d: %w", i+1, err)
		}
		right := 0
		if got.Category == q.Label {
			right = 1
		}
		r.right += right
		for tenth := range r.above {
			if got.Confidence*10 >= float64(tenth) {
				r.above[tenth].questions++
				r.above[tenth].right += right
			}
		}
		sums[min(bins-1, int(got.Confidence*bins))] += got.Confidence - float64(right)
	}
	for _, s := range sums {
		r.error += math.Abs(s) / float64(len(questions))
	}
	return r, nil
}

func (r report) String() string {
	line := fmt.Sprintf("%d questions: accuracy %.3f, ECE %.3f", r.questions, share(r.right, r.questions), r.error)
	for _, tenth := range []int{5, 6, 8} {
		t := r.above[tenth]
		line += fmt.Sprintf("; confidence >= .%d keeps %.3f at %.3f", tenth, share(t.questions, r.questions), share(t.right, t.questions))
	}
	return line
}

func share(part, whole int) float64 { return float64(part) / float64(max(1, whole)) }
