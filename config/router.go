package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

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
	// TrustedHeaders are request header fields that clients may send and we
	// believe: x-gateway-inference-objective, x-gateway-inference-fairness-id.
	// Name them only where the gateway sets or strips them. Default: none.
	TrustedHeaders []string `json:"trustedHeaders,omitempty"`
	// SpillOver lets endpoints of the next ranked models join while those of
	// the best one are saturated.
	SpillOver bool `json:"spillOver,omitempty"`
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
}

// Classifier configures how the domain of a prompt is found.
type Classifier struct {
	// Model is "builtin" (default), "linear" (the pure-Go model) or "none".
	Model string `json:"model,omitempty"`
	// MinConfidence is the probability below which a domain does not count,
	// in [0, 1]. Default 0.5.
	MinConfidence *float64 `json:"minConfidence,omitempty"`
	// Timeout bounds waiting and running together. Default 100ms.
	Timeout Duration `json:"timeout,omitempty"`
	// Concurrency is how many prompts are classified at once. Default: one a
	// CPU core.
	Concurrency int `json:"concurrency,omitempty"`
	// Queue is how many prompts may wait; past it a request gets the default
	// model at once. Default: 8 × Concurrency.
	Queue int `json:"queue,omitempty"`
}

// Rule maps a condition to ranked models.
type Rule struct {
	// Name stands in reasons, metrics and logs.
	Name string `json:"name"`
	// Priority orders the rules, highest first. Default 0.
	Priority int `json:"priority,omitempty"`
	// When is the condition; all its parts must hold.
	When When `json:"when"`
	// Models in order of preference; Score defaults to 1.
	Models []ModelScore `json:"models"`
}

// When is the condition of a rule. Every part that is set must hold.
type When struct {
	// Domain holds when the classifier finds one of these categories.
	Domain Strings `json:"domain,omitempty"`
	// MinConfidence replaces the classifier's for this rule.
	MinConfidence *float64 `json:"minConfidence,omitempty"`
	// Keyword holds when words stand in the prompt.
	Keyword *Keyword `json:"keyword,omitempty"`
	// Regex holds when one of these RE2 expressions matches the prompt.
	Regex Strings `json:"regex,omitempty"`
}

// Keyword is a condition on whole words or phrases of the prompt.
type Keyword struct {
	// Any holds when one of the words is there.
	Any []string `json:"any,omitempty"`
	// All holds when all of them are there.
	All []string `json:"all,omitempty"`
	// None holds when none of them is there.
	None []string `json:"none,omitempty"`
	// CaseSensitive compares letters as they are. Default: case is ignored.
	CaseSensitive bool `json:"caseSensitive,omitempty"`
}

// ModelScore is a model with its quality for a rule.
type ModelScore struct {
	Name string `json:"name"`
	// Score is the quality in (0, 1]. Default 1.
	Score *float64 `json:"score,omitempty"`
}

// Strings is a list that may be written as a single string.
type Strings []string

// UnmarshalJSON takes a string or a list of strings; null changes nothing.
func (s *Strings) UnmarshalJSON(data []byte) error {
	if isNull(data) {
		return nil
	}
	var one string
	if json.Unmarshal(data, &one) == nil {
		*s = Strings{one}
		return nil
	}
	var many []string
	if err := json.Unmarshal(data, &many); err != nil {
		return errors.New("must be a string or a list of strings")
	}
	*s = many
	return nil
}

// UnmarshalJSON takes the full form or a list of words, which means any.
func (k *Keyword) UnmarshalJSON(data []byte) error {
	var words []string
	if json.Unmarshal(data, &words) == nil {
		*k = Keyword{Any: words}
		return nil
	}
	type plain Keyword // without this method
	var p plain
	if err := Strict(data, &p); err != nil {
		return fmt.Errorf("keyword: %w", err)
	}
	*k = Keyword(p)
	return nil
}

// isNull says that a key stands there without a value.
func isNull(data []byte) bool { return string(data) == "null" }

// Duration is a time.Duration written as in Go: 100ms, 2s.
type Duration time.Duration

// UnmarshalJSON takes a duration string; null changes nothing.
func (d *Duration) UnmarshalJSON(data []byte) error {
	if isNull(data) {
		return nil
	}
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return errors.New(`must be a duration such as "100ms"`)
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("duration %q: use a number with a unit, such as 100ms", s)
	}
	*d = Duration(v)
	return nil
}

// MarshalJSON writes a duration string.
func (d Duration) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.Duration(d).String())
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

func (r *Router) setDefaults() {
	if r.AutoModels == nil {
		r.AutoModels = []string{"auto", "MoM"}
	}
	if r.UnknownModel == "" {
		r.UnknownModel = Reject
	}
	if r.OtherPaths == "" {
		r.OtherPaths = r.DefaultModel
	}
	if r.ModelHeaders == nil {
		r.ModelHeaders = []string{"x-selected-model"}
	}
	c := &r.Classifier
	if c.Model == "" {
		c.Model = "builtin"
	}
	if c.MinConfidence == nil {
		c.MinConfidence = new(float64)
		*c.MinConfidence = 0.5
	}
	if c.Timeout == 0 {
		c.Timeout = Duration(100 * time.Millisecond)
	}
}

// Model returns the model with that name, nil when there is none.
func (r *Router) Model(name string) *Model {
	i := slices.IndexFunc(r.Models, func(m Model) bool { return m.Name == name })
	if i < 0 {
		return nil
	}
	return &r.Models[i]
}
