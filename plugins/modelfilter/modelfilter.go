// Package modelfilter is the plugin semantic-model-filter: it keeps the
// endpoints that serve a model which the decision allows.
package modelfilter

import (
	"context"
	"encoding/json"
	"fmt"

	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/plugin"
	giesched "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/scheduling"

	"semantic-epp/config"
	"semantic-epp/plugins/semantic"
)

// Type is the plugin type in a configuration.
const Type = "semantic-model-filter"

// Plugin is the filter. It has no state.
type Plugin struct{ name string }

var _ giesched.Filter = (*Plugin)(nil)

// Factory makes the plugin of a configuration; it takes no parameters.
func Factory(name string, parameters json.RawMessage, _ plugin.Handle) (plugin.Plugin, error) {
	if err := config.Strict(parameters, &struct{}{}); err != nil {
		return nil, fmt.Errorf("%s takes no parameters, models and rules stand in %s: %w", Type, semantic.Type, err)
	}
	return New(name), nil
}

// New returns the plugin.
func New(name string) *Plugin { return &Plugin{name: name} }

// TypedName names the plugin.
func (p *Plugin) TypedName() plugin.TypedName { return plugin.TypedName{Type: Type, Name: p.name} }

// Consumes names the choice that semantic-router makes.
func (p *Plugin) Consumes() map[string]any { return map[string]any{semantic.ChoiceKey: ""} }

// Filter keeps the endpoints that Fits. Without a choice, all of them.
func (p *Plugin) Filter(_ context.Context, _ *giesched.CycleState, _ *giesched.LLMRequest, eps []giesched.Endpoint) []giesched.Endpoint {
	if len(eps) == 0 {
		return eps
	}
	choice := semantic.ChoiceOf(eps[0])
	if choice == nil {
		return eps
	}
	kept := make([]giesched.Endpoint, 0, len(eps))
	for _, ep := range eps {
		if Fits(choice, ep) {
			kept = append(kept, ep)
		}
	}
	return kept
}

// Fits says whether an endpoint serves a model that the choice allows.
func Fits(choice *semantic.Choice, ep giesched.Endpoint) bool {
	_, ok := choice.ModelFor(ep)
	return ok
}
