package vllmsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// messages is POST /v1/messages, Anthropic's API.
type messages struct{}

func (messages) parse(body []byte) (prompt, error) {
	var request struct {
		Model     string          `json:"model"`
		System    json.RawMessage `json:"system"`
		Messages  []message       `json:"messages"`
		MaxTokens int             `json:"max_tokens"`
		Stream    bool            `json:"stream"`
	}
	if err := decode(body, &request); err != nil {
		return prompt{}, err
	}
	if request.MaxTokens <= 0 || len(request.Messages) == 0 {
		return prompt{}, errors.New("max_tokens and messages are required")
	}
	system, err := text(request.System)
	if err != nil {
		return prompt{}, fmt.Errorf("system: %w", err)
	}
	p := prompt{model: request.Model, stream: request.Stream, maxTokens: request.MaxTokens}
	p.text, p.tokens, err = conversation(request.Messages)
	p.tokens += countTokens(system)
	return p, err
}

func (messages) id(n string) string { return "msg_" + n }

func (messages) object(a *answer, content []any, stop any, output int) map[string]any {
	return map[string]any{
		"id": a.id, "type": "message", "role": "assistant", "model": a.model, "content": content,
		"stop_reason": stop, "stop_sequence": nil,
		"usage": map[string]int{"input_tokens": a.tokens, "output_tokens": output},
	}
}

func (messages) stopReason(a *answer) string {
	if a.length {
		return "max_tokens"
	}
	return "end_turn"
}

func (d messages) whole(a *answer) any {
	content := []any{map[string]any{"type": "text", "text": a.whole()}}
	return d.object(a, content, d.stopReason(a), len(a.text))
}

func (d messages) first(a *answer) []event {
	return []event{
		named("message_start", map[string]any{"message": d.object(a, []any{}, nil, 0)}),
		named("content_block_start", map[string]any{"index": 0, "content_block": map[string]any{"type": "text", "text": ""}}),
	}
}

func (messages) next(_ *answer, token string) []event {
	return []event{named("content_block_delta", map[string]any{"index": 0, "delta": map[string]any{"type": "text_delta", "text": token}})}
}

func (d messages) last(a *answer) []event {
	return []event{
		named("content_block_stop", map[string]any{"index": 0}),
		named("message_delta", map[string]any{
			"delta": map[string]any{"stop_reason": d.stopReason(a), "stop_sequence": nil},
			"usage": map[string]int{"input_tokens": a.tokens, "output_tokens": len(a.text)},
		}),
		named("message_stop", map[string]any{}),
	}
}

func (messages) failure(status int, message string) any {
	kind := "invalid_request_error"
	switch {
	case status == http.StatusNotFound:
		kind = "not_found_error"
	case status == http.StatusTooManyRequests:
		kind = "rate_limit_error"
	case status >= 500:
		kind = "api_error"
	}
	return map[string]any{"type": "error", "error": map[string]any{"type": kind, "message": message}}
}
