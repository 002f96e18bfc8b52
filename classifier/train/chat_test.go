package main

import (
	"slices"
	"strings"
	"testing"

	"semantic-epp/classifier/builtin"
)

// TestChatPrompts holds the chat prompts to what their README.md promises.
func TestChatPrompts(t *testing.T) {
	model, err := builtin.Open(builtin.Options{Model: builtin.Linear})
	if err != nil {
		t.Fatal(err)
	}
	defer model.Close()
	labels := model.Info().Labels
	seen := map[string]string{}
	for part, least := range map[string]int{"train": 100, "val": 10, "test": 30} {
		prompts, err := readQuestions("chat", part)
		if err != nil {
			t.Fatal(err)
		}
		count := map[string]int{}
		for i, p := range prompts {
			if !slices.Contains(labels, p.Label) {
				t.Errorf("%s.jsonl, line %d: the label %q is none of the model's", part, i+1, p.Label)
			}
			key := strings.Join(strings.Fields(strings.ToLower(p.Text)), " ")
			if other, ok := seen[key]; ok {
				t.Errorf("%s.jsonl, line %d: also in %s.jsonl", part, i+1, other)
			}
			seen[key] = part
			count[p.Label]++
		}
		for _, label := range labels {
			if count[label] < least {
				t.Errorf("%s.jsonl has %d prompts of %s, fewer than %d", part, count[label], label, least)
			}
		}
	}
}
