package vllmsim

import (
	"encoding/json"
	"errors"
)

// responses is POST /v1/responses.
type responses struct{}

func (responses) parse(body []byte) (prompt, error) {
	var request struct {
		Model           string          `json:"model"`
		Instructions    string          `json:"instructions"`
		Input           json.RawMessage `json:"input"`
		Stream          bool            `json:"stream"`
		MaxOutputTokens int             `json:"max_output_tokens"`
	}
	if err := decode(body, &request); err != nil {
		return prompt{}, err
	}
	p := prompt{model: request.Model, stream: request.Stream, maxTokens: request.MaxOutputTokens}
	var turns []message
	if json.Unmarshal(request.Input, &p.text) == nil && p.text != "" {
		p.tokens = countTokens(p.text)
	} else if json.Unmarshal(request.Input, &turns) == nil && len(turns) > 0 {
		var err error
		if p.text, p.tokens, err = conversation(turns); err != nil {
			return prompt{}, err
		}
	} else {
		return prompt{}, errors.New("input must be a string or an array of messages")
	}
	p.tokens += countTokens(request.Instructions)
	return p, nil
}

func (responses) id(n string) string { return "resp_" + n }

// object is the reply in the state that status names.
func (responses) object(a *answer, status string, output []any, usage any) any {
	return map[string]any{
		"id": a.id, "object": "response", "created_at": a.created, "model": a.model,
		"status": status, "output": output, "usage": usage,
	}
}

func (responses) item(a *answer, status string, content ...any) any {
	if content == nil {
		content = []any{}
	}
	return map[string]any{"id": "msg_" + a.id, "type": "message", "role": "assistant", "status": status, "content": content}
}

func (responses) part(text string) any {
	return map[string]any{"type": "output_text", "text": text, "annotations": []any{}}
}

func (d responses) whole(a *answer) any {
	status := "completed"
	if a.length {
		status = "incomplete"
	}
	return d.object(a, status, []any{d.item(a, status, d.part(a.whole()))}, map[string]int{
		"input_tokens": a.tokens, "output_tokens": len(a.text), "total_tokens": a.tokens + len(a.text),
	})
}

// named is an event whose data repeats its name.
func named(name string, data map[string]any) event {
	data["type"] = name
	return event{name: name, data: data}
}

func (d responses) first(a *answer) []event {
	return []event{
		named("response.created", map[string]any{"response": d.object(a, "in_progress", []any{}, nil)}),
		named("response.output_item.added", map[string]any{"output_index": 0, "item": d.item(a, "in_progress")}),
		named("response.content_part.added", map[string]any{"output_index": 0, "content_index": 0, "part": d.part("")}),
	}
}

func (responses) next(_ *answer, token string) []event {
	return []event{named("response.output_text.delta", map[string]any{"output_index": 0, "content_index": 0, "delta": token})}
}

func (d responses) last(a *answer) []event {
	end := "response.completed"
	if a.length {
		end = "response.incomplete"
	}
	return []event{
		named("response.output_text.done", map[string]any{"output_index": 0, "content_index": 0, "text": a.whole()}),
		named(end, map[string]any{"response": d.whole(a)}),
	}
}

func (responses) failure(status int, message string) any { return openAIError(status, message) }
