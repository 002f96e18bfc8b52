package scheduling

import (
	"encoding/json"

	"semantic-epp/config"
)

// Reason says why a model was chosen. The set is closed: it labels metrics.
type Reason string

const (
	// Explicit: the client named the model.
	Explicit Reason = "explicit"
	// Rule: a rule matched.
	Rule Reason = "rule"
	// Default: no rule matched.
	Default Reason = "default"
	// Unsure: no rule matched, and the classifier found a category that it was
	// not sure enough of, or none.
	Unsure Reason = "unsure"
	// Overloaded: too many prompts waited for the classifier.
	Overloaded Reason = "overloaded"
	// Timeout: the classifier did not answer in time.
	Timeout Reason = "timeout"
	// Failed: the classifier broke.
	Failed Reason = "error"
	// Spilled: the best model was saturated and the next one took over.
	Spilled Reason = "spilled"
)

// A Ranked is a model with its quality for the request, in (0, 1].
type Ranked struct {
	Model string
	Score float64
	// Reasoning is what this model is asked for; "" leaves the client's wish.
	Reasoning config.Reasoning
}

// An Action is what a rule does to a request beside choosing the model. It is
// immutable: all requests of a rule share one.
type Action struct {
	SystemPrompt *config.SystemPrompt
	Parameters   *config.Parameters
	// Defaults are those of Parameters, in order of name.
	Defaults []Field
	Headers  *config.Headers
	// Respond answers in place of a model.
	Respond *config.Respond
}

// A Field is a field for requests that do not have it.
type Field struct {
	Name  string
	Value json.RawMessage
}

// A Decision is the models that may answer a request, best first. It is
// immutable once made.
type Decision struct {
	// Models are never empty: where no model is asked, or the request is
	// refused, the default one stands there.
	Models []Ranked
	Reason Reason
	// Rule is the name of the rule that matched, or that refused; "" otherwise.
	Rule string
	// Confidence is how sure the rule is of its condition, in [0, 1]; 0 without
	// a rule.
	Confidence float64
	// Action is what the rule does, nil where it only chooses.
	Action *Action
	// Denied says that a rule that guards could not be evaluated: the request
	// is to be refused with 503. Reason says why.
	Denied bool
	// Domain is the classification, when there was one.
	Domain Domain
}

// Best is the name of the highest-ranked model.
func (d *Decision) Best() string { return d.Models[0].Model }

// For is the decision for a model that the client named.
func For(model string) Decision {
	return Decision{Models: []Ranked{{Model: model, Score: 1}}, Reason: Explicit}
}
