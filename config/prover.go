package config

import (
	"fmt"
	"slices"
	"strings"
)

// maxSteps bounds the search for a proof, for start-up's sake.
const maxSteps = 5_000_000

// maxProven bounds what is remembered of it: enough for two conditions, which
// is where remembering matters.
const maxProven = 512

// A formula is a condition in the form that proofs need: an operator with its
// operands, or one part of a condition.
type formula struct {
	id   int // equal for equal formulas
	op   operator
	of   []*formula
	part *When // of a leaf
	kind string
	// guarded says that onError inside may make it hold, or refuse requests,
	// where its condition cannot be evaluated.
	guarded bool
}

type operator string

const (
	leaf      operator = "leaf"
	conjoined operator = "and"
	disjoined operator = "or"
	negated   operator = "not"
	assumed   operator = "on error " // with what is assumed
)

func (o operator) assumes() bool { return strings.HasPrefix(string(o), string(assumed)) }

// A prover decides whether one formula follows from another.
type prover struct {
	router   *Router
	interned map[string]*formula
	signals  map[string]*formula
	proven   map[[2]int]bool
	steps    int
}

func newProver(r *Router) *prover {
	return &prover{router: r, interned: map[string]*formula{}, signals: map[string]*formula{}, proven: map[[2]int]bool{}}
}

// formula takes a condition apart. Signals stand for their conditions.
func (p *prover) formula(w *When) *formula {
	var parts []*formula
	for _, part := range w.Parts() {
		parts = append(parts, p.leaf(part))
	}
	var named []*formula
	for _, name := range w.Signal {
		named = append(named, p.signal(name))
	}
	parts = p.appendJoined(parts, disjoined, named)
	for i := range w.All {
		parts = append(parts, p.formula(&w.All[i]))
	}
	var any []*formula
	for i := range w.Any {
		any = append(any, p.formula(&w.Any[i]))
	}
	parts = p.appendJoined(parts, disjoined, any)
	if w.Not != nil {
		parts = append(parts, p.join(negated, []*formula{p.formula(w.Not)}))
	}
	whole := p.appendJoined(nil, conjoined, parts)[0]
	if w.OnError != "" {
		return p.join(assumed+operator(w.OnError), []*formula{whole})
	}
	return whole
}

func (p *prover) signal(name string) *formula {
	if known, ok := p.signals[name]; ok {
		return known
	}
	when := p.router.Signals[name]
	made := p.formula(&when)
	p.signals[name] = made
	return made
}

// appendJoined appends one formula for several; one stands for itself.
func (p *prover) appendJoined(to []*formula, op operator, of []*formula) []*formula {
	switch len(of) {
	case 0:
		return to
	case 1:
		return append(to, of[0])
	}
	return append(to, p.join(op, of))
}

func (p *prover) join(op operator, of []*formula) *formula {
	of = slices.Clone(of)
	slices.SortFunc(of, func(a, b *formula) int { return a.id - b.id })
	key := string(op)
	guarded := op.assumes()
	for _, o := range of {
		key += fmt.Sprintf(" %d", o.id)
		guarded = guarded || o.guarded
	}
	return p.intern(key, formula{op: op, of: of, guarded: guarded})
}

func (p *prover) leaf(part *When) *formula {
	if len(part.Domain) > 0 && part.MinConfidence == nil {
		part.MinConfidence = p.router.Classifier.MinConfidence
	}
	return p.intern(part.Key(), formula{op: leaf, part: part, kind: part.Kind()})
}

func (p *prover) intern(key string, f formula) *formula {
	if known, ok := p.interned[key]; ok {
		return known
	}
	f.id = len(p.interned)
	p.interned[key] = &f
	return &f
}

// implies says that e holds whenever l does. It answers no where it finds no
// proof, or finds none in time.
func (p *prover) implies(l, e *formula) bool {
	if l.id == e.id {
		return true
	}
	if l.op == leaf && e.op == leaf {
		return l.kind == e.kind && l.part.implies(e.part)
	}
	pair := [2]int{l.id, e.id}
	if known, ok := p.proven[pair]; ok {
		return known
	}
	if p.steps++; p.steps > maxSteps {
		return false
	}
	yes := p.prove(l, e)
	if len(p.proven) == maxProven {
		clear(p.proven)
	}
	p.proven[pair] = yes
	return yes
}

func (p *prover) prove(l, e *formula) bool {
	from := func(part *formula) bool { return p.implies(part, e) }
	to := func(part *formula) bool { return p.implies(l, part) }
	switch {
	case e.op.assumes(): // it holds where its condition does
		return to(e.of[0])
	case l.op == negated && e.op == negated:
		return p.implies(e.of[0], l.of[0])
	case l.op == disjoined:
		return !slices.ContainsFunc(l.of, func(part *formula) bool { return !from(part) })
	case e.op == conjoined:
		return !slices.ContainsFunc(e.of, func(part *formula) bool { return !to(part) })
	}
	return l.op == conjoined && slices.ContainsFunc(l.of, from) || e.op == disjoined && slices.ContainsFunc(e.of, to)
}

// contradiction says why a formula never holds, "" when it may.
func (p *prover) contradiction(f *formula) string {
	switch {
	case f.guarded:
		return ""
	case f.op == disjoined:
		why := ""
		for _, part := range f.of {
			if why = p.contradiction(part); why == "" {
				return ""
			}
		}
		return why
	case f.op != conjoined:
		return ""
	}
	all := f.conjuncts(nil)
	for i, part := range all {
		if why := p.contradiction(part); why != "" {
			return why
		}
		for j, other := range all {
			switch {
			case other.op == negated && p.implies(part, other.of[0]):
				return "it asks for a condition and for its opposite" + part.named()
			case j > i && part.op == leaf && other.kind == part.kind && part.part.excludes(other.part):
				return "two of its parts exclude each other" + part.named()
			}
		}
	}
	return ""
}

// conjuncts are the formulas that all must hold, those of nested ones too.
func (f *formula) conjuncts(to []*formula) []*formula {
	if f.op != conjoined {
		return append(to, f)
	}
	for _, part := range f.of {
		to = part.conjuncts(to)
	}
	return to
}

// named says which part a fault is about.
func (f *formula) named() string {
	if f.op != leaf {
		return ""
	}
	return ": " + f.kind
}
