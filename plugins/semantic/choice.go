package semantic

import (
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/datalayer"
	giesched "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/scheduling"

	"semantic-epp/endpoints"
	"semantic-epp/scheduling"
)

// ChoiceKey is the endpoint attribute that carries a request's *Choice to the
// filter and the scorer.
const ChoiceKey = "semantic-epp/choice"

// A Choice is a decision with the models of it whose endpoints may be used. It
// is immutable, so that all endpoints of a request share one.
type Choice struct {
	scheduling.Decision
	// Eligible are the ranked models that endpoints may be taken from, best
	// first: usually just the best one that has any.
	Eligible []scheduling.Ranked
	Catalog  *scheduling.Catalog
}

// Clone returns the choice itself.
func (c *Choice) Clone() datalayer.Cloneable { return c }

// ChoiceOf returns the choice that is on an endpoint, nil when there is none.
func ChoiceOf(ep giesched.Endpoint) *Choice {
	if v, ok := ep.Get(ChoiceKey); ok {
		c, _ := v.(*Choice)
		return c
	}
	return nil
}

// ModelFor is the highest-ranked eligible model that the endpoint serves.
func (c *Choice) ModelFor(ep giesched.Endpoint) (scheduling.Ranked, bool) {
	server := ServerOf(ep.GetMetadata(), ep.GetMetrics(), endpoints.LoadIn(ep), endpoints.ModelsIn(ep))
	for _, m := range c.Eligible {
		if c.Catalog.Serves(m.Model, server) {
			return m, true
		}
	}
	return scheduling.Ranked{}, false
}

// ServerOf is what an endpoint shows of itself, and what it is declared to
// serve. Metrics and load may be nil.
func ServerOf(meta *datalayer.EndpointMetadata, m *datalayer.Metrics, load *endpoints.Load, declared []string) scheduling.Server {
	s := scheduling.Server{Labels: meta.Labels, Declared: declared}
	if m != nil {
		s.Adapters, s.Waiting = m.ActiveModels, m.WaitingModels
	}
	if load != nil {
		s.Served = load.Served()
	}
	return s
}
