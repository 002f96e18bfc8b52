package cluster

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A Kind says what is wrong with the way to a pool.
type Kind string

const (
	// NoRoute: no rule of a listener takes requests for the model.
	NoRoute Kind = "no-route"
	// WrongPool: the rule that takes them leads to what does not serve it.
	WrongPool Kind = "wrong-pool"
	// SeveralRules: rules of equal rank lead to different pools; their age decides.
	SeveralRules Kind = "several-rules"
	// SeveralBackends: one rule divides requests over several backends by weight,
	// so that the gateway and not the picker chooses the pool.
	SeveralBackends Kind = "several-backends"
	// RuleName: rules of different routes of one listener have one name, which
	// Istio takes for one rule: one of them gets the picker of the other.
	RuleName Kind = "rule-name"
	// PoolMissing: a pool that was asked for does not exist.
	PoolMissing Kind = "pool-missing"
)

// A Problem is a difference between what pools serve and where routes lead.
type Problem struct {
	// Pool that the requests should reach, or whose rule is at fault.
	Pool string
	Kind Kind
	// Model is the model in question; "" when it is not about one.
	Model string
	// Text says what is wrong and what to do, for people.
	Text string
}

// String is the problem in one line.
func (p Problem) String() string { return fmt.Sprintf("pool %s: %s: %s", p.Pool, p.Kind, p.Text) }

// checker compares routes with what pools serve.
type checker struct {
	header string
	serves map[string][]string // model → pools whose endpoints serve it, sorted

	problems map[Problem]bool
	leads    map[string][]string // model → pools that its routes lead to
}

// check finds all problems of the listeners, sorted, and the pools that routes
// lead each model to.
func check(at map[listener][]option, serves map[string][]string, header string) ([]Problem, map[string][]string) {
	c := &checker{header: header, serves: serves, problems: map[Problem]bool{}, leads: map[string][]string{}}
	for l, options := range at {
		c.names(l, options)
		c.backends(l, options)
		for _, path := range paths(options) {
			for model, pools := range serves {
				c.model(l, path, model, pools, options)
			}
		}
	}
	for model := range c.leads {
		c.leads[model] = sorted(c.leads[model])
	}
	return slices.SortedFunc(maps.Keys(c.problems), compareProblems), c.leads
}

func compareProblems(a, b Problem) int {
	return cmp.Or(cmp.Compare(a.Pool, b.Pool), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Model, b.Model), cmp.Compare(a.Text, b.Text))
}

func (c *checker) add(pool string, kind Kind, model, format string, args ...any) {
	c.problems[Problem{pool, kind, model, fmt.Sprintf(format, args...)}] = true
}

// model tries one path with the header for a model.
func (c *checker) model(l listener, path, model string, pools []string, options []option) {
	w := follow(options, request{path: path, header: c.header, model: model})
	for _, o := range w.possible {
		if len(o.others) == 0 && contains(pools, o.pools) {
			return // with further headers, which we cannot know, it gets there
		}
	}
	wants := fmt.Sprintf("requests for model %s on %s (%s)", model, path, l)
	switch {
	case w.winner == nil:
		c.add(pools[0], NoRoute, model, "no rule takes %s; add one that matches header %s: %s and leads to InferencePool %s",
			wants, c.header, model, pools[0])
		return
	case len(w.winner.others) > 0 || !contains(pools, w.winner.pools):
		c.add(pools[0], WrongPool, model, "%s go by rule %s to %s, which does not serve it; InferencePool %s does",
			wants, w.winner.title(), w.winner.target(), strings.Join(pools, " or "))
	}
	if len(w.winner.pools) > 0 {
		c.leads[model] = append(c.leads[model], w.winner.pools...)
	}
	for _, o := range w.equals {
		c.add(pools[0], SeveralRules, model, "%s match rules %s and %s alike, which lead to %s and to %s; the older route wins",
			wants, w.winner.title(), o.title(), w.winner.target(), o.target())
	}
}

// contains says whether all of some, at least one, are among the pools.
func contains(pools, some []string) bool {
	return len(some) > 0 && !slices.ContainsFunc(some, func(p string) bool { return !slices.Contains(pools, p) })
}

func (c *checker) backends(l listener, options []option) {
	for i := range options {
		o := &options[i]
		if len(o.pools) > 0 && len(o.pools)+len(o.others) > 1 {
			c.add(o.pools[0], SeveralBackends, "", "rule %s (%s) divides requests over %s; give each InferencePool a rule of its own",
				o.title(), l, o.target())
		}
	}
}

// names finds names that rules of several routes share.
func (c *checker) names(l listener, options []option) {
	first := map[string]*option{}
	for i := range options {
		o := &options[i]
		if o.name == "" {
			continue
		}
		f, ok := first[o.name]
		if !ok {
			first[o.name] = o
			continue
		}
		if f.route == o.route && f.order == o.order {
			continue // another match of the same rule
		}
		if pools := append(slices.Clone(f.pools), o.pools...); len(pools) > 0 {
			c.add(pools[0], RuleName, "", "HTTPRoutes %s and %s both name a rule %q (%s), which Istio takes for one; name them differently or not at all",
				f.route, o.route, o.name, l)
		}
	}
}

// title names the rule of an option.
func (o *option) title() string {
	if o.name != "" {
		return fmt.Sprintf("%s/%s", o.route, o.name)
	}
	return fmt.Sprintf("%s[%d]", o.route, o.order)
}

// target is where an option leads, in words.
func (o *option) target() string {
	var all []string
	for _, p := range o.pools {
		all = append(all, "InferencePool "+p)
	}
	all = append(all, o.others...)
	if len(all) == 0 {
		return "nothing"
	}
	return strings.Join(all, " and ")
}
