package api

import (
	"context"
	"errors"
	"net/http"

	"semantic-epp/classifier"
	"semantic-epp/payload"
)

// A Backend is the picker as the API sees it. It is called concurrently, gives
// up when a context ends, and logs the causes of its errors itself: clients
// only learn of what kind they are, as an error might quote a prompt.
type Backend interface {
	// Classify says what a text is about. Errors are those of
	// [classifier.Classifier].
	Classify(ctx context.Context, text string) (classifier.Result, error)
	// Explain says how a request would be decided. It classifies the prompt even
	// where no rule asks for that. A classifier that is slow or broken is no
	// error, but the Problem of the classification.
	Explain(ctx context.Context, query Query) (Explanation, error)
	// Models are the names that clients may ask for, in the order to show them.
	Models() []Model
	// Classifier describes the classifier; the zero Info means that there is none.
	Classifier() Info
	// Ready returns nil when requests can be decided, else what is missing. The
	// text of the error is shown to clients.
	Ready(ctx context.Context) error
}

// A Query is a request to explain.
type Query struct {
	// Request is the request as the picker reads it.
	Request *payload.Request
	// Model is the model asked for; "" asks for a decision.
	Model string
	// Header holds the header fields that the request is to be judged with.
	Header http.Header
}

// A Model is a name that clients may ask for.
type Model struct {
	Name      string
	AdapterOf string // the base model of a LoRA adapter, else ""
}

// Info describes the classifier and the configuration around it.
type Info struct {
	classifier.Info
	// Config is the configuration in use, as JSON; nil is shown as null.
	Config any
}

// An Explanation is how a request would be decided, and why. It holds nothing
// of the request's text.
type Explanation struct {
	// Model is the best one. Where the rule answers itself, no model is asked.
	Model string `json:"model"`
	// Models may answer, best first.
	Models []RankedModel `json:"models"`
	// Rule is the name of the rule that decides, "" if none does.
	Rule string `json:"rule"`
	// Reason is why: explicit, rule, default, unsure, overloaded, timeout, error.
	Reason string `json:"reason"`
	// Confidence is how sure the rule is of its condition, 0 to 1.
	Confidence float64 `json:"confidence"`
	// Denied says that a rule that guards could not be evaluated, so that the
	// request is refused.
	Denied bool `json:"denied"`
	// Actions are what the rule does beside choosing: system_prompt, parameters,
	// headers, respond.
	Actions []string `json:"actions,omitempty"`
	// Classification is what the prompt is about.
	Classification Classification `json:"classification"`
	// Rules are the rules in the order in which they are tried.
	Rules []Rule `json:"rules,omitempty"`
}

// A RankedModel is a model with its quality for the request.
type RankedModel struct {
	Name      string  `json:"name"`
	Score     float64 `json:"score"`               // in (0, 1]
	Reasoning string  `json:"reasoning,omitempty"` // what it is asked for; "": what the client wishes
}

// A Classification is what the classifier found out. Numbers are 0 to 1.
type Classification struct {
	Category      string             `json:"category"` // "" where it has no opinion
	Confidence    float64            `json:"confidence"`
	Margin        float64            `json:"margin"` // how far the second category is behind
	Probabilities map[string]float64 `json:"probabilities,omitempty"`
	Revision      string             `json:"revision,omitempty"`
	// Problem is why there is none: overloaded, timeout or error.
	Problem string `json:"problem,omitempty"`
}

// The problems of a [Classification].
const (
	Overloaded = "overloaded"
	Timeout    = "timeout"
	Failed     = "error"
)

// ClassificationOf is the outcome of a [classifier.Classifier].
func ClassificationOf(r classifier.Result, err error) Classification {
	switch {
	case errors.Is(err, classifier.ErrNoMatch):
		return Classification{}
	case errors.Is(err, classifier.ErrOverloaded):
		return Classification{Problem: Overloaded}
	case errors.Is(err, context.DeadlineExceeded):
		return Classification{Problem: Timeout}
	case err != nil:
		return Classification{Problem: Failed}
	}
	c := Classification{Category: r.Category, Confidence: r.Confidence, Margin: r.Margin, Revision: r.Revision}
	if len(r.Probabilities) > 0 {
		c.Probabilities = make(map[string]float64, len(r.Probabilities))
		for _, p := range r.Probabilities {
			c.Probabilities[p.Category] = p.P
		}
	}
	return c
}

// A Rule is what became of one rule.
type Rule struct {
	Name       string    `json:"name"`
	Evaluated  bool      `json:"evaluated"` // false: an earlier one had decided
	Holds      bool      `json:"holds"`
	Confidence float64   `json:"confidence"`
	Why        string    `json:"why,omitempty"` // in words, without text of the prompt
	Condition  Condition `json:"condition"`
}

// A Condition is what became of one condition of a rule, or of a signal.
type Condition struct {
	// Kind is all, any or not, with Conditions; or the key of the condition in
	// the configuration: domain, keyword, regex, embedding, complexity,
	// contextTokens, language, conversation, header, metadata, time.
	Kind string `json:"kind"`
	// Name tells conditions of a kind apart: of a signal its name, of a domain
	// the category that matched.
	Name       string  `json:"name,omitempty"`
	Evaluated  bool    `json:"evaluated"` // false: the others had settled it
	Holds      bool    `json:"holds"`
	Confidence float64 `json:"confidence,omitempty"`
	// Value is what was found: a category, a number, a language.
	Value string `json:"value,omitempty"`
	// Problem is why it could not be evaluated: overloaded, timeout or error.
	Problem    string      `json:"problem,omitempty"`
	Conditions []Condition `json:"conditions,omitempty"`
}
