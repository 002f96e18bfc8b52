package vsr

import (
	"fmt"
	"reflect"
	"strings"
	"unicode"

	"semantic-epp/config"
)

// op is how a condition is made of others.
type op int

const (
	leaf op = iota
	all
	anyOf
	not
	never  // cannot hold here
	always // holds for every request
)

// A cond is a condition of vSR on its way to ours.
type cond struct {
	op   op
	kids []*cond
	from *node  // where it stands
	text string // of a leaf, for people
	why  string // it never holds

	when       config.When // of a leaf
	shared     string      // type and name of a leaf's signal; "" is never shared
	definition *node       // of the signal
	read       func()      // says that the definition is taken, once it is used
}

// simplify takes out what never or always holds.
func (c *cond) simplify() *cond {
	if c.op == leaf || c.op == never || c.op == always {
		return c
	}
	simple := &cond{op: c.op, from: c.from}
	for _, kid := range c.kids {
		kid = kid.simplify()
		switch {
		case c.op == not && kid.op == never:
			return &cond{op: always, from: c.from}
		case c.op == not && kid.op == always:
			return &cond{op: never, from: c.from, why: "it negates what always holds"}
		case c.op == all && kid.op == never, c.op == anyOf && kid.op == always:
			return kid
		case c.op == all && kid.op == always:
			continue
		case c.op == anyOf && kid.op == never:
			simple.why = kid.why
			continue
		case c.op != not && kid.op == c.op:
			simple.kids = append(simple.kids, kid.kids...)
			continue
		}
		simple.kids = append(simple.kids, kid)
	}
	switch {
	case len(simple.kids) == 0 && c.op == anyOf && len(c.kids) > 0:
		return &cond{op: never, from: c.from, why: simple.why}
	case len(simple.kids) == 0:
		return &cond{op: always, from: c.from}
	case len(simple.kids) == 1 && c.op != not:
		return simple.kids[0]
	}
	return simple
}

// leaves visits the signals of a condition.
func (c *cond) leaves(visit func(*cond)) {
	if c.op == leaf {
		visit(c)
	}
	for _, kid := range c.kids {
		kid.leaves(visit)
	}
}

// String writes a condition for people.
func (c *cond) String() string {
	parts := make([]string, len(c.kids))
	for i, kid := range c.kids {
		parts[i] = kid.String()
	}
	switch c.op {
	case all:
		return "(" + strings.Join(parts, " and ") + ")"
	case anyOf:
		return "(" + strings.Join(parts, " or ") + ")"
	case not:
		return "not " + strings.Join(parts, "")
	case always:
		return "always"
	}
	return c.text
}

// write returns a simplified condition as ours.
func (c *cond) write() config.When {
	switch c.op {
	case leaf:
		return c.when
	case all:
		return every(c.whens())
	case anyOf:
		return either(c.whens())
	case not:
		inside := c.kids[0].write()
		return config.When{Not: &inside}
	}
	none := config.Count(0)
	return config.When{ContextTokens: &config.Range{Min: &none}} // holds for every request
}

func (c *cond) whens() []config.When {
	written := make([]config.When, len(c.kids))
	for i, kid := range c.kids {
		written[i] = kid.write()
	}
	return written
}

// every joins conditions that must all hold: side by side where they are of
// different kinds, under all where they are not.
func every(conditions []config.When) config.When {
	var joined config.When
	var rest []config.When
	for _, w := range conditions {
		if !beside(&joined, w) {
			rest = append(rest, w)
		}
	}
	if rest != nil && joined.All != nil {
		return config.When{All: append([]config.When{joined}, rest...)}
	}
	joined.All = append(joined.All, rest...)
	return joined
}

// beside puts the parts of a condition into another that has none of them.
func beside(into *config.When, w config.When) bool {
	to, from := reflect.ValueOf(into).Elem(), reflect.ValueOf(w)
	for i := range from.NumField() {
		if !from.Field(i).IsZero() && !to.Field(i).IsZero() {
			return false
		}
	}
	for i := range from.NumField() {
		if !from.Field(i).IsZero() {
			to.Field(i).Set(from.Field(i))
		}
	}
	return true
}

// either joins conditions of which one must hold; domains become one list.
func either(conditions []config.When) config.When {
	var domains config.Strings
	first := -1
	var rest []config.When
	for _, w := range conditions {
		if len(w.Domain) > 0 && reflect.DeepEqual(w, config.When{Domain: w.Domain}) {
			if first < 0 {
				first = len(rest)
				rest = append(rest, w)
			}
			for _, d := range w.Domain {
				if !contains(domains, d) {
					domains = append(domains, d)
				}
			}
			continue
		}
		rest = append(rest, w)
	}
	if first >= 0 {
		rest[first] = config.When{Domain: domains}
	}
	if len(rest) == 1 {
		return rest[0]
	}
	return config.When{Any: rest}
}

func contains(list []string, s string) bool {
	for _, one := range list {
		if one == s {
			return true
		}
	}
	return false
}

// nameRune keeps the runes that names of signals may have.
func nameRune(r rune) rune {
	if unicode.IsLetter(r) || unicode.IsNumber(r) || strings.ContainsRune("_ :/-", r) {
		return r
	}
	return '-'
}

// condition reads a tree of conditions: a signal by type and name, or an
// operator over conditions.
func (c *converter) condition(n *node) *cond {
	if n == nil {
		return &cond{op: always, text: "always"}
	}
	if n.kind != object {
		c.fault(n, "must be a condition with type and name, or an operator with conditions")
		return &cond{op: never, from: n}
	}
	operator, kids := n.get("operator"), n.get("conditions")
	if operator == nil && kids == nil && n.get("type") != nil {
		return c.signal(n)
	}
	read := &cond{from: n}
	for _, kid := range c.objects(kids) {
		read.kids = append(read.kids, c.condition(kid))
	}
	if kids != nil && len(kids.items) == 0 {
		c.say(kids, Taken, "no condition: the rule holds for every request")
	}
	switch name := strings.ToUpper(c.str(operator)); name {
	case "AND", "":
		read.op = all
		c.say(operator, Taken, "rules[].when: all")
	case "OR":
		read.op = anyOf
		c.say(operator, Taken, "rules[].when: any")
	case "NOT", "NOR":
		c.say(operator, Taken, "rules[].when.not")
		read = c.negation(read, operator, name)
	default:
		c.fault(operator, "%q; vSR knows AND, OR and NOT", operator.text)
	}
	return read
}

// negation is NOT of one condition, or of any of several.
func (c *converter) negation(read *cond, operator *node, name string) *cond {
	if len(read.kids) == 0 {
		c.fault(read.from, "%s needs a condition", name)
		return read
	}
	inside := &cond{op: anyOf, from: read.from, kids: read.kids}
	if inside.simplify().op == never {
		c.warn(operator, Approximated, "always holds: what it negates cannot be evaluated here (%s)", inside.simplify().why)
	}
	return &cond{op: not, from: read.from, kids: []*cond{inside}}
}

// signal reads a condition on a signal.
func (c *converter) signal(n *node) *cond {
	kind, name := n.get("type"), n.get("name")
	text := fmt.Sprintf("%s %q", c.str(kind), c.str(name))
	read := c.signalCondition(c.str(kind), c.str(name))
	read.from, read.text = n, text
	if read.op == never {
		for _, key := range []*node{kind, name} {
			c.warn(key, Ignored, "the condition counts as not holding: %s", read.why)
		}
		read.why = text + ": " + read.why
		return read
	}
	c.say(kind, Taken, "rules[].when")
	if name != nil && c.keys[name].outcome == "" {
		c.say(name, Taken, "rules[].when")
	}
	return read
}
