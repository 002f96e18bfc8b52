package config

import (
	"cmp"
	"fmt"
	"slices"
)

// checkReach finds rules that can never decide: those whose condition
// contradicts itself, and those that an earlier rule always forestalls. It
// proves what it says; of what it cannot prove it is silent.
func (r *Router) checkReach(f *faults) {
	prover := newProver(r)
	conditions := make([]*formula, len(r.Rules))
	order := make([]int, len(r.Rules))
	for i := range r.Rules {
		order[i] = i
		conditions[i] = prover.formula(&r.Rules[i].When)
		if why := prover.contradiction(conditions[i]); why != "" {
			f.add(fmt.Sprintf("rules[%d].when", i), "never holds: %s", why)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return r.Rules[a].Compare(&r.Rules[b]) })
	for n, later := range order {
		for _, earlier := range order[:n] {
			if r.forestalls(&r.Rules[earlier], &r.Rules[later], conditions[earlier], conditions[later], prover) {
				f.add(fmt.Sprintf("rules[%d]", later), "never decides: rule %q comes first and holds whenever this one does",
					r.Rules[earlier].Name)
				break
			}
		}
	}
}

// Compare orders rules: the lowest tier, then the highest priority. It returns
// a negative number when r comes before other.
func (r *Rule) Compare(other *Rule) int {
	return cmp.Or(cmp.Compare(r.Tier, other.Tier), cmp.Compare(other.Priority, r.Priority))
}

// forestalls says whether the earlier rule decides whenever the later one
// holds or refuses. By confidence, that is sure only of a lower tier, and of the same
// condition, which is equally confident.
func (r *Router) forestalls(earlier, later *Rule, e, l *formula, p *prover) bool {
	if r.Strategy == ByConfidence && earlier.Tier == later.Tier {
		return e.id == l.id
	}
	return e.id == l.id || !l.guarded && p.implies(l, e)
}
