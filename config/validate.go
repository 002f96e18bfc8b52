package config

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// faults returns every fault of the configuration, each with its key.
func (r *Router) faults() []error {
	f := &faults{}
	r.checkModels(f)
	r.checkNames(f)
	r.checkReasoning(f)
	r.checkHeaders(f)
	r.Classifier.check(f, r)
	if r.Strategy != ByPriority && r.Strategy != ByConfidence {
		f.add("strategy", "%q; use priority or confidence", r.Strategy)
	}
	r.checkRules(f)
	for at, when := range r.Conditions() {
		when.check(f, at, r)
	}
	r.checkSize(f)
	r.checkSignals(f)
	if len(f.list) == 0 { // what follows takes conditions to be valid
		r.checkReach(f)
	}
	return f.list
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

// known lists the models for an error message.
func (r *Router) known() string {
	names := make([]string, len(r.Models))
	for i, m := range r.Models {
		names[i] = m.Name
	}
	return list("models", names)
}

// list writes the names that would have been right, if they are few.
func list(what string, names []string) string {
	if len(names) == 0 || len(names) > 40 {
		return ""
	}
	return "; known " + what + ": " + strings.Join(names, ", ")
}

// faults collects errors, each with the path of its key.
type faults struct{ list []error }

func (f *faults) add(key, format string, args ...any) {
	f.list = append(f.list, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...)))
}

// number complains of a value outside [low, high], and of one that is no
// number.
func (f *faults) number(key string, v *float64, low, high float64) {
	if v != nil && (math.IsNaN(*v) || *v < low || *v > high) {
		f.add(key, "%v; use a number in [%v, %v]", *v, low, high)
	}
}

// positive complains of a value that is not in (0, high].
func (f *faults) positive(key string, v *float64, high float64) {
	if v != nil && (math.IsNaN(*v) || *v <= 0 || *v > high) {
		f.add(key, "%v; use a number in (0, %v]", *v, high)
	}
}

// natural complains of a negative number.
func (f *faults) natural(key string, v int) {
	if v < 0 {
		f.add(key, "negative")
	}
}

// most complains of more than a bound allows.
func (f *faults) most(key, what string, n, bound int) {
	if n > bound {
		f.add(key, "%d %s; at most %d", n, what, bound)
	}
}

// texts complains of a list of texts that is too long, or of one that is empty
// or too long. Blank ones count as empty.
func (f *faults) texts(key, what string, texts []string, bound, bytes int) {
	f.most(key, what, len(texts), bound)
	for i, text := range texts {
		at := fmt.Sprintf("%s[%d]", key, i)
		if strings.TrimSpace(text) == "" {
			f.add(at, "empty; leave it out")
		}
		f.most(at, "bytes", len(text), bytes)
	}
}

// oneOf complains of a value that is not among those allowed.
func oneOf[T ~string](f *faults, key string, v T, allowed ...T) {
	if slices.Contains(allowed, v) {
		return
	}
	names := make([]string, len(allowed))
	for i, a := range allowed {
		names[i] = string(a)
	}
	f.add(key, "%q; use one of %s", v, strings.Join(names, ", "))
}
