package endpoints

import (
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/datalayer"
	giesched "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/scheduling"
)

// A View is an endpoint as one request's scheduling sees it: metadata shared,
// metrics with the requests that are on their way already counted, attributes
// of its own. GIE's own copies every endpoint deeply instead. It is used by one
// goroutine at a time.
type View struct {
	*Endpoint
	metrics    datalayer.Metrics
	shared     *attribute
	attributes []attribute
	room       [2]attribute // what attributes begins in: few requests need more
}

type attribute struct {
	key   string
	value datalayer.Cloneable
}

var _ giesched.Endpoint = (*View)(nil)

// Views returns a view of each endpoint. The attribute (key, value) is on all
// of them.
func Views(eps []*Endpoint, key string, value datalayer.Cloneable) []View {
	views := make([]View, len(eps))
	shared := &attribute{key, value}
	for i, ep := range eps {
		v := &views[i]
		v.Endpoint = ep
		v.shared = shared
		v.attributes = v.room[:0]
		if m := ep.GetMetrics(); m != nil {
			v.metrics = *m
			pending := ep.Load.pending(m)
			v.metrics.WaitingQueueSize += pending
			v.metrics.RunningRequestsSize += pending
		}
	}
	return views
}

// GetMetrics returns the metrics with the requests on their way counted as
// waiting and running.
func (v *View) GetMetrics() *datalayer.Metrics { return &v.metrics }

// String names the endpoint.
func (v *View) String() string { return v.GetMetadata().NamespacedName.String() }

// Get returns the attribute itself, not a copy.
func (v *View) Get(key string) (datalayer.Cloneable, bool) {
	if key == v.shared.key {
		return v.shared.value, true
	}
	for i := range v.attributes {
		if v.attributes[i].key == key {
			return v.attributes[i].value, true
		}
	}
	if key == loadKey {
		return v.Load, true
	}
	if key == modelsKey && len(v.Models) > 0 {
		return declared(v.Models), true
	}
	return nil, false
}

// modelsKey is the attribute of the models that an endpoint is declared to
// serve.
const modelsKey = "semantic-epp/models"

type declared []string

// Clone returns the names themselves: they never change.
func (d declared) Clone() datalayer.Cloneable { return d }

// ModelsIn returns the models that an endpoint is declared to serve, from its
// attributes as the scheduler sees them.
func ModelsIn(attributes interface {
	Get(string) (datalayer.Cloneable, bool)
}) []string {
	v, _ := attributes.Get(modelsKey)
	models, _ := v.(declared)
	return models
}

// Put sets an attribute of this view.
func (v *View) Put(key string, value datalayer.Cloneable) {
	if value == nil {
		return
	}
	for i := range v.attributes {
		if v.attributes[i].key == key {
			v.attributes[i].value = value
			return
		}
	}
	v.attributes = append(v.attributes, attribute{key, value})
}

// Keys lists the attributes.
func (v *View) Keys() []string {
	keys := []string{v.shared.key}
	for i := range v.attributes {
		keys = append(keys, v.attributes[i].key)
	}
	return keys
}

// Clone copies the attributes into a map of GIE's.
func (v *View) Clone() datalayer.AttributeMap {
	m := datalayer.NewAttributes()
	m.Put(v.shared.key, v.shared.value.Clone())
	for i := range v.attributes {
		m.Put(v.attributes[i].key, v.attributes[i].value.Clone())
	}
	return m
}
