package vsr

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"semantic-epp/config"
)

// A rule is one of ours on its way, with where it comes from.
type rule struct {
	config.Rule
	from []*node // the category or decision last
	cond *cond
}

// id is the part of the input that makes this rule and no other.
func (r *rule) id() *node { return r.from[0] }

// scored is a model that a rule may choose, as vSR scores it.
type scored struct {
	name      string
	score     float64
	weight    *node
	reasoning config.Reasoning
}

// rank writes the models of a rule, best first.
func (r *rule) rank(found []scored) {
	slices.SortStableFunc(found, func(a, b scored) int {
		switch {
		case a.score > b.score:
			return -1
		case a.score < b.score:
			return 1
		}
		return 0
	})
	seen := map[string]bool{}
	for _, m := range found {
		if seen[m.name] {
			continue
		}
		seen[m.name] = true
		one := config.ModelScore{Name: m.name, Reasoning: m.reasoning}
		if m.score != 1 {
			one.Score = &m.score
		}
		r.Models = append(r.Models, one)
	}
	r.shareReasoning()
}

// shareReasoning says once for the rule what all its models have in common.
func (r *rule) shareReasoning() {
	for _, m := range r.Models {
		if m.Reasoning != r.Models[0].Reasoning {
			return
		}
	}
	for i := range r.Models {
		r.Reasoning, r.Models[i].Reasoning = r.Models[i].Reasoning, ""
	}
}

// scale brings scores into (0, 1] and says whether that changed any.
func scale(found []scored) bool {
	top := 1.0
	for _, m := range found {
		top = math.Max(top, m.score)
	}
	changed := false
	for i := range found {
		to := math.Max(found[i].score/top, 0.001)
		changed = changed || to != found[i].score
		found[i].score = to
	}
	return changed
}

// leave leaves a rule out.
func (c *converter) leave(r *rule, why string, warn bool) {
	c.left = append(c.left, leftOut{name: r.Name, when: r.cond.String(), why: why})
	c.cover(r.id(), remark{outcome: Ignored, warn: warn, note: "the rule is left out: " + why})
}

// finishRules leaves out the rules that cannot hold and writes the conditions
// of the others: signals that several need stand once.
func (c *converter) finishRules() {
	var kept []*rule
	for _, r := range c.rules {
		whole := r.cond.simplify()
		if why := c.dropped[r.id()]; why != "" {
			c.leave(r, why, !strings.HasPrefix(why, "never decides"))
			continue
		}
		if whole.op == never {
			c.leave(r, whole.why, true)
			continue
		}
		r.cond = whole
		kept = append(kept, r)
	}
	c.rules = kept
	uses := map[string]int{}
	for _, r := range kept {
		r.cond.leaves(func(leaf *cond) {
			if leaf.shared != "" && !c.inline {
				uses[leaf.shared]++
			}
		})
	}
	names := c.signalNames(uses)
	for i, r := range kept {
		r.cond.leaves(func(leaf *cond) {
			if leaf.read != nil {
				leaf.read()
			}
			if name := names[leaf.shared]; name != "" {
				if c.router.Signals == nil {
					c.router.Signals = map[string]config.When{}
				}
				if _, ok := c.router.Signals[name]; !ok {
					c.router.Signals[name] = leaf.when
					c.origin("signals."+name, "", leaf.definition)
				}
				leaf.when = config.When{Signal: config.Strings{name}}
			}
		})
		r.When = r.cond.write()
		c.router.Rules = append(c.router.Rules, r.Rule)
		text := make([]string, len(r.from))
		for k, n := range r.from {
			text[k] = fmt.Sprintf("%s, line %d", n.path, n.line)
		}
		c.origin(fmt.Sprintf("rules[%d]", i), strings.Join(text, " and "), r.from...)
	}
}

// signalNames names the signals that are used more than once.
func (c *converter) signalNames(uses map[string]int) map[string]string {
	names, taken := map[string]string{}, map[string]bool{}
	for _, r := range c.rules { // in order, so that names are stable
		r.cond.leaves(func(leaf *cond) {
			if uses[leaf.shared] < 2 || names[leaf.shared] != "" {
				return
			}
			_, name, _ := strings.Cut(leaf.shared, " ")
			name = strings.Map(nameRune, name)
			if name = strings.TrimLeft(name, " :/-"); name == "" || taken[name] {
				name = strings.Map(nameRune, strings.ReplaceAll(leaf.shared, " ", "-"))
			}
			for unique, i := name, 2; ; i++ {
				if !taken[unique] {
					name = unique
					break
				}
				unique = fmt.Sprintf("%s-%d", name, i)
			}
			taken[name], names[leaf.shared] = true, name
		})
	}
	return names
}
