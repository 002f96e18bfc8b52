// Package modelscorer is the plugin semantic-model-scorer: it scores an
// endpoint by the quality, for the request, of the model that it serves, so
// that an operator can weigh quality against load.
package modelscorer

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
const Type = "semantic-model-scorer"

// Plugin is the scorer. It has no state.
type Plugin struct{ name string }

var _ giesched.Scorer = (*Plugin)(nil)

// Factory makes the plugin of a configuration; it takes no parameters.
func Factory(name string, parameters json.RawMessage, _ plugin.Handle) (plugin.Plugin, error) {
	if err := config.Strict(parameters, &struct{}{}); err != nil {
		return nil, fmt.Errorf("%s takes no parameters, scores stand in the rules of %s: %w", Type, semantic.Type, err)
	}
	return New(name), nil
}

// New returns the plugin.
func New(name string) *Plugin { return &Plugin{name: name} }

// TypedName names the plugin.
func (p *Plugin) TypedName() plugin.TypedName { return plugin.TypedName{Type: Type, Name: p.name} }

// Category is affinity: the scorer prefers certain endpoints, whatever their load.
func (p *Plugin) Category() giesched.ScorerCategory { return giesched.Affinity }

// Consumes names the choice that semantic-router makes.
func (p *Plugin) Consumes() map[string]any { return map[string]any{semantic.ChoiceKey: ""} }

// Score gives each endpoint the score of its model, in (0, 1]; 0 where it
// serves none that is allowed, 1 where nothing was chosen.
func (p *Plugin) Score(_ context.Context, _ *giesched.CycleState, _ *giesched.LLMRequest, eps []giesched.Endpoint) map[giesched.Endpoint]float64 {
	scores := make(map[giesched.Endpoint]float64, len(eps))
	for _, ep := range eps {
		scores[ep] = 1
		if choice := semantic.ChoiceOf(ep); choice != nil {
			model, _ := choice.ModelFor(ep)
			scores[ep] = model.Score
		}
	}
	return scores
}
