package config

import (
	"fmt"
	"iter"
	"maps"
	"slices"
)

// maxDepth bounds how deep conditions may stand in one another.
const maxDepth = 32

// Conditions yields every condition of signals and rules, those inside others
// too, each with the path of its key, such as rules[0].when.any[1]. A condition
// comes before those inside it.
func (r *Router) Conditions() iter.Seq2[string, *When] {
	return func(yield func(string, *When) bool) {
		for _, name := range slices.Sorted(maps.Keys(r.Signals)) {
			when := r.Signals[name] // a copy, whose parts are shared
			if !when.walk("signals."+name, 0, yield) {
				return
			}
		}
		for i := range r.Rules {
			if !r.Rules[i].When.walk(fmt.Sprintf("rules[%d].when", i), 0, yield) {
				return
			}
		}
	}
}

// walk yields a condition and those inside it, as far as maxDepth; it returns
// false when the caller has had enough.
func (w *When) walk(at string, depth int, yield func(string, *When) bool) bool {
	if !yield(at, w) {
		return false
	}
	if depth == maxDepth {
		return true // where validation complains
	}
	for key, inside := range w.inside() {
		if !inside.walk(at+"."+key, depth+1, yield) {
			return false
		}
	}
	return true
}

// inside yields the conditions right inside this one, with their keys.
func (w *When) inside() iter.Seq2[string, *When] {
	return func(yield func(string, *When) bool) {
		for i := range w.All {
			if !yield(fmt.Sprintf("all[%d]", i), &w.All[i]) {
				return
			}
		}
		for i := range w.Any {
			if !yield(fmt.Sprintf("any[%d]", i), &w.Any[i]) {
				return
			}
		}
		if w.Not != nil {
			yield("not", w.Not)
		}
	}
}

// Parts takes a condition apart into conditions of one part each, without the
// conditions inside and without signals: one for each kind, header field,
// metadata field and number of the conversation. The condition holds when all
// of them and all that stands inside it do.
func (w *When) Parts() []*When {
	var parts []*When
	add := func(part When) { parts = append(parts, &part) }
	if len(w.Domain) > 0 {
		add(When{Domain: sorted(w.Domain), MinConfidence: w.MinConfidence})
	}
	if w.Keyword != nil {
		add(When{Keyword: w.Keyword})
	}
	if w.Regex != nil {
		add(When{Regex: w.Regex})
	}
	if w.Embedding != nil {
		add(When{Embedding: w.Embedding})
	}
	if w.Complexity != nil {
		add(When{Complexity: w.Complexity})
	}
	if w.ContextTokens != nil {
		add(When{ContextTokens: w.ContextTokens})
	}
	if len(w.Language) > 0 {
		add(When{Language: sorted(w.Language)})
	}
	if w.Conversation != nil {
		for _, one := range w.Conversation.parts() {
			add(When{Conversation: one})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.Header)) {
		add(When{Header: map[string]Match{name: w.Header[name]}})
	}
	for _, name := range slices.Sorted(maps.Keys(w.Metadata)) {
		add(When{Metadata: map[string]Match{name: w.Metadata[name]}})
	}
	if w.Time != nil {
		add(When{Time: w.Time})
	}
	return parts
}

func sorted(names Strings) Strings { return slices.Compact(slices.Sorted(slices.Values(names))) }

// parts takes a condition on a conversation apart into its numbers.
func (c *Conversation) parts() []*Conversation {
	var parts []*Conversation
	for _, one := range []Conversation{
		{Messages: c.Messages}, {Turns: c.Turns}, {Tools: c.Tools}, {ToolResults: c.ToolResults}, {Images: c.Images}, {Stream: c.Stream},
	} {
		if one != (Conversation{}) {
			parts = append(parts, &one)
		}
	}
	return parts
}
