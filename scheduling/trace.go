package scheduling

import (
	"fmt"

	"semantic-epp/config"
)

// Outcome is what became of a rule or of a part of its condition.
type Outcome string

const (
	// Held and Failed to hold.
	Held    Outcome = "holds"
	NotHeld Outcome = "does not hold"
	// Broken could not be evaluated; Refused could not, and refuses the request.
	Broken  Outcome = "cannot be evaluated"
	Refused Outcome = "refuses"
	// Skipped was not needed: something else had decided.
	Skipped Outcome = "not needed"
)

// A Trace is a decision with what led to it. It holds no word of the prompt and
// no value of a header field.
type Trace struct {
	Decision Decision
	// Rules are all rules, in the order in which they are tried.
	Rules []RuleTrace
}

// RuleTrace is what became of a rule.
type RuleTrace struct {
	Name    string
	Outcome Outcome
	// Confidence is how sure a rule is that holds, in [0, 1].
	Confidence float64
	// Parts are those of its condition, in the order of the configuration.
	Parts []PartTrace
}

// PartTrace is what became of one part of a condition.
type PartTrace struct {
	// Key is where it stands in the condition: any[0].domain. A part of a
	// signal has the signal's name before it: signal urgent: keyword.
	Key        string
	Outcome    Outcome
	Confidence float64
	// Found says what the outcome went by: a category, a similarity, a number
	// of words. "" where it was not needed.
	Found string
}

// Explain decides as Decide does and says how it came to that. It is slower.
func (p *Policy) Explain(s Signals) Trace {
	e := p.evaluations.Get().(*evaluation)
	defer p.release(e)
	e.signals = s
	t := Trace{Decision: p.decide(e)}
	for i := range p.rules {
		r := &p.rules[i]
		of := e.outcome(r.root)
		rule := RuleTrace{Name: r.name, Outcome: of, Confidence: e.results[r.root].confidence}
		for _, part := range r.parts {
			rule.Parts = append(rule.Parts, e.trace(part))
		}
		t.Rules = append(t.Rules, rule)
	}
	return t
}

func (e *evaluation) trace(p part) PartTrace {
	t := PartTrace{Key: p.key, Outcome: e.outcome(p.node), Confidence: e.results[p.node].confidence}
	if t.Outcome != Skipped {
		t.Found = e.plan.nodes[p.node].leaf.found(e)
	}
	return t
}

func (e *evaluation) outcome(node int) Outcome {
	switch e.results[node].state {
	case yes:
		return Held
	case no:
		return NotHeld
	case unknown:
		return Broken
	case refused:
		return Refused
	}
	return Skipped
}

// A part is a leaf where a rule refers to it.
type part struct {
	key  string
	node int
}

// maxParts bounds what a trace says of one rule: signals that need signals can
// say the same part very often.
const maxParts = 256

// parts lists the leaves of a condition that was added.
func (b *builder) parts(w *config.When, at string, to []part) []part {
	for _, one := range w.Parts() {
		if len(to) == maxParts {
			return to
		}
		id, err := b.leaf(one)
		if err == nil { // or condition would have failed
			to = append(to, part{key: at + one.Kind(), node: id})
		}
	}
	for _, name := range w.Signal {
		when := b.cfg.Signals[name]
		if len(to) < maxParts {
			to = b.parts(&when, at+"signal "+name+": ", to)
		}
	}
	for i := range w.All {
		to = b.parts(&w.All[i], fmt.Sprintf("%sall[%d].", at, i), to)
	}
	for i := range w.Any {
		to = b.parts(&w.Any[i], fmt.Sprintf("%sany[%d].", at, i), to)
	}
	if w.Not != nil {
		to = b.parts(w.Not, at+"not.", to)
	}
	return to
}
