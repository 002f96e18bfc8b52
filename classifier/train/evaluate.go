package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"text/tabwriter"
	"time"

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
	median    time.Duration    // from question to answer
	of        map[string]tally // the questions of a category
	called    map[string]tally // the questions answered with a category
	in        map[string]tally // the questions in a language; none where the data set does not tell
}

// A tally is of some of the questions: in above, of those answered with a
// confidence of at least n/10.
type tally struct{ questions, right int }

func (t tally) plus(right int) tally { return tally{t.questions + 1, t.right + right} }

func (t tally) accuracy() float64 { return share(t.right, t.questions) }

func evaluate(ctx context.Context, c classifier.Classifier, questions []question) (report, error) {
	r := report{questions: len(questions), of: map[string]tally{}, called: map[string]tally{}, in: map[string]tally{}}
	var sums [bins]float64 // of confidence, less 1 for each right answer
	var took []time.Duration
	for i, q := range questions {
		start := time.Now()
		got, err := c.Classify(ctx, q.Text)
		took = append(took, time.Since(start))
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
				r.above[tenth] = r.above[tenth].plus(right)
			}
		}
		r.of[q.Label] = r.of[q.Label].plus(right)
		r.called[got.Category] = r.called[got.Category].plus(right)
		if q.Lang != "" {
			r.in[q.Lang] = r.in[q.Lang].plus(right)
		}
		sums[min(bins-1, int(got.Confidence*bins))] += got.Confidence - float64(right)
	}
	slices.Sort(took)
	r.median = took[len(took)/2]
	for _, s := range sums {
		r.error += math.Abs(s) / float64(len(questions))
	}
	return r, nil
}

func (r report) String() string {
	line := fmt.Sprintf("%d questions: accuracy %.3f, ECE %.3f", r.questions, share(r.right, r.questions), r.error)
	for _, tenth := range []int{5, 6, 8} {
		t := r.above[tenth]
		line += fmt.Sprintf("; confidence >= .%d keeps %.3f at %.3f", tenth, share(t.questions, r.questions), t.accuracy())
	}
	return line + fmt.Sprintf("; p50 %.3f ms", r.median.Seconds()*1e3)
}

// tables writes the accuracy of each category and, where they are known, of
// each language. "Answered" counts the questions that got the category for an
// answer; "right" is the share of those that are of it.
func (r report) tables(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "category\tquestions\taccuracy\tanswered\tright\t")
	labels := slices.Collect(maps.Keys(r.of))
	labels = slices.AppendSeq(labels, maps.Keys(r.called))
	slices.Sort(labels)
	for _, label := range slices.Compact(labels) {
		of, called := r.of[label], r.called[label]
		fmt.Fprintf(t, "%s\t%d\t%.3f\t%d\t%.3f\t\n", label, of.questions, of.accuracy(), called.questions, called.accuracy())
	}
	if len(r.in) > 0 {
		fmt.Fprintln(t, "\t\t\t\t\t\nlanguage\tquestions\taccuracy\t")
	}
	for _, language := range slices.Sorted(maps.Keys(r.in)) {
		fmt.Fprintf(t, "%s\t%d\t%.3f\t\n", language, r.in[language].questions, r.in[language].accuracy())
	}
	return t.Flush()
}

func share(part, whole int) float64 { return float64(part) / float64(max(1, whole)) }
