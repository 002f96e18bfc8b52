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
	"errors"
	"fmt"
	"slices"
	"strings"
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

// reserve is what is left of a decision's time for picking a replica when the
// classifier is given up: a slow classifier costs the decision, never the
// request, whatever its own timeout is.
const reserve = 20 * time.Millisecond

// An Opener makes the classifier that a configuration asks for.
type Opener func(ctx context.Context, cfg config.Classifier) (Opened, error)

// Opened is an open classifier.
type Opened struct {
	// Classifier is nil where none is asked for.
	Classifier classifier.Classifier
	// Labels are the categories that it knows; without them, rules may name any.
	Labels []string
	// Close frees it; may be nil.
	Close func()
}

// Plugin decides which models may answer a request. It is safe for concurrent
// use.
type Plugin struct {
	name       string
	config     *config.Router
	catalog    *scheduling.Catalog
	policy     *scheduling.Policy
	classifier classifier.Classifier
	timeout    time.Duration
}

var (
	_ requestcontrol.PrepareDataPlugin = (*Plugin)(nil)
	_ requestcontrol.PreRequest        = (*Plugin)(nil)
)

// NewFactory returns the plugin's factory; open makes its classifier.
func NewFactory(open Opener) plugin.FactoryFunc {
	return func(name string, parameters json.RawMessage, handle plugin.Handle) (plugin.Plugin, error) {
		cfg, err := config.DecodeRouter(parameters)
		if err != nil {
			return nil, err
		}
		opened, err := open(handle.Context(), cfg.Classifier)
		if err != nil {
			return nil, fmt.Errorf("open classifier: %w", err)
		}
		if opened.Close != nil {
			context.AfterFunc(handle.Context(), opened.Close)
		}
		if err := checkDomains(cfg, opened.Labels); err != nil {
			return nil, err
		}
		return New(name, cfg, opened.Classifier)
	}
}

// checkDomains finds the rules that wait for a category which the classifier
// never answers.
func checkDomains(cfg *config.Router, labels []string) error {
	if len(labels) == 0 {
		return nil
	}
	var errs []error
	for i, rule := range cfg.Rules {
		for _, domain := range rule.When.Domain {
			if !slices.Contains(labels, domain) {
				errs = append(errs, fmt.Errorf("rules[%d].when.domain: the classifier knows no %q; it knows %s", i, domain, strings.Join(labels, ", ")))
			}
		}
	}
	return errors.Join(errs...)
}

// New returns the plugin for a valid configuration. text may be nil where no
// rule asks for a domain.
func New(name string, cfg *config.Router, text classifier.Classifier) (*Plugin, error) {
	policy, err := scheduling.Compile(cfg)
	if err != nil {
		return nil, err
	}
	return &Plugin{
		name:       name,
		config:     cfg,
		catalog:    scheduling.NewCatalog(cfg.Models),
		policy:     policy,
		classifier: text,
		timeout:    time.Duration(cfg.Classifier.Timeout),
	}, nil
}

// TypedName names the plugin.
func (p *Plugin) TypedName() plugin.TypedName { return plugin.TypedName{Type: Type, Name: p.name} }

// Config is the configuration. It must not be changed.
func (p *Plugin) Config() *config.Router { return p.config }

// Catalog knows which endpoints serve which model.
func (p *Plugin) Catalog() *scheduling.Catalog { return p.catalog }

// Auto says whether a model name asks for a decision.
func (p *Plugin) Auto(model string) bool { return slices.Contains(p.config.AutoModels, model) }

// Decide classifies the text, if a rule needs it, and returns the models that
// may answer. It never fails: what goes wrong is the decision's reason. The
// request's id is for the log.
func (p *Plugin) Decide(ctx context.Context, requestID, text string) scheduling.Decision {
	return p.policy.Decide(scheduling.Signals{
		Text:   text,
		Domain: func() scheduling.Domain { return p.classify(ctx, requestID, text) },
	})
}

func (p *Plugin) classify(ctx context.Context, requestID, text string) scheduling.Domain {
	if text == "" || p.classifier == nil {
		return scheduling.Domain{} // nothing to go by: images, token ids
	}
	start := time.Now()
	timeout := p.timeout
	if deadline, ok := ctx.Deadline(); ok {
		timeout = min(timeout, time.Until(deadline)-reserve)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	result, err := p.classifier.Classify(ctx, text)
	outcome, domain := "ok", scheduling.Domain{
		Category:   result.Category,
		Confidence: result.Confidence,
		Margin:     result.Margin,
	}
	switch {
	case err == nil:
	case errors.Is(err, classifier.ErrNoMatch):
		outcome, domain = "no_match", scheduling.Domain{}
	case errors.Is(err, classifier.ErrOverloaded):
		outcome, domain = "overloaded", scheduling.Domain{Problem: scheduling.Overloaded}
	case errors.Is(err, context.DeadlineExceeded):
		outcome, domain = "timeout", scheduling.Domain{Problem: scheduling.Timeout}
	default:
		outcome, domain = "error", scheduling.Domain{Problem: scheduling.Failed}
		if ctx.Err() == nil { // the client is still there: it is the classifier
			log.FromContext(ctx).Error(err, "classifier is broken; using the default model", "requestId", requestID)
		}
	}
	telemetry.Classified(outcome, time.Since(start))
	return domain
}

// An Explanation is a decision with what led to it.
type Explanation struct {
	Decision scheduling.Decision
	// Result is the whole classification. Err is why there is none:
	// classifier.ErrNoMatch, or what broke; nil without a classifier.
	Result classifier.Result
	Err    error
}

// Explain decides as Decide does for an auto name, but classifies in any case
// and waits as long as ctx lets it.
func (p *Plugin) Explain(ctx context.Context, text string) Explanation {
	e := Explanation{Err: classifier.ErrNoMatch}
	if p.classifier != nil && text != "" {
		e.Result, e.Err = p.classifier.Classify(ctx, text)
	}
	domain := scheduling.Domain{Category: e.Result.Category, Confidence: e.Result.Confidence, Margin: e.Result.Margin}
	switch {
	case errors.Is(e.Err, classifier.ErrNoMatch):
		domain = scheduling.Domain{}
	case e.Err != nil:
		domain = scheduling.Domain{Problem: scheduling.Failed}
	}
	e.Decision = p.policy.Decide(scheduling.Signals{Text: text, Domain: func() scheduling.Domain { return domain }})
	return e
}

// Produces says that each endpoint gets the request's choice.
func (p *Plugin) Produces() map[string]any { return map[string]any{ChoiceKey: ""} }

// Consumes is empty.
func (p *Plugin) Consumes() map[string]any { return map[string]any{} }

// PrepareRequestData is for the stock runner: it decides and puts the choice on
// each endpoint. A request for a model that no endpoint serves is left alone.
func (p *Plugin) PrepareRequestData(ctx context.Context, request *giesched.LLMRequest, eps []giesched.Endpoint) error {
	decision := scheduling.For(request.TargetModel)
	if p.Auto(request.TargetModel) {
		decision = p.Decide(ctx, request.RequestId, lastUserText(request.Body))
	}
	if err := ctx.Err(); err != nil { // the director stopped waiting: leave no marks
		return fmt.Errorf("choose model of request %s: %w", request.RequestId, err)
	}
	choice := &Choice{Decision: decision, Catalog: p.catalog}
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
	if !p.Auto(request.TargetModel) || profile == nil || len(profile.TargetEndpoints) == 0 {
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
	for _, name := range p.config.ModelHeaders {
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
