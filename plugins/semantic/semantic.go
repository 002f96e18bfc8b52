// Package semantic is the plugin semantic-router: it holds the operator's
// models and rules and decides, for each request, which models may answer.
//
// Inside our own picker the router asks it directly, before admission. Inside
// GIE's stock runner it works as a data producer and a pre-request hook: see
// plugins/README.md for what is lost there.
package semantic

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/plugin"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/requestcontrol"
	giesched "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/scheduling"

	"semantic-epp/classifier"
	"semantic-epp/config"
	"semantic-epp/scheduling"
	"semantic-epp/telemetry"
)

// Type is the plugin type in a configuration.
const Type = "semantic-router"

// retirement is how long a replaced classifier stays open.
const retirement = 10 * time.Second

// An Opener makes the classifier that a configuration asks for.
type Opener func(ctx context.Context, cfg config.Classifier) (Opened, error)

// Opened is an open classifier.
type Opened struct {
	// Classifier is nil where none is asked for.
	Classifier classifier.Classifier
	// Labels are the categories that it knows; without them, rules may name any.
	Labels []string
	// Embed says what a text means, for the examples and prompts of rules; nil
	// where the classifier cannot.
	Embed func(ctx context.Context, text string) ([]float32, error)
	// Close frees it; may be nil.
	Close func()
}

// Plugin decides which models may answer a request. It is safe for concurrent
// use.
type Plugin struct {
	name  string
	open  Opener
	ctx   context.Context // of the handle: what is opened lives until it ends
	rules atomic.Pointer[Rules]
}

var (
	_ requestcontrol.PrepareDataPlugin = (*Plugin)(nil)
	_ requestcontrol.PreRequest        = (*Plugin)(nil)
)

// NewFactory returns the plugin's factory; open makes its classifier.
func NewFactory(open Opener) plugin.FactoryFunc {
	return func(name string, parameters json.RawMessage, handle plugin.Handle) (plugin.Plugin, error) {
		p := &Plugin{name: name, open: open, ctx: handle.Context()}
		cfg, err := config.DecodeRouter(parameters)
		if err != nil {
			return nil, err
		}
		opened, err := p.openClassifier(cfg)
		if err != nil {
			return nil, err
		}
		rules, err := newRules(p.ctx, cfg, opened)
		if err != nil {
			opened.close()
			return nil, err
		}
		p.rules.Store(rules)
		return p, nil
	}
}

// Reload takes new parameters over. A request that is under way keeps the rules
// that it began with. The classifier stays open where its configuration is the
// same; else the new one is opened beside the old. An error changes nothing.
func (p *Plugin) Reload(parameters json.RawMessage) error {
	cfg, err := config.DecodeRouter(parameters)
	if err != nil {
		return err
	}
	before := p.rules.Load()
	opened := before.opened
	same := reflect.DeepEqual(cfg.Classifier, before.config.Classifier)
	if !same {
		if opened, err = p.openClassifier(cfg); err != nil {
			return err
		}
	}
	rules, err := newRules(p.ctx, cfg, opened)
	if err != nil {
		if !same {
			opened.close()
		}
		return err
	}
	p.rules.Store(rules)
	if !same {
		// No decision takes as long.
		time.AfterFunc(retirement, before.opened.close)
	}
	return nil
}

// openClassifier opens what cfg asks for, until the plugin ends.
func (p *Plugin) openClassifier(cfg *config.Router) (*openedOnce, error) {
	opened, err := p.open(p.ctx, cfg.Classifier)
	if err != nil {
		return nil, fmt.Errorf("open classifier: %w", err)
	}
	o := &openedOnce{Opened: opened}
	o.forget = context.AfterFunc(p.ctx, o.close)
	return o, nil
}

// openedOnce is closed once: when it is replaced, or when the plugin ends.
type openedOnce struct {
	Opened
	once   sync.Once
	forget func() bool
}

func (o *openedOnce) close() {
	o.once.Do(func() {
		if o.forget != nil {
			o.forget()
		}
		if o.Close != nil {
			o.Close()
		}
	})
}

// TypedName names the plugin.
func (p *Plugin) TypedName() plugin.TypedName { return plugin.TypedName{Type: Type, Name: p.name} }

// Rules are the rules at present. Whoever asks them more than once for one
// request keeps them.
func (p *Plugin) Rules() *Rules { return p.rules.Load() }

// Produces says that each endpoint gets the request's choice.
func (p *Plugin) Produces() map[string]any { return map[string]any{ChoiceKey: ""} }

// Consumes is empty.
func (p *Plugin) Consumes() map[string]any { return map[string]any{} }

// PrepareRequestData is for the stock runner: it decides and puts the choice on
// each endpoint. A request for a model that no endpoint serves is left alone.
func (p *Plugin) PrepareRequestData(ctx context.Context, request *giesched.LLMRequest, eps []giesched.Endpoint) error {
	rules := p.Rules()
	decision := scheduling.For(request.TargetModel)
	if rules.Auto(request.TargetModel) {
		decision = rules.Decide(ctx, Prompt{RequestID: request.RequestId, Text: lastUserText(request.Body)})
	}
	if err := ctx.Err(); err != nil { // the director stopped waiting: leave no marks
		return fmt.Errorf("choose model of request %s: %w", request.RequestId, err)
	}
	choice := &Choice{Decision: decision, Catalog: rules.catalog}
	for _, model := range decision.Models {
		choice.Eligible = []scheduling.Ranked{model}
		if slices.ContainsFunc(eps, func(ep giesched.Endpoint) bool { _, ok := choice.ModelFor(ep); return ok }) {
			for _, ep := range eps {
				ep.Put(ChoiceKey, choice)
			}
			if decision.Reason != scheduling.Explicit {
				telemetry.Decided(model.Model, decision.Rule, string(decision.Reason))
			}
			return nil
		}
	}
	return nil
}

// PreRequest is for the stock runner: it writes the model that the picked
// endpoint serves into the body, which the runner then marshals.
func (p *Plugin) PreRequest(ctx context.Context, request *giesched.LLMRequest, result *giesched.SchedulingResult) {
	profile := result.ProfileResults[result.PrimaryProfileName]
	rules := p.Rules()
	if !rules.Auto(request.TargetModel) || profile == nil || len(profile.TargetEndpoints) == 0 {
		return
	}
	choice := ChoiceOf(profile.TargetEndpoints[0])
	if choice == nil {
		return
	}
	model, ok := choice.ModelFor(profile.TargetEndpoints[0])
	body, isMap := request.Body.Payload.(giesched.PayloadMap)
	if !ok || !isMap {
		log.FromContext(ctx).Info("cannot write the chosen model into the request; use the parser openai-parser in the stock runner")
		return
	}
	body["model"] = model.Model
	for _, name := range rules.config.ModelHeaders {
		request.Headers[name] = model.Model
	}
}

// lastUserText is the text of the last user message of a parsed body.
func lastUserText(body *giesched.LLMRequestBody) string {
	if body == nil {
		return ""
	}
	if body.ChatCompletions == nil {
		return body.PromptText()
	}
	for _, m := range slices.Backward(body.ChatCompletions.Messages) {
		if text := strings.TrimSpace(m.Content.PlainText()); m.Role == "user" && text != "" {
			return text
		}
	}
	return ""
}
