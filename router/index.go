package router

import (
	"slices"

	"semantic-epp/config"
	"semantic-epp/endpoints"
	"semantic-epp/plugins/semantic"
	"semantic-epp/scheduling"
)

// An index answers which endpoints serve a model, for one snapshot and one
// configuration.
type index struct {
	snapshot *endpoints.Snapshot
	rules    *semantic.Rules
	byModel  map[string][]*endpoints.Endpoint // of the models that labels find
	names    []string                         // configured models, then those that only endpoints report
}

// models returns the index of the present snapshot.
func (r *Router) models(rules *semantic.Rules) *index {
	snapshot := r.store.Snapshot()
	if x := r.index.Load(); x != nil && x.snapshot == snapshot && x.rules == rules {
		return x
	}
	x := newIndex(snapshot, rules)
	r.index.Store(x)
	return x
}

func newIndex(snapshot *endpoints.Snapshot, rules *semantic.Rules) *index {
	catalog := rules.Catalog()
	x := &index{
		snapshot: snapshot,
		rules:    rules,
		byModel:  map[string][]*endpoints.Endpoint{},
		names:    catalog.Names(),
	}
	for _, ep := range snapshot.Endpoints {
		for _, name := range ep.Models {
			if !slices.Contains(x.names, name) {
				x.names = append(x.names, name)
			}
		}
		if served := ep.Load.Served(); served != "" && !slices.Contains(x.names, served) {
			x.names = append(x.names, served)
		}
	}
	for _, name := range x.names {
		if !labelled(rules.Config(), name) {
			continue
		}
		x.byModel[name] = nil
		for _, ep := range snapshot.Endpoints {
			if catalog.Serves(name, serverOf(ep)) {
				x.byModel[name] = append(x.byModel[name], ep)
			}
		}
	}
	return x
}

// labelled says whether labels alone tell which endpoints serve a model.
func labelled(cfg *config.Router, model string) bool {
	m := cfg.Model(model)
	for m != nil && m.AdapterOf != "" {
		m = cfg.Model(m.AdapterOf)
	}
	return m != nil && (m.Match != nil || m.External)
}

// endpoints returns the endpoints that serve a model. Where labels do not tell,
// each is asked: adapters come and go without a new snapshot.
func (x *index) endpoints(model string, catalog *scheduling.Catalog) []*endpoints.Endpoint {
	if eps, ok := x.byModel[model]; ok {
		return eps
	}
	var found []*endpoints.Endpoint
	for _, ep := range x.snapshot.Endpoints {
		if catalog.Serves(model, serverOf(ep)) {
			found = append(found, ep)
		}
	}
	return found
}

func serverOf(ep *endpoints.Endpoint) scheduling.Server {
	return semantic.ServerOf(ep.GetMetadata(), ep.GetMetrics(), ep.Load, ep.Models)
}

// within keeps the endpoints that the gateway allows: all of them without a
// hint. An address without port allows every port of it.
func within(eps []*endpoints.Endpoint, subset []string) []*endpoints.Endpoint {
	if subset == nil {
		return eps
	}
	var allowed []*endpoints.Endpoint
	for _, ep := range eps {
		if slices.Contains(subset, ep.Address) || slices.Contains(subset, ep.GetMetadata().Address) {
			allowed = append(allowed, ep)
		}
	}
	return allowed
}

// inside keeps the endpoints of the pools that requests for a model reach: the
// gateway drops a pick outside of them without a word. Where that leaves none,
// the routes are at fault, which is told elsewhere, and all stay.
func inside(eps []*endpoints.Endpoint, pools []string) []*endpoints.Endpoint {
	if len(pools) == 0 || !slices.ContainsFunc(eps, func(ep *endpoints.Endpoint) bool { return !ep.In(pools) }) {
		return eps
	}
	var reached []*endpoints.Endpoint
	for _, ep := range eps {
		if ep.In(pools) {
			reached = append(reached, ep)
		}
	}
	if len(reached) == 0 {
		return eps
	}
	return reached
}

// up leaves out the endpoints that do not answer, unless none does: then the
// polls may be what is broken.
func up(eps []*endpoints.Endpoint) []*endpoints.Endpoint {
	if !slices.ContainsFunc(eps, func(ep *endpoints.Endpoint) bool { return ep.Load.Down() }) {
		return eps
	}
	var answering []*endpoints.Endpoint
	for _, ep := range eps {
		if !ep.Load.Down() {
			answering = append(answering, ep)
		}
	}
	if len(answering) == 0 {
		return eps
	}
	return answering
}
