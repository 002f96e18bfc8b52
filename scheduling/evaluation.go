package scheduling

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"semantic-epp/classifier"
	"semantic-epp/config"
)

// state is what is known of a condition: the third truth value of Kleene's
// logic is unknown, for what could not be evaluated; refused is an unknown
// that refuses the request where the rule depends on it.
type state uint8

const (
	unseen  state = iota
	pending       // waits for a source
	no
	yes
	unknown
	refused
)

// A source is what costs so much that it is only asked for what rules need.
type source uint8

const (
	domains source = 1 << iota
	vectors
)

// result is the state of a node, how sure a yes is in [0, 1], and which sources
// a pending one waits for.
type result struct {
	state      state
	waits      source
	confidence float64
}

var isNo = result{state: no}

func holds(confidence float64) result { return result{state: yes, confidence: confidence} }

// holdsIf is for conditions that are true or not.
func holdsIf(v bool) result {
	if v {
		return holds(1)
	}
	return isNo
}

// evaluation is the state of one Decide: what is known of each node, and what
// the leaves share.
type evaluation struct {
	plan    *plan
	signals Signals
	results []result
	have    source

	domain Domain
	flat   bool // the probabilities favour no category
	unsure bool // a rule would have matched a surer classification
	vector []float32
	broken Reason // why there is no vector

	text     [2]reading
	language detected
}

func newEvaluation(p *plan) *evaluation {
	e := &evaluation{plan: p, results: make([]result, len(p.nodes))}
	for i, words := range p.words {
		e.text[i].counts = make([]uint16, words.size())
	}
	return e
}

// reset forgets a request, so that the next one can use the memory.
func (e *evaluation) reset() {
	clear(e.results)
	e.signals, e.have = Signals{}, 0
	e.domain, e.flat, e.unsure = Domain{}, false, false
	e.vector, e.broken = nil, ""
	for i := range e.text {
		e.text[i].reset()
	}
	e.language = detected{}
}

// eval says what is known of a node. A node is evaluated once; only one that is
// pending is tried again.
func (e *evaluation) eval(id int) result {
	if known := e.results[id]; known.state != unseen {
		return known
	}
	n := &e.plan.nodes[id]
	var r result
	switch n.op {
	case isLeaf:
		if missing := n.leaf.needs() &^ e.have; missing != 0 {
			return result{state: pending, waits: missing}
		}
		r = n.leaf.test(e)
	case isAnd:
		r = e.and(n.of)
	case isOr:
		r = e.or(n.of)
	case isNot:
		r = e.not(n.of[0])
	case isResolved:
		r = e.resolve(n.of[0], n.onError)
	}
	if r.state != pending {
		e.results[id] = r
	}
	return r
}

// and holds when all operands do, as sure as they are on average.
func (e *evaluation) and(of []int) result {
	all := result{state: yes}
	for _, id := range of {
		r := e.eval(id)
		if r.state == no {
			return isNo
		}
		all = join(all, r)
		all.confidence += r.confidence / float64(len(of))
	}
	return settled(all)
}

// or holds when one operand does, as sure as the surest.
func (e *evaluation) or(of []int) result {
	open, best := result{state: no}, isNo
	for _, id := range of {
		r := e.eval(id)
		if r.state != yes {
			open = join(open, r)
			continue
		}
		if best.state != yes || r.confidence > best.confidence {
			best = r
		}
		if !e.plan.thorough || best.confidence >= 1 {
			return best
		}
	}
	if best.state == yes && open.state != pending {
		return best
	}
	return settled(open)
}

// join keeps the state that says least: one that is pending before a refusal,
// and that before an unknown.
func join(a, b result) result {
	rank := [...]int{pending: 3, refused: 2, unknown: 1, yes: 0, no: 0}
	if rank[b.state] > rank[a.state] {
		a.state = b.state
	}
	a.waits |= b.waits
	return a
}

// settled clears the confidence of what does not hold.
func settled(r result) result {
	if r.state != yes {
		r.confidence = 0
	}
	return r
}

func (e *evaluation) not(id int) result {
	switch r := e.eval(id); r.state {
	case yes:
		return isNo
	case no:
		return holds(1)
	default:
		return r
	}
}

func (e *evaluation) resolve(id int, onError config.OnError) result {
	r := e.eval(id)
	if r.state != unknown {
		return r
	}
	switch onError {
	case config.Holds:
		return holds(0)
	case config.Deny:
		return result{state: refused}
	}
	return isNo
}

// fetch asks the sources, at the same time where there are two.
func (e *evaluation) fetch(needed source) {
	needed &^= e.have
	e.have |= needed
	if needed != domains|vectors {
		if needed&domains != 0 {
			e.classify()
		}
		if needed&vectors != 0 {
			e.embed()
		}
		return
	}
	var wait sync.WaitGroup
	wait.Go(e.embed)
	defer wait.Wait() // even when classify panics, nobody writes to e any more
	e.classify()
}

func (e *evaluation) classify() {
	if e.signals.Domain != nil {
		e.domain = e.signals.Domain()
		e.flat = isFlat(e.domain.Probabilities)
	}
}

// embed never panics: it may run where nobody could recover.
func (e *evaluation) embed() {
	if e.signals.Embed == nil {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			e.broken = Failed
		}
	}()
	vector, err := e.signals.Embed()
	switch {
	case err == nil:
		e.vector = normal(vector)
	case errors.Is(err, classifier.ErrNoMatch): // nothing to go by
	case errors.Is(err, classifier.ErrOverloaded):
		e.broken = Overloaded
	case errors.Is(err, context.DeadlineExceeded):
		e.broken = Timeout
	default:
		e.broken = Failed
	}
}

// problem is why something could not be evaluated, "" when all could.
func (e *evaluation) problem() Reason {
	if e.domain.Problem != "" {
		return e.domain.Problem
	}
	return e.broken
}

// reason says why no rule held.
func (e *evaluation) reason(minConfidence float64) Reason {
	switch {
	case e.problem() != "":
		return e.problem()
	case e.have&domains == 0:
		return Default
	case e.unsure || e.domain.Category == "" || e.domain.Confidence < minConfidence:
		return Unsure
	}
	return Default
}

// percent writes a confidence for people.
func percent(v float64) string { return fmt.Sprintf("%.0f %%", 100*v) }
