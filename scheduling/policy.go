package scheduling

import (
	"fmt"
	"regexp"
	"slices"

	"semantic-epp/config"
)

// Reason says why a model was chosen. The set is closed: it labels metrics.
type Reason string

const (
	// Explicit: the client named the model.
	Explicit Reason = "explicit"
	// Rule: a rule matched.
	Rule Reason = "rule"
	// Default: no rule matched.
	Default Reason = "default"
	// Unsure: no rule matched, and the classifier found a category that it was
	// not sure enough of, or none.
	Unsure Reason = "unsure"
	// Overloaded: too many prompts waited for the classifier.
	Overloaded Reason = "overloaded"
	// Timeout: the classifier did not answer in time.
	Timeout Reason = "timeout"
	// Failed: the classifier broke.
	Failed Reason = "error"
	// Spilled: the best model was saturated and the next one took over.
	Spilled Reason = "spilled"
)

// A Domain is what a classifier says of a prompt.
type Domain struct {
	// Category is the most likely one, "" when the classifier has no opinion.
	Category string
	// Confidence is its probability and Margin the distance to the second, both
	// in [0, 1].
	Confidence, Margin float64
	// Problem is why there is no classification: Overloaded, Timeout or Failed.
	Problem Reason
}

// Signals are what rules look at. Text is the prompt as far as rules read it.
// Domain classifies the prompt; it is called at most once, and only when a rule
// needs it.
type Signals struct {
	Text   string
	Domain func() Domain
}

// A Ranked is a model with its quality for the request, in (0, 1].
type Ranked struct {
	Model string
	Score float64
}

// A Decision is the models that may answer a request, best first. It is
// immutable once made.
type Decision struct {
	Models []Ranked
	Reason Reason
	// Rule is the name of the rule that matched, "" otherwise.
	Rule string
	// Domain is the classification, when there was one.
	Domain Domain
}

// Best is the name of the highest-ranked model.
func (d *Decision) Best() string { return d.Models[0].Model }

// A Policy is the operator's rules, compiled. It is safe for concurrent use.
type Policy struct {
	rules         []rule
	fallback      []Ranked
	minConfidence float64
}

type rule struct {
	name          string
	domains       []string
	minConfidence float64
	keyword       *keyword
	expressions   []*regexp.Regexp
	models        []Ranked
}

// Compile makes a Policy of a valid configuration. The error names an
// expression that does not compile.
func Compile(cfg *config.Router) (*Policy, error) {
	p := &Policy{
		fallback:      []Ranked{{Model: cfg.DefaultModel, Score: 1}},
		minConfidence: *cfg.Classifier.MinConfidence,
	}
	for _, r := range cfg.Rules {
		compiled := rule{
			name:          r.Name,
			domains:       r.When.Domain,
			minConfidence: p.minConfidence,
			keyword:       newKeyword(r.When.Keyword),
			models:        rank(r.Models),
		}
		if r.When.MinConfidence != nil {
			compiled.minConfidence = *r.When.MinConfidence
		}
		for _, expr := range r.When.Regex {
			re, err := regexp.Compile(expr)
			if err != nil {
				return nil, fmt.Errorf("rule %s: %w", r.Name, err)
			}
			compiled.expressions = append(compiled.expressions, re)
		}
		p.rules = append(p.rules, compiled)
	}
	priority := make(map[string]int, len(cfg.Rules))
	for _, r := range cfg.Rules {
		priority[r.Name] = r.Priority
	}
	slices.SortStableFunc(p.rules, func(a, b rule) int { return priority[b.name] - priority[a.name] })
	return p, nil
}

// rank orders models by score; those with equal scores keep their order.
func rank(models []config.ModelScore) []Ranked {
	ranked := make([]Ranked, len(models))
	for i, m := range models {
		ranked[i] = Ranked{Model: m.Name, Score: 1}
		if m.Score != nil {
			ranked[i].Score = *m.Score
		}
	}
	slices.SortStableFunc(ranked, func(a, b Ranked) int {
		switch {
		case a.Score > b.Score:
			return -1
		case a.Score < b.Score:
			return 1
		}
		return 0
	})
	return ranked
}

// For is the decision for a model that the client named.
func For(model string) Decision {
	return Decision{Models: []Ranked{{Model: model, Score: 1}}, Reason: Explicit}
}

// Decide tries the rules in order and returns the models of the first that
// holds, or the default model with the reason why none did.
func (p *Policy) Decide(s Signals) Decision {
	e := evaluation{signals: s}
	for i := range p.rules {
		r := &p.rules[i]
		if e.holds(r) {
			return Decision{Models: r.models, Reason: Rule, Rule: r.name, Domain: e.domain}
		}
	}
	return Decision{Models: p.fallback, Reason: e.reason(p.minConfidence), Domain: e.domain}
}

// evaluation is the state of one Decide: the classification, once it was asked
// for.
type evaluation struct {
	signals    Signals
	domain     Domain
	classified bool
	unsure     bool // a rule would have matched a surer classification
}

// holds tests the cheap parts of a rule first: a prompt is only classified when
// nothing else decides.
func (e *evaluation) holds(r *rule) bool {
	if r.keyword != nil && !r.keyword.holds(e.signals.Text) {
		return false
	}
	if len(r.expressions) > 0 && !slices.ContainsFunc(r.expressions, func(re *regexp.Regexp) bool {
		return re.MatchString(e.signals.Text)
	}) {
		return false
	}
	return len(r.domains) == 0 || e.inDomain(r)
}

func (e *evaluation) inDomain(r *rule) bool {
	if !e.classified {
		e.classified = true
		e.domain = e.signals.Domain()
	}
	d := e.domain
	if d.Problem != "" || d.Category == "" || !slices.Contains(r.domains, d.Category) {
		return false
	}
	if d.Confidence < r.minConfidence {
		e.unsure = true
		return false
	}
	return true
}

// reason says why no rule held.
func (e *evaluation) reason(minConfidence float64) Reason {
	switch {
	case !e.classified:
		return Default
	case e.domain.Problem != "":
		return e.domain.Problem
	case e.unsure || e.domain.Category == "" || e.domain.Confidence < minConfidence:
		return Unsure
	}
	return Default
}
