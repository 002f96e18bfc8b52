package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Bounds on what one configuration may hold, so that the time a request takes
// and the labels of metrics stay bounded.
const (
	maxModels      = 1024
	maxRules       = 1024
	maxWords       = 1024
	maxExpressions = 64
	maxExpression  = 1024 // bytes
)

// trustable are the header fields of the endpoint picker protocol that a
// client could use to raise its own priority.
var trustable = []string{"x-gateway-inference-objective", "x-gateway-inference-fairness-id"}

var headerName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*$`)

// faults returns every fault of the configuration, each with its key.
func (r *Router) faults() []error {
	f := &faults{}
	r.checkModels(f)
	r.checkNames(f)
	r.Classifier.check(f)
	r.checkHeaders(f)
	if len(r.Rules) > maxRules {
		f.add("rules", "%d rules; at most %d", len(r.Rules), maxRules)
	}
	seen := map[string]bool{}
	for i := range r.Rules {
		r.checkRule(f, fmt.Sprintf("rules[%d]", i), &r.Rules[i], seen)
	}
	return f.list
}

func (r *Router) checkModels(f *faults) {
	if len(r.Models) == 0 {
		f.add("models", "empty; name at least one model")
	}
	if len(r.Models) > maxModels {
		f.add("models", "%d models; at most %d", len(r.Models), maxModels)
	}
	seen := map[string]bool{}
	for i, m := range r.Models {
		at := fmt.Sprintf("models[%d]", i)
		switch {
		case m.Name == "":
			f.add(at+".name", "missing")
		case seen[m.Name]:
			f.add(at+".name", "model %q stands twice", m.Name)
		case slices.Contains(r.AutoModels, m.Name):
			f.add(at+".name", "%q is also an auto model name", m.Name)
		}
		seen[m.Name] = true
		if m.External && (m.Match != nil || m.AdapterOf != "") {
			f.add(at, "external models have no endpoints here: leave match and adapterOf out")
		}
		if m.AdapterOf == "" {
			continue
		}
		switch base := r.Model(m.AdapterOf); {
		case base == nil:
			f.add(at+".adapterOf", "unknown model %q%s", m.AdapterOf, r.known())
		case base.AdapterOf != "" || base.External:
			f.add(at+".adapterOf", "%q is not a base model with endpoints", m.AdapterOf)
		}
		if m.Match != nil {
			f.add(at+".match", "an adapter is served by the endpoints of its base model: leave match out")
		}
	}
}

func (r *Router) checkNames(f *faults) {
	switch {
	case r.DefaultModel == "":
		f.add("defaultModel", "missing; name the model for what no rule claims%s", r.known())
	case r.Model(r.DefaultModel) == nil:
		f.add("defaultModel", "unknown model %q%s", r.DefaultModel, r.known())
	}
	if r.OtherPaths != r.DefaultModel && r.Model(r.OtherPaths) == nil {
		f.add("otherPaths", "unknown model %q%s", r.OtherPaths, r.known())
	}
	if r.UnknownModel != Reject && r.UnknownModel != Pass {
		f.add("unknownModel", "%q; use reject or pass", r.UnknownModel)
	}
	for i, name := range r.AutoModels {
		if name == "" {
			f.add(fmt.Sprintf("autoModels[%d]", i), "empty")
		}
	}
}

func (c *Classifier) check(f *faults) {
	if !slices.Contains([]string{"builtin", "linear", "none"}, c.Model) {
		f.add("classifier.model", "%q; use builtin, linear or none", c.Model)
	}
	checkConfidence(f, "classifier.minConfidence", c.MinConfidence)
	if c.Timeout < 0 {
		f.add("classifier.timeout", "negative")
	}
	if c.Concurrency < 0 {
		f.add("classifier.concurrency", "negative")
	}
	if c.Queue < 0 {
		f.add("classifier.queue", "negative")
	}
}

func (r *Router) checkHeaders(f *faults) {
	for i, name := range r.ModelHeaders {
		if !headerName.MatchString(name) {
			f.add(fmt.Sprintf("modelHeaders[%d]", i), "%q is not a header name in lower case", name)
		}
	}
	for i, name := range r.TrustedHeaders {
		if !slices.Contains(trustable, name) {
			f.add(fmt.Sprintf("trustedHeaders[%d]", i), "%q; use %s", name, strings.Join(trustable, " or "))
		}
	}
}

func (r *Router) checkRule(f *faults, at string, rule *Rule, seen map[string]bool) {
	switch {
	case rule.Name == "":
		f.add(at+".name", "missing")
	case seen[rule.Name]:
		f.add(at+".name", "rule %q stands twice", rule.Name)
	}
	seen[rule.Name] = true
	if len(rule.Models) == 0 {
		f.add(at+".models", "empty; name at least one model%s", r.known())
	}
	for i, m := range rule.Models {
		if r.Model(m.Name) == nil {
			f.add(fmt.Sprintf("%s.models[%d].name", at, i), "unknown model %q%s", m.Name, r.known())
		}
		if m.Score != nil && (*m.Score <= 0 || *m.Score > 1) {
			f.add(fmt.Sprintf("%s.models[%d].score", at, i), "%v; use a number in (0, 1]", *m.Score)
		}
	}
	rule.When.check(f, at+".when", r.Classifier.Model)
}

func (w *When) check(f *faults, at, classifier string) {
	if len(w.Domain) == 0 && w.Keyword == nil && len(w.Regex) == 0 {
		f.add(at, "empty; use domain, keyword or regex")
	}
	if slices.Contains(w.Domain, "") {
		f.add(at+".domain", "an empty name is no category; leave it out")
	}
	if len(w.Domain) > 0 && classifier == "none" {
		f.add(at+".domain", "needs a classifier, but classifier.model is none")
	}
	if w.MinConfidence != nil && len(w.Domain) == 0 {
		f.add(at+".minConfidence", "only has a meaning beside domain")
	}
	checkConfidence(f, at+".minConfidence", w.MinConfidence)
	if w.Keyword != nil {
		w.Keyword.check(f, at+".keyword")
	}
	if len(w.Regex) > maxExpressions {
		f.add(at+".regex", "%d expressions; at most %d", len(w.Regex), maxExpressions)
	}
	for i, expr := range w.Regex {
		key := fmt.Sprintf("%s.regex[%d]", at, i)
		if expr == "" {
			f.add(key, "an empty expression matches everything; leave it out")
		} else if len(expr) > maxExpression {
			f.add(key, "%d bytes; at most %d", len(expr), maxExpression)
		} else if _, err := regexp.Compile(expr); err != nil {
			f.add(key, "%v", err)
		}
	}
}

func (k *Keyword) check(f *faults, at string) {
	words := slices.Concat(k.Any, k.All, k.None)
	if len(words) == 0 {
		f.add(at, "empty; name words under any, all or none")
	}
	if len(words) > maxWords {
		f.add(at, "%d words; at most %d", len(words), maxWords)
	}
	if slices.ContainsFunc(words, func(w string) bool { return strings.TrimSpace(w) == "" }) {
		f.add(at, "an empty word matches everything; leave it out")
	}
}

func checkConfidence(f *faults, at string, v *float64) {
	if v != nil && !(*v >= 0 && *v <= 1) {
		f.add(at, "%v; use a number in [0, 1]", *v)
	}
}

// known lists the models for an error message.
func (r *Router) known() string {
	if len(r.Models) == 0 || len(r.Models) > 20 {
		return ""
	}
	names := make([]string, len(r.Models))
	for i, m := range r.Models {
		names[i] = m.Name
	}
	return "; known models: " + strings.Join(names, ", ")
}

// faults collects errors, each with the path of its key.
type faults struct{ list []error }

func (f *faults) add(key, format string, args ...any) {
	f.list = append(f.list, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...)))
}
