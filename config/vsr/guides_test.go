package vsr_test

import (
	"os"
	"path/filepath"
	"testing"

	"semantic-epp/config"
	"semantic-epp/config/vsr"
	"semantic-epp/scheduling"
)

// guides are what vSR's install guides say of prompts: the file, the domain
// that the classifier finds, and the model that answers.
var guides = map[string][]struct {
	prompt, domain, model string
	reasoning             config.Reasoning
}{
	"gen0-istio-config.yaml": {
		{prompt: "What is 2+2?", domain: "math", model: "phi4-mini", reasoning: config.ReasoningOff},
		{prompt: "When did Rome fall?", domain: "history", model: "llama3-8b", reasoning: config.ReasoningOff},
		{prompt: "How do I price a product?", domain: "business", model: "llama3-8b", reasoning: config.ReasoningOff},
		{prompt: "Hm.", domain: "", model: "llama3-8b"},
	},
	"gen2-istio-config.yaml": {
		{prompt: "What is 2+2?", domain: "math", model: "phi4-mini", reasoning: config.ReasoningOff},
		{prompt: "Why is the sky blue?", domain: "physics", model: "llama3-8b", reasoning: config.ReasoningOn},
		{prompt: "Hello", domain: "other", model: "llama3-8b", reasoning: config.ReasoningOff},
		{prompt: "Hm.", domain: "", model: "llama3-8b"},
	},
	"gen0-ai-gateway-values.yaml": {
		{prompt: "What is the derivative of x^3?", domain: "math", model: "math-expert", reasoning: config.ReasoningOn},
		{prompt: "What is a tort?", domain: "law", model: "law-expert", reasoning: config.ReasoningOff},
		{prompt: "Think: what is the derivative of x^3?", domain: "math", model: "general-expert", reasoning: config.ReasoningOn},
		{prompt: "Hm.", domain: "", model: "general-expert"},
	},
	"gen2-agentgateway-values.yaml": {
		{prompt: "What is the derivative of x^3?", domain: "math", model: "math-expert", reasoning: config.ReasoningOn},
		{prompt: "How does GDP grow?", domain: "economics", model: "social-expert", reasoning: config.ReasoningOff},
		{prompt: "Why do we dream?", domain: "psychology", model: "humanities-expert", reasoning: config.ReasoningOff},
		{prompt: "This is urgent: how does GDP grow?", domain: "economics", model: "general-expert", reasoning: config.ReasoningOn},
		{prompt: "Hm.", domain: "", model: "base-model"},
	},
}

// The files of vSR's guides convert and then route as the guides say. Set
// SEMANTIC_EPP_VSR_CONFIGS to a directory that has them.
func TestGuides(t *testing.T) {
	dir := os.Getenv("SEMANTIC_EPP_VSR_CONFIGS")
	if dir == "" {
		t.Skip("SEMANTIC_EPP_VSR_CONFIGS is not set")
	}
	for file, prompts := range guides {
		t.Run(file, func(t *testing.T) {
			result, err := vsr.Convert(read(t, filepath.Join(dir, file)), vsr.Options{File: file})
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range result.Report {
				if e.Outcome == vsr.Unknown {
					t.Errorf("line %d: %s is unknown", e.Line, e.Key)
				}
			}
			policy, err := scheduling.Compile(result.Router, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range prompts {
				d := policy.Decide(scheduling.Signals{Text: p.prompt, Domain: func() scheduling.Domain {
					if p.domain == "" {
						return scheduling.Domain{}
					}
					return scheduling.Domain{Category: p.domain, Confidence: 0.9}
				}})
				if d.Best() != p.model || d.Models[0].Reasoning != p.reasoning {
					t.Errorf("%q (%s) goes to %s with reasoning %q by rule %q, want %s with %q",
						p.prompt, p.domain, d.Best(), d.Models[0].Reasoning, d.Rule, p.model, p.reasoning)
				}
			}
		})
	}
}
