package main

import (
	"context"
	"errors"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/log"

	"semantic-epp/api"
	"semantic-epp/classifier"
	"semantic-epp/plugins/semantic"
	"semantic-epp/scheduling"
)

// backend is the running picker as the HTTP API sees it.
type backend struct {
	plugin *semantic.Plugin
	ready  func() error
}

func (b *backend) Classify(ctx context.Context, text string) (classifier.Result, error) {
	return b.plugin.Rules().Classify(ctx, text)
}

func (b *backend) Explain(ctx context.Context, q api.Query) (api.Explanation, error) {
	rules := b.plugin.Rules()
	prompt := semantic.PromptOf("", q.Request, func(name string) (string, bool) {
		values := q.Header.Values(name)
		if len(values) == 0 {
			return "", false
		}
		return values[0], true
	})
	found := rules.Explain(ctx, prompt)
	if err := ctx.Err(); err != nil {
		return api.Explanation{}, err
	}
	if found.Err != nil && !errors.Is(found.Err, classifier.ErrNoMatch) {
		log.FromContext(ctx).Error(found.Err, "classifier is broken")
	}
	decision := found.Decision
	if q.Model != "" && !rules.Auto(q.Model) {
		decision, found.Rules = scheduling.For(q.Model), nil
	}
	e := api.Explanation{
		Model:          decision.Best(),
		Rule:           decision.Rule,
		Reason:         string(decision.Reason),
		Confidence:     decision.Confidence,
		Denied:         decision.Denied,
		Classification: api.ClassificationOf(found.Result, found.Err),
		Actions:        actionsOf(decision.Action),
	}
	for _, m := range decision.Models {
		e.Models = append(e.Models, api.RankedModel{Name: m.Model, Score: m.Score, Reasoning: string(m.Reasoning)})
	}
	for _, r := range found.Rules {
		e.Rules = append(e.Rules, ruleOf(r))
	}
	return e, nil
}

func actionsOf(a *scheduling.Action) []string {
	if a == nil {
		return nil
	}
	var actions []string
	for _, part := range []struct {
		name string
		set  bool
	}{
		{"system_prompt", a.SystemPrompt != nil},
		{"parameters", a.Parameters != nil},
		{"headers", a.Headers != nil},
		{"respond", a.Respond != nil},
	} {
		if part.set {
			actions = append(actions, part.name)
		}
	}
	return actions
}

func ruleOf(r scheduling.RuleTrace) api.Rule {
	rule := api.Rule{
		Name:       r.Name,
		Evaluated:  r.Outcome != scheduling.Skipped,
		Holds:      r.Outcome == scheduling.Held,
		Confidence: r.Confidence,
		Why:        string(r.Outcome),
		Condition:  api.Condition{Kind: "all", Evaluated: r.Outcome != scheduling.Skipped, Holds: r.Outcome == scheduling.Held},
	}
	for _, p := range r.Parts {
		rule.Condition.Conditions = append(rule.Condition.Conditions, conditionOf(p))
	}
	return rule
}

// conditionOf reads a part's key: any[0].domain, or signal urgent: keyword.
func conditionOf(p scheduling.PartTrace) api.Condition {
	c := api.Condition{
		Kind:       p.Key[strings.LastIndexAny(p.Key, ". ")+1:],
		Evaluated:  p.Outcome != scheduling.Skipped,
		Holds:      p.Outcome == scheduling.Held,
		Confidence: p.Confidence,
		Value:      p.Found,
	}
	if signal, ok := strings.CutPrefix(p.Key, "signal "); ok {
		c.Name, _, _ = strings.Cut(signal, ":")
	}
	if p.Outcome == scheduling.Broken || p.Outcome == scheduling.Refused {
		c.Problem = api.Failed
	}
	return c
}

func (b *backend) Models() []api.Model {
	rules := b.plugin.Rules()
	var models []api.Model
	for _, name := range rules.Config().AutoModels {
		models = append(models, api.Model{Name: name})
	}
	for _, name := range rules.Catalog().Names() {
		models = append(models, api.Model{Name: name, AdapterOf: rules.Catalog().Base(name)})
	}
	return models
}

func (b *backend) Classifier() api.Info {
	rules := b.plugin.Rules()
	return api.Info{Info: rules.ClassifierInfo(), Config: rules.Config().Classifier}
}

func (b *backend) Ready(context.Context) error { return b.ready() }
