package config

import "slices"

// Reasoning is whether and how hard a model should think before it answers.
type Reasoning string

const (
	ReasoningOff     Reasoning = "off"
	ReasoningOn      Reasoning = "on"
	ReasoningMinimal Reasoning = "minimal"
	ReasoningLow     Reasoning = "low"
	ReasoningMedium  Reasoning = "medium"
	ReasoningHigh    Reasoning = "high"
)

// A ReasoningFamily is where a model's chat template or API looks for the wish
// to reason.
type ReasoningFamily struct {
	// Type is "chatTemplate" (a boolean in chat_template_kwargs),
	// "chatTemplateEffort" (an effort in chat_template_kwargs) or
	// "effort" (an effort at the top of the body).
	Type ReasoningType `json:"type"`
	// Parameter is the name of the field.
	Parameter string `json:"parameter"`
}

// ReasoningType is the shape of a ReasoningFamily.
type ReasoningType string

const (
	ChatTemplate       ReasoningType = "chatTemplate"
	ChatTemplateEffort ReasoningType = "chatTemplateEffort"
	TopLevelEffort     ReasoningType = "effort"
)

// efforts are the degrees of reasoning that models know.
var efforts = []Reasoning{ReasoningMinimal, ReasoningLow, ReasoningMedium, ReasoningHigh}

// Valid says whether the value is one that a rule may ask for; "" is not.
func (r Reasoning) Valid() bool {
	return r == ReasoningOff || r == ReasoningOn || slices.Contains(efforts, r)
}

// KnownReasoningFamilies are the built-in families, by name: the request
// fields that the chat templates of Qwen3 and DeepSeek and the APIs of gpt-oss,
// OpenAI and Mistral read.
func KnownReasoningFamilies() map[string]ReasoningFamily {
	return map[string]ReasoningFamily{
		"qwen3":    {Type: ChatTemplate, Parameter: "enable_thinking"},
		"deepseek": {Type: ChatTemplate, Parameter: "thinking"},
		"gpt-oss":  {Type: TopLevelEffort, Parameter: "reasoning_effort"},
		"gpt":      {Type: TopLevelEffort, Parameter: "reasoning_effort"},
		"mistral":  {Type: TopLevelEffort, Parameter: "reasoning_effort"},
	}
}

// ReasoningFamily returns the family of that name: the operator's, else the
// built-in one.
func (r *Router) ReasoningFamily(name string) (ReasoningFamily, bool) {
	if family, ok := r.ReasoningFamilies[name]; ok {
		return family, true
	}
	family, ok := KnownReasoningFamilies()[name]
	return family, ok
}
