package scheduling

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"

	"semantic-epp/config"
)

// A Policy is the operator's rules, compiled. It is safe for concurrent use.
type Policy struct {
	rules         []rule
	tiers         [][]rule // rules, cut where tiers change
	fallback      []Ranked
	minConfidence float64
	plan          plan
	evaluations   sync.Pool // of *evaluation
}

type rule struct {
	name    string
	root    int // node of its condition
	ranking ranking
	action  *Action
	config  *config.Rule
	parts   []part // for traces
}

// An Embedder turns a text into a vector that says what it means. It is asked
// for the examples of rules.
type Embedder func(text string) ([]float32, error)

// Compile makes a Policy of a valid configuration. Examples of rules are
// embedded here, once; embed may be nil where rules have none. The error names
// each rule that cannot be compiled.
func Compile(cfg *config.Router, embed Embedder) (*Policy, error) {
	p := &Policy{
		fallback:      []Ranked{{Model: cfg.DefaultModel, Score: 1}},
		minConfidence: *cfg.Classifier.MinConfidence,
	}
	b := newBuilder(cfg, embed)
	for i := range cfg.Rules {
		r := &cfg.Rules[i]
		root, err := b.condition(&r.When)
		if err != nil {
			return nil, fmt.Errorf("rules[%d] (%s): %w", i, r.Name, err)
		}
		action, err := actionOf(r)
		if err != nil {
			return nil, err
		}
		compiled := rule{name: r.Name, root: root, ranking: rank(r), action: action, config: r, parts: b.parts(&r.When, "", nil)}
		if len(r.Models) == 0 {
			compiled.ranking.models = p.fallback
		}
		p.rules = append(p.rules, compiled)
	}
	slices.SortStableFunc(p.rules, func(a, b rule) int { return a.config.Compare(b.config) })
	for first := 0; first < len(p.rules); {
		end := first + 1
		for end < len(p.rules) && p.rules[end].config.Tier == p.rules[first].config.Tier {
			end++
		}
		p.tiers = append(p.tiers, p.rules[first:end])
		first = end
	}
	b.plan.words[folded].sort()
	b.plan.words[verbatim].sort()
	p.plan = b.plan
	p.evaluations.New = func() any { return newEvaluation(&p.plan) }
	return p, nil
}

// actionOf is what a rule does beside choosing models, nil when nothing.
func actionOf(r *config.Rule) (*Action, error) {
	if r.SystemPrompt == nil && r.Parameters == nil && r.Headers == nil && r.Respond == nil {
		return nil, nil
	}
	a := &Action{SystemPrompt: r.SystemPrompt, Parameters: r.Parameters, Headers: r.Headers, Respond: r.Respond}
	if r.Parameters == nil {
		return a, nil
	}
	for _, name := range slices.Sorted(maps.Keys(r.Parameters.Defaults)) {
		value, err := json.Marshal(r.Parameters.Defaults[name])
		if err != nil {
			return nil, fmt.Errorf("rule %s: default of %s: %w", r.Name, name, err)
		}
		a.Defaults = append(a.Defaults, Field{Name: name, Value: value})
	}
	return a, nil
}

// Decide returns the models of the rule that decides, or the default model with
// the reason why none did.
func (p *Policy) Decide(s Signals) Decision {
	e := p.evaluations.Get().(*evaluation)
	defer p.release(e)
	e.signals = s
	return p.decide(e)
}

// release keeps the memory of an evaluation, but nothing of the request.
func (p *Policy) release(e *evaluation) {
	e.reset()
	p.evaluations.Put(e)
}

func (p *Policy) decide(e *evaluation) Decision {
	r, found := p.first(e)
	if r == nil {
		return Decision{Models: p.fallback, Reason: e.reason(p.minConfidence), Domain: e.domain}
	}
	if found.state == refused {
		return Decision{Models: p.fallback, Reason: cmp.Or(e.problem(), Failed), Rule: r.name, Denied: true, Domain: e.domain}
	}
	return Decision{
		Models:     r.ranking.draw(r.name, e.signals.Sticky),
		Reason:     Rule,
		Rule:       r.name,
		Confidence: found.confidence,
		Action:     r.action,
		Domain:     e.domain,
	}
}

// first is the rule that decides, nil when none does.
func (p *Policy) first(e *evaluation) (*rule, result) {
	if !p.plan.thorough {
		return e.firstOf(p.rules)
	}
	for _, tier := range p.tiers {
		if r, found := e.surestOf(tier); r != nil {
			return r, found
		}
	}
	return nil, isNo
}

// firstOf is the first rule that holds or refuses. What is cheap is tried for
// all rules up to it before any source is asked: often nothing else is needed,
// and else it is known what all of them need.
func (e *evaluation) firstOf(rules []rule) (*rule, result) {
	var waits source
	for i := range rules {
		r := e.eval(rules[i].root)
		waits |= r.waits
		if r.state == yes || r.state == refused {
			if waits == 0 {
				return &rules[i], r
			}
			rules = rules[:i+1]
			break
		}
	}
	if waits == 0 {
		return nil, isNo
	}
	e.fetch(waits)
	return e.firstOf(rules)
}

// surestOf is the rule of the highest confidence, the first of those that are
// equal. A rule that refuses comes before all that hold.
func (e *evaluation) surestOf(rules []rule) (*rule, result) {
	var waits source
	for i := range rules {
		waits |= e.eval(rules[i].root).waits
	}
	if waits != 0 {
		e.fetch(waits)
	}
	var best *rule
	found := isNo
	for i := range rules {
		switch r := e.eval(rules[i].root); {
		case r.state == refused:
			return &rules[i], r
		case r.state == yes && (best == nil || r.confidence > found.confidence):
			best, found = &rules[i], r
		}
	}
	return best, found
}
