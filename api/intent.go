package api

import (
	"context"
	"time"
)

// intentReply is the answer of vLLM Semantic Router's IntentResponse
// (pkg/services/classification_signal_types.go).
type intentReply struct {
	Classification   intentClassification `json:"classification"`
	Probabilities    map[string]float64   `json:"probabilities,omitempty"` // of all categories, not only of the best one
	RecommendedModel string               `json:"recommended_model"`
	RoutingDecision  string               `json:"routing_decision"`
	MatchedSignals   map[string][]string  `json:"matched_signals,omitempty"`
	DecisionResult   *decisionResult      `json:"decision_result,omitempty"`
}

type intentClassification struct {
	Category         string  `json:"category"`
	Confidence       float64 `json:"confidence"`
	ProcessingTimeMs int64   `json:"processing_time_ms"`
}

type decisionResult struct {
	DecisionName string   `json:"decision_name"`
	Confidence   float64  `json:"confidence"`
	MatchedRules []string `json:"matched_rules"`
}

// intent serves POST /api/v1/classify/intent.
func (s *server) intent(ctx context.Context, body []byte) (reply, error) {
	f, err := fieldsOf(body)
	if err != nil {
		return reply{}, err
	}
	options, err := f.options()
	if err != nil {
		return reply{}, err
	}
	query, err := f.query()
	if err != nil {
		return reply{}, err
	}
	e, took, err := s.explanation(ctx, query)
	if err != nil {
		return reply{}, err
	}
	found := e.Classification
	if found.Problem != "" {
		return reply{}, problemOf(found.Problem)
	}
	answer := intentReply{
		Classification:   intentClassification{found.Category, found.Confidence, took.Milliseconds()},
		RecommendedModel: e.Model,
		RoutingDecision:  routingDecision(e, options.ConfidenceThreshold),
		MatchedSignals:   matchedSignals(e.Rules),
		DecisionResult:   decisionOf(e),
	}
	if options.ReturnProbabilities {
		answer.Probabilities = found.Probabilities
	}
	return ok(answer), nil
}

// explanation asks the backend, when there is a slot for it.
func (s *server) explanation(ctx context.Context, query Query) (e Explanation, took time.Duration, err error) {
	took, err = s.timed(ctx, func() error {
		var err error
		e, err = s.backend.Explain(ctx, query)
		return err
	})
	return e, took, err
}

// problemOf is the failure for a problem; for one that is not known, that the
// classifier broke.
func problemOf(problem string) *failure {
	if f := problems[problem]; f != nil {
		return f
	}
	return problems[Failed]
}

// routingDecision is the name of the rule that decides, or how sure the
// classification is.
func routingDecision(e Explanation, threshold float64) string {
	switch {
	case e.Rule != "":
		return e.Rule
	case e.Classification.Confidence >= threshold:
		return "high_confidence_specialized"
	}
	return "low_confidence_general"
}

func decisionOf(e Explanation) *decisionResult {
	if e.Rule == "" {
		return nil
	}
	result := &decisionResult{DecisionName: e.Rule, Confidence: e.Confidence, MatchedRules: []string{}}
	for _, rule := range e.Rules {
		if rule.Name != e.Rule {
			continue
		}
		eachMatch(rule.Condition, func(kind signalKind, name string) {
			result.MatchedRules = appendNew(result.MatchedRules, kind.name+":"+named(name, rule))
		})
	}
	return result
}

// matchedSignals lists the conditions that hold as vLLM Semantic Router does: by
// kind, with their names. Those without a name have that of their rule.
func matchedSignals(rules []Rule) map[string][]string {
	matched := map[string][]string{}
	for _, rule := range rules {
		eachMatch(rule.Condition, func(kind signalKind, name string) {
			matched[kind.list] = appendNew(matched[kind.list], named(name, rule))
		})
	}
	return matched
}
