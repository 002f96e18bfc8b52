package scheduling

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"semantic-epp/classifier"
)

// flatFrom is the entropy, as a share of the greatest possible, from which a
// classification favours no single category: that of vLLM Semantic Router.
const flatFrom = 0.4

// isFlat says whether probabilities are spread so evenly that a prompt may
// belong to several categories.
func isFlat(probabilities []classifier.Probability) bool {
	if len(probabilities) < 2 {
		return false
	}
	entropy := 0.0
	for _, p := range probabilities {
		if p.P > 0 {
			entropy -= p.P * math.Log(p.P)
		}
	}
	return entropy/math.Log(float64(len(probabilities))) >= flatFrom
}

// domainLeaf holds when the prompt is of one of the categories: of the most
// likely one, or, where the probabilities are flat, of each one that is likely
// enough.
type domainLeaf struct {
	categories []string
	min        float64
}

func (l *domainLeaf) needs() source { return domains }
func (l *domainLeaf) cost() int     { return infer }

func (l *domainLeaf) test(e *evaluation) result {
	d := &e.domain
	if d.Problem != "" {
		return result{state: unknown}
	}
	if d.Category == "" {
		return isNo
	}
	if e.flat {
		for _, p := range d.Probabilities {
			if slices.Contains(l.categories, p.Category) {
				return l.decide(e, p.P)
			}
		}
		return isNo
	}
	if !slices.Contains(l.categories, d.Category) {
		return isNo
	}
	return l.decide(e, d.Confidence)
}

// decide compares the probability of a category that the rule waits for.
func (l *domainLeaf) decide(e *evaluation, p float64) result {
	if p >= l.min {
		return holds(min(max(p, 0), 1))
	}
	if !e.flat || p == e.domain.Confidence {
		e.unsure = true
	}
	return isNo
}

func (l *domainLeaf) found(e *evaluation) string {
	d := &e.domain
	switch {
	case d.Problem != "":
		return "no classification: " + string(d.Problem)
	case d.Category == "":
		return "no category"
	case !e.flat:
		return fmt.Sprintf("%s %s, needs %s %s", d.Category, percent(d.Confidence), strings.Join(l.categories, " or "), percent(l.min))
	}
	var likely []string
	for _, p := range d.Probabilities[:min(3, len(d.Probabilities))] {
		likely = append(likely, p.Category+" "+percent(p.P))
	}
	return fmt.Sprintf("%s, needs %s %s", strings.Join(likely, ", "), strings.Join(l.categories, " or "), percent(l.min))
}
