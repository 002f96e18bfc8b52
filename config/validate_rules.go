package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds on rules, so that the labels of metrics and a request's growth stay
// bounded.
const (
	maxRules        = 1024
	maxSystemPrompt = 64 << 10 // bytes
	maxAnswer       = 64 << 10 // bytes
	maxFields       = 64       // of a request, that a rule names
	maxHeaderValue  = 4 << 10  // bytes
	maxWeight       = 1_000_000
)

func (r *Router) checkRules(f *faults) {
	f.most("rules", "rules", len(r.Rules), maxRules)
	seen := map[string]bool{}
	for i := range r.Rules {
		rule, at := &r.Rules[i], fmt.Sprintf("rules[%d]", i)
		switch {
		case rule.Name == "":
			f.add(at+".name", "missing")
		case seen[rule.Name]:
			f.add(at+".name", "rule %q stands twice", rule.Name)
		}
		seen[rule.Name] = true
		r.checkRanking(f, at, rule)
		checkReasoningWish(f, at+".reasoning", rule.Reasoning)
		rule.SystemPrompt.check(f, at+".systemPrompt")
		rule.Parameters.check(f, at+".parameters")
		r.checkHeaderEdits(f, at+".headers", rule.Headers)
		rule.Respond.check(f, at+".respond")
		if rule.Respond != nil && (rule.Reasoning != "" || rule.SystemPrompt != nil || rule.Parameters != nil) {
			f.add(at+".respond", "no model is asked: leave reasoning, systemPrompt and parameters out")
		}
	}
}

// checkRanking checks the models of a rule.
func (r *Router) checkRanking(f *faults, at string, rule *Rule) {
	switch {
	case len(rule.Models) == 0 && rule.Respond == nil:
		f.add(at+".models", "empty; name at least one model%s", r.known())
	case len(rule.Models) > 0 && rule.Respond != nil:
		f.add(at+".models", "respond answers without a model: leave one of the two out")
	}
	weighted, total := 0, 0
	for i, m := range rule.Models {
		key := fmt.Sprintf("%s.models[%d]", at, i)
		if r.Model(m.Name) == nil {
			f.add(key+".name", "unknown model %q%s", m.Name, r.known())
		}
		if slices.ContainsFunc(rule.Models[:i], func(earlier ModelScore) bool { return earlier.Name == m.Name }) {
			f.add(key+".name", "model %q stands twice in this rule", m.Name)
		}
		f.positive(key+".score", m.Score, 1)
		checkReasoningWish(f, key+".reasoning", m.Reasoning)
		if m.Weight == nil {
			continue
		}
		weighted++
		if *m.Weight < 0 || *m.Weight > maxWeight {
			f.add(key+".weight", "%d; use a number in [0, %d]", *m.Weight, maxWeight)
			continue
		}
		total += *m.Weight
	}
	if weighted > 0 && total == 0 {
		f.add(at+".models", "all weights are 0; give one model a weight, or none")
	}
}

func checkReasoningWish(f *faults, at string, wish Reasoning) {
	if wish != "" && !wish.Valid() {
		f.add(at, "%q; use off, on, minimal, low, medium or high", wish)
	}
}

func (p *SystemPrompt) check(f *faults, at string) {
	if p == nil {
		return
	}
	if strings.TrimSpace(p.Text) == "" {
		f.add(at, "empty; leave it out")
	}
	f.most(at, "bytes", len(p.Text), maxSystemPrompt)
	oneOf(f, at+".mode", p.Mode, Replace, Prepend)
}

func (p *Parameters) check(f *faults, at string) {
	if p == nil {
		return
	}
	f.natural(at+".maxTokens", p.MaxTokens)
	f.natural(at+".maxN", p.MaxN)
	f.most(at+".block", "fields", len(p.Block), maxFields)
	f.most(at+".defaults", "fields", len(p.Defaults), maxFields)
	if p.MaxTokens == 0 && p.MaxN == 0 && len(p.Block) == 0 && len(p.Defaults) == 0 {
		f.add(at, "empty; use maxTokens, maxN, block or defaults")
	}
	for i, field := range p.Block {
		key := fmt.Sprintf("%s.block[%d]", at, i)
		checkField(f, key, field)
		if _, also := p.Defaults[field]; also {
			f.add(key, "%q is also among defaults", field)
		}
	}
	for _, field := range slices.Sorted(maps.Keys(p.Defaults)) {
		checkField(f, at+".defaults."+field, field)
	}
}

func checkField(f *faults, at, field string) {
	switch {
	case field == "":
		f.add(at, "empty; name a field of the request")
	case slices.Contains(routed, field):
		f.add(at, "%q carries the request itself; rules cannot change it here", field)
	}
}

var headerValue = regexp.MustCompile(`^[\t\x20-\x7e]*$`)

func (r *Router) checkHeaderEdits(f *faults, at string, h *Headers) {
	if h == nil {
		return
	}
	if len(h.Set) == 0 && len(h.Remove) == 0 {
		f.add(at, "empty; use set or remove")
	}
	f.most(at, "header fields", len(h.Set)+len(h.Remove), maxFields)
	for _, name := range slices.Sorted(maps.Keys(h.Set)) {
		key := at + ".set." + name
		r.checkEditable(f, key, name)
		if value := h.Set[name]; len(value) > maxHeaderValue || !headerValue.MatchString(value) {
			f.add(key, "not a header value: at most %d bytes of printable ASCII", maxHeaderValue)
		}
	}
	for i, name := range h.Remove {
		key := fmt.Sprintf("%s.remove[%d]", at, i)
		r.checkEditable(f, key, name)
		if _, also := h.Set[name]; also {
			f.add(key, "%q is also set", name)
		}
	}
}

// fixed are header fields that belong to the connection or to the body.
var fixed = []string{
	"host", "content-length", "content-type", "content-encoding", "transfer-encoding", "connection", "upgrade", "te",
	"trailer", "keep-alive", "expect",
}

// checkEditable complains of a field that a rule may not change. Credentials for
// an external model may be.
func (r *Router) checkEditable(f *faults, at, name string) {
	credentials := name == "authorization" || name == "cookie"
	switch {
	case !headerName.MatchString(name):
		f.add(at, "%q is not a header name in lower case", name)
	case slices.Contains(fixed, name):
		f.add(at, "%q belongs to the connection or the body", name)
	case isForbidden(name) && !credentials || slices.Contains(r.ModelHeaders, name):
		f.add(at, "%q is written by the picker", name)
	}
}

func (a *Respond) check(f *faults, at string) {
	if a == nil {
		return
	}
	if strings.TrimSpace(a.Text) == "" {
		f.add(at+".text", "missing; say what is answered")
	}
	f.most(at+".text", "bytes", len(a.Text), maxAnswer)
	if !utf8.ValidString(a.Text) {
		f.add(at+".text", "not UTF-8")
	}
	if a.Status != 200 && (a.Status < 400 || a.Status > 599) {
		f.add(at+".status", "%d; use 200, or an error from 400 to 599", a.Status)
	}
	switch {
	case a.Status >= 400 && a.FinishReason != "":
		f.add(at+".finishReason", "an error has none: leave it out")
	case a.Status < 400:
		oneOf(f, at+".finishReason", a.FinishReason, "stop", "content_filter")
	}
}
