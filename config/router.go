package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	kjson "sigs.k8s.io/json"
)

// UnknownModel says what becomes of a request for a model that neither the
// configuration nor any endpoint knows.
type UnknownModel string

const (
	// Reject answers 404 in the shape of the request's API.
	Reject UnknownModel = "reject"
	// Pass lets the request go on untouched: for gateways that know more models.
	Pass UnknownModel = "pass"
)

// Router is the parameters of the plugin semantic-router.
type Router struct {
	// AutoModels are the model names that ask for a decision. Default: auto, MoM.
	AutoModels []string `json:"autoModels,omitempty"`
	// DefaultModel serves what no rule claims. Required.
	DefaultModel string `json:"defaultModel"`
	// UnknownModel is "reject" (default) or "pass".
	UnknownModel UnknownModel `json:"unknownModel,omitempty"`
	// OtherPaths names the model whose endpoints serve requests for paths that
	// are not read (/v1/audio, /tokenize, …). Default: DefaultModel.
	OtherPaths string `json:"otherPaths,omitempty"`
	// Models are the models that rules may choose.
	Models []Model `json:"models"`
	// Classifier says how the domain of a prompt is found.
	Classifier Classifier `json:"classifier,omitempty"`
	// Rules are tried by priority, then in the order in which they stand.
	Rules []Rule `json:"rules,omitempty"`
	// ModelHeaders are the request header fields that carry the chosen model to
	// the gateway's routes. Default: x-selected-model.
	ModelHeaders []string `json:"modelHeaders,omitempty"`
	// TrustedHeaders are request header fields that the gateway sets or strips,
	// so that they can be believed: x-gateway-inference-objective,
	// x-gateway-inference-fairness-id, and those that rules and sticky read.
	// Default: none.
	TrustedHeaders []string `json:"trustedHeaders,omitempty"`
	// SpillOver lets endpoints of the next ranked models join while those of
	// the best one are saturated.
	SpillOver bool `json:"spillOver,omitempty"`
	// Signals are conditions with a name, for rules that share them: a rule
	// refers to them by `signal`. Each is evaluated at most once a request, and
	// only when a rule needs it.
	Signals map[string]When `json:"signals,omitempty"`
	// Strategy says which of several rules that hold decides: "priority"
	// (default) or "confidence", the rule that is surest of its conditions.
	Strategy Strategy `json:"strategy,omitempty"`
	// ReasoningFamilies are ways to ask a model for reasoning, beside the
	// built-in ones: qwen3, deepseek, gpt-oss, gpt, mistral. One of the same
	// name takes the place of a built-in one.
	ReasoningFamilies map[string]ReasoningFamily `json:"reasoningFamilies,omitempty"`
	// ReasoningEffort is the effort where a rule only says that it wants
	// reasoning. Default: medium.
	ReasoningEffort Reasoning `json:"reasoningEffort,omitempty"`
	// Sticky keeps a user or a session on one model where weights choose.
	Sticky Sticky `json:"sticky,omitempty"`
}

// Strategy is how one of several rules that hold is chosen.
type Strategy string

const (
	// ByPriority takes the lowest tier, then the highest priority, then the
	// rule that stands first.
	ByPriority Strategy = "priority"
	// ByConfidence takes the lowest tier, then the rule with the highest
	// confidence, then as ByPriority.
	ByConfidence Strategy = "confidence"
)

// Sticky names what a weighted choice depends on: equal values get equal
// models as long as the weights stay.
type Sticky struct {
	// Header is a trusted request header field, such as x-session-id. Without
	// it each request is drawn anew.
	Header string `json:"header,omitempty"`
}

// Model is one model that the router can choose.
type Model struct {
	// Name is what clients and rules call the model, and what the model server
	// is asked for.
	Name string `json:"name"`
	// Match are the labels of the endpoints that serve the model. Without it
	// and without AdapterOf, endpoints are found by the model name that they
	// report in their metrics.
	Match map[string]string `json:"match,omitempty"`
	// AdapterOf makes this a LoRA adapter of another model of this list: the
	// endpoints of that model serve it.
	AdapterOf string `json:"adapterOf,omitempty"`
	// External models have no endpoints here: the gateway routes to them by
	// the rewritten body and header.
	External bool `json:"external,omitempty"`
	// ServedName is what the model server is asked for, where that is not Name.
	// Routes still match Name.
	ServedName string `json:"servedName,omitempty"`
	// ReasoningFamily says how the model is asked for reasoning: a built-in
	// family or one of reasoningFamilies. Without it, reasoning is left as the
	// client sent it.
	ReasoningFamily string `json:"reasoningFamily,omitempty"`
}

// Strict decodes the parameters of a plugin into a struct with JSON tags; none
// leave it as it is. The error names every unknown and repeated key.
func Strict(parameters json.RawMessage, into any) error {
	if len(parameters) == 0 {
		return nil
	}
	strict, err := kjson.UnmarshalStrict(parameters, into)
	return errors.Join(append(strict, err)...)
}

// DecodeRouter reads the parameters of semantic-router, sets defaults and
// validates. The error names every fault.
func DecodeRouter(parameters json.RawMessage) (*Router, error) {
	r := &Router{}
	if len(parameters) == 0 {
		return nil, errors.New("parameters are missing: semantic-router needs at least models and defaultModel")
	}
	strict, err := kjson.UnmarshalStrict(parameters, r)
	if err != nil {
		return nil, fmt.Errorf("decode parameters: %w", err)
	}
	r.setDefaults()
	return r, errors.Join(append(strict, r.faults()...)...)
}

// Model returns the model with that name, nil when there is none.
func (r *Router) Model(name string) *Model {
	i := slices.IndexFunc(r.Models, func(m Model) bool { return m.Name == name })
	if i < 0 {
		return nil
	}
	return &r.Models[i]
}
