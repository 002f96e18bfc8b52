package config

// Rule maps a condition to ranked models and to what is done to the request.
type Rule struct {
	// Name stands in reasons, metrics and logs.
	Name string `json:"name"`
	// Description is for people.
	Description string `json:"description,omitempty"`
	// Tier orders the rules before Priority, lowest first. Default 0.
	Tier int `json:"tier,omitempty"`
	// Priority orders the rules of a tier, highest first. Default 0.
	Priority int `json:"priority,omitempty"`
	// When is the condition; all its parts must hold.
	When When `json:"when"`
	// Models in order of preference; Score defaults to 1. Empty only where
	// Respond answers.
	Models []ModelScore `json:"models,omitempty"`
	// Reasoning asks the chosen model for it: off, on, minimal, low, medium,
	// high. Default: as the client sent it.
	Reasoning Reasoning `json:"reasoning,omitempty"`
	// SystemPrompt is given to the model.
	SystemPrompt *SystemPrompt `json:"systemPrompt,omitempty"`
	// Parameters changes the request's parameters.
	Parameters *Parameters `json:"parameters,omitempty"`
	// Headers changes the request's header fields.
	Headers *Headers `json:"headers,omitempty"`
	// Respond answers at once; no model is asked.
	Respond *Respond `json:"respond,omitempty"`
}

// ModelScore is a model with its quality for a rule.
type ModelScore struct {
	Name string `json:"name"`
	// Score is the quality in (0, 1]. Default 1.
	Score *float64 `json:"score,omitempty"`
	// Weight splits requests between the models of a rule that have one: 5 and
	// 95 is a canary. Models without weight follow in order of score.
	Weight *int `json:"weight,omitempty"`
	// Reasoning replaces the rule's for this model.
	Reasoning Reasoning `json:"reasoning,omitempty"`
}

// SystemPrompt is instructions for the model. It may be written as a string.
type SystemPrompt struct {
	Text string `json:"text"`
	// Mode is "replace" (default): it takes the place of the client's; or
	// "prepend": it stands before the client's.
	Mode PromptMode `json:"mode,omitempty"`
}

// PromptMode is what becomes of the client's system prompt.
type PromptMode string

const (
	Replace PromptMode = "replace"
	Prepend PromptMode = "prepend"
)

// Parameters changes the top-level fields of a request.
type Parameters struct {
	// MaxTokens lowers max_tokens, max_completion_tokens and their kin to at
	// most this, and sets it where the client set none.
	MaxTokens int `json:"maxTokens,omitempty"`
	// MaxN lowers n to at most this.
	MaxN int `json:"maxN,omitempty"`
	// Block removes these fields.
	Block []string `json:"block,omitempty"`
	// Defaults are fields for requests that do not have them, as JSON values.
	Defaults map[string]any `json:"defaults,omitempty"`
}

// Headers changes header fields of the request on its way to the model.
type Headers struct {
	Set    map[string]string `json:"set,omitempty"`
	Remove []string          `json:"remove,omitempty"`
}

// Respond is an answer in place of a model's.
type Respond struct {
	// Text is the answer: a completion in the shape of the request's API, as
	// JSON or as an event stream, as asked; with Status 400 and above the
	// message of an error.
	Text string `json:"text"`
	// Status is the HTTP status. Default 200.
	Status int `json:"status,omitempty"`
	// FinishReason of a completion: "stop" (default) or "content_filter".
	FinishReason string `json:"finishReason,omitempty"`
}
