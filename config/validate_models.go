package config

import (
	"fmt"
	"maps"
	"slices"
)

// maxModels bounds the labels of metrics.
const maxModels = 1024

func (r *Router) checkModels(f *faults) {
	if len(r.Models) == 0 {
		f.add("models", "empty; name at least one model")
	}
	f.most("models", "models", len(r.Models), maxModels)
	seen := map[string]bool{}
	for i := range r.Models {
		m := &r.Models[i]
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
		r.checkPlace(f, at, m)
		if _, ok := r.ReasoningFamily(m.ReasoningFamily); m.ReasoningFamily != "" && !ok {
			f.add(at+".reasoningFamily", "unknown family %q%s", m.ReasoningFamily, list("families", r.families()))
		}
	}
}

// checkPlace finds models that could not be found on any endpoint.
func (r *Router) checkPlace(f *faults, at string, m *Model) {
	if m.External && (m.Match != nil || m.AdapterOf != "") {
		f.add(at, "external models have no endpoints here: leave match and adapterOf out")
	}
	if m.AdapterOf == "" {
		return
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

// families are the names of all reasoning families.
func (r *Router) families() []string {
	all := KnownReasoningFamilies()
	maps.Copy(all, r.ReasoningFamilies)
	return slices.Sorted(maps.Keys(all))
}

func (r *Router) checkReasoning(f *faults) {
	oneOf(f, "reasoningEffort", r.ReasoningEffort, efforts...)
	for _, name := range slices.Sorted(maps.Keys(r.ReasoningFamilies)) {
		at := "reasoningFamilies." + name
		family := r.ReasoningFamilies[name]
		oneOf(f, at+".type", family.Type, ChatTemplate, ChatTemplateEffort, TopLevelEffort)
		switch {
		case family.Parameter == "":
			f.add(at+".parameter", "missing; name the field that asks for reasoning")
		case family.Type == TopLevelEffort && slices.Contains(routed, family.Parameter):
			f.add(at+".parameter", "%q carries the request itself; use a field such as reasoning_effort", family.Parameter)
		}
	}
}

// routed are the fields of a request that rules may neither set nor remove: the
// model that was chosen, what was asked, and how the reply is read.
var routed = []string{"model", "messages", "prompt", "input", "stream", "stream_options"}
