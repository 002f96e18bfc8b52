package config

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// Key is equal for equal parts. The part is one of Parts.
func (w *When) Key() string {
	key, err := json.Marshal(w)
	if err != nil {
		panic(err) // not for what came from JSON
	}
	return string(key)
}

// Kind is the key of a condition of one part: domain, keyword …; header and
// metadata with the name of the field.
func (w *When) Kind() string {
	switch {
	case len(w.Domain) > 0:
		return "domain"
	case w.Keyword != nil:
		return "keyword"
	case w.Regex != nil:
		return "regex"
	case w.Embedding != nil:
		return "embedding"
	case w.Complexity != nil:
		return "complexity"
	case w.ContextTokens != nil:
		return "contextTokens"
	case len(w.Language) > 0:
		return "language"
	case w.Conversation != nil:
		return "conversation." + w.Conversation.kind()
	case len(w.Header) > 0:
		return "header." + onlyKey(w.Header)
	case len(w.Metadata) > 0:
		return "metadata." + onlyKey(w.Metadata)
	}
	return "time"
}

func onlyKey(m map[string]Match) string { return slices.Collect(maps.Keys(m))[0] }

func (c *Conversation) kind() string {
	name, _ := c.only()
	return name
}

// only is the number that a part is about, nil for stream.
func (c *Conversation) only() (string, *Range) {
	switch {
	case c.Messages != nil:
		return "messages", c.Messages
	case c.Turns != nil:
		return "turns", c.Turns
	case c.Tools != nil:
		return "tools", c.Tools
	case c.ToolResults != nil:
		return "toolResults", c.ToolResults
	case c.Images != nil:
		return "images", c.Images
	}
	return "stream", nil
}

// implies says that another part of the same kind holds whenever this one does.
// The two are not equal.
func (w *When) implies(other *When) bool {
	switch {
	case len(w.Domain) > 0:
		return subset(w.Domain, other.Domain) && *w.MinConfidence >= *other.MinConfidence
	case w.Keyword != nil:
		return w.Keyword.implies(other.Keyword)
	case w.Regex != nil:
		return w.Regex.Count == nil && other.Regex.Count == nil && subset(w.Regex.Any, other.Regex.Any)
	case w.ContextTokens != nil:
		return w.ContextTokens.within(other.ContextTokens)
	case len(w.Language) > 0:
		return subset(w.Language, other.Language)
	case w.Conversation != nil:
		_, mine := w.Conversation.only()
		_, theirs := other.Conversation.only()
		return mine != nil && theirs != nil && mine.within(theirs)
	case len(w.Header) > 0:
		name := onlyKey(w.Header)
		return w.Header[name].implies(other.Header[name])
	case len(w.Metadata) > 0:
		name := onlyKey(w.Metadata)
		return w.Metadata[name].implies(other.Metadata[name])
	}
	return false
}

// excludes says that two parts of the same kind never hold together.
func (w *When) excludes(other *When) bool {
	switch {
	case w.ContextTokens != nil:
		return w.ContextTokens.apart(other.ContextTokens)
	case len(w.Language) > 0:
		return !slices.ContainsFunc(w.Language, func(l string) bool { return slices.Contains(other.Language, l) })
	case w.Conversation != nil:
		_, mine := w.Conversation.only()
		_, theirs := other.Conversation.only()
		if mine == nil || theirs == nil {
			return *w.Conversation.Stream != *other.Conversation.Stream
		}
		return mine.apart(theirs)
	}
	return false
}

func subset(small, big []string) bool {
	return !slices.ContainsFunc(small, func(s string) bool { return !slices.Contains(big, s) })
}

// implies compares the words of conditions that look for them alike.
func (k *Keyword) implies(other *Keyword) bool {
	threshold := func(k *Keyword) float64 {
		if k.Threshold == nil {
			return 0
		}
		return *k.Threshold
	}
	if k.Method != other.Method || k.CaseSensitive != other.CaseSensitive || k.Distance != other.Distance ||
		k.Arity != other.Arity || threshold(k) != threshold(other) {
		return false
	}
	fold := func(words []string) []string {
		if k.CaseSensitive {
			return words
		}
		lower := make([]string, len(words))
		for i, word := range words {
			lower[i] = strings.ToLower(word)
		}
		return lower
	}
	any, all, none := fold(k.Any), fold(k.All), fold(k.None)
	otherAny := fold(other.Any)
	surely := len(otherAny) == 0 || len(any) > 0 && subset(any, otherAny) ||
		slices.ContainsFunc(all, func(word string) bool { return slices.Contains(otherAny, word) })
	return surely && subset(fold(other.All), all) && subset(fold(other.None), none)
}

// within says that a range lies in another.
func (r *Range) within(other *Range) bool {
	return (other.Min == nil || r.Min != nil && *r.Min >= *other.Min) &&
		(other.Max == nil || r.Max != nil && *r.Max <= *other.Max)
}

// apart says that two ranges have no number in common.
func (r *Range) apart(other *Range) bool {
	below := func(a, b *Range) bool { return a.Max != nil && b.Min != nil && *a.Max < *b.Min }
	return below(r, other) || below(other, r)
}

// implies compares lists of values, and the wish that there be one at all.
func (m Match) implies(other Match) bool {
	if other.Prefix != "" || other.Regex != "" {
		return false
	}
	if len(other.In) == 0 {
		return *other.Present && (m.Present == nil || *m.Present)
	}
	return len(m.In) > 0 && subset(m.In, other.In)
}
