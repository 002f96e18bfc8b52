package cluster

import (
	"cmp"
	"math/rand/v2"
	"slices"

	"sigs.k8s.io/gateway-api-inference-extension/apix/v1alpha2"
)

// rewrites are the rules of all InferenceModelRewrites, in an order that makes
// the first match the right one: exact before generic, and the older object
// first (GIE, pkg/epp/datastore/modelrewritestore.go).
type rewrites struct {
	exact   map[string]*rewrite
	generic []*rewrite
}

type rewrite struct {
	object  string // name of the InferenceModelRewrite
	pool    string
	targets []v1alpha2.TargetModel
}

// newRewrites takes the objects that refer to one of the pools.
func newRewrites(objects []v1alpha2.InferenceModelRewrite, refers func(*v1alpha2.PoolObjectReference) bool) *rewrites {
	byAge := slices.Clone(objects)
	slices.SortFunc(byAge, func(a, b v1alpha2.InferenceModelRewrite) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	all := &rewrites{exact: map[string]*rewrite{}}
	for i := range byAge {
		o := &byAge[i]
		if o.DeletionTimestamp.IsZero() && refers(o.Spec.PoolRef) {
			for j := range o.Spec.Rules {
				all.add(o, &o.Spec.Rules[j])
			}
		}
	}
	return all
}

func (w *rewrites) add(o *v1alpha2.InferenceModelRewrite, rule *v1alpha2.InferenceModelRewriteRule) {
	if len(rule.Targets) == 0 {
		return
	}
	r := &rewrite{object: o.Name, pool: string(o.Spec.PoolRef.Name), targets: rule.Targets}
	if len(rule.Matches) == 0 {
		w.generic = append(w.generic, r)
		return
	}
	for _, match := range rule.Matches {
		if match.Model == nil {
			continue
		}
		if _, older := w.exact[match.Model.Value]; !older {
			w.exact[match.Model.Value] = r
		}
	}
}

// find is the rule for a model's name, nil without one. A generic rule speaks
// for its pool alone, so with several pools it needs to know where the model is.
func (w *rewrites) find(model string, pools []string, single bool) *rewrite {
	if r, ok := w.exact[model]; ok {
		return r
	}
	for _, r := range w.generic {
		if single || slices.Contains(pools, r.pool) {
			return r
		}
	}
	return nil
}

// draw chooses a target by weight; weights that are all 0 are equal.
func (r *rewrite) draw() string {
	total := 0
	for i := range r.targets {
		total += max(int(r.targets[i].Weight), 0)
	}
	last := len(r.targets) - 1
	if total == 0 {
		return r.targets[rand.IntN(last+1)].ModelRewrite
	}
	n := rand.IntN(total)
	for i := range r.targets[:last] {
		if n -= max(int(r.targets[i].Weight), 0); n < 0 {
			return r.targets[i].ModelRewrite
		}
	}
	return r.targets[last].ModelRewrite
}
