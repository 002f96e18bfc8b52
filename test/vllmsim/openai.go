package vllmsim

import (
	"encoding/json"
	"errors"
)

// usage counts tokens in OpenAI's older APIs.
type usage struct {
	Prompt     int `json:"prompt_tokens"`
	Total      int `json:"total_tokens"`
	Completion int `json:"completion_tokens"`
}

func (a *answer) usage() usage {
	return usage{Prompt: a.tokens, Total: a.tokens + len(a.text), Completion: len(a.text)}
}

// options are the fields that chat completions and completions share.
type options struct {
	Model         string `json:"model"`
	Stream        bool   `json:"stream"`
	StreamOptions struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	MaxTokens int `json:"max_tokens"`
}

func (o options) prompt() prompt {
	return prompt{model: o.Model, stream: o.Stream, includeUsage: o.StreamOptions.IncludeUsage, maxTokens: o.MaxTokens}
}

// An object is what chat completions and completions share of a reply: the
// whole of it, or one chunk of a stream.
type object struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	Model   string `json:"model"`
	Choices []any  `json:"choices"`
	Usage   *usage `json:"usage,omitempty"`
}

func (a *answer) object(name string, choices ...any) object {
	if choices == nil {
		choices = []any{}
	}
	return object{ID: a.id, Object: name, Created: a.created, Model: a.model, Choices: choices}
}

func (a *answer) wholeObject(name string, choice any) object {
	o := a.object(name, choice)
	u := a.usage()
	o.Usage = &u
	return o
}

// done ends a stream, with the usage before the end mark if it was asked for.
func (a *answer) done(name string, events ...event) []event {
	if a.includeUsage {
		o := a.object(name)
		u := a.usage()
		o.Usage = &u
		events = append(events, event{data: o})
	}
	return append(events, event{data: "[DONE]"})
}

// chat is POST /v1/chat/completions.
type chat struct{}

func (chat) parse(body []byte) (prompt, error) {
	var request struct {
		options
		MaxCompletionTokens int       `json:"max_completion_tokens"`
		Messages            []message `json:"messages"`
	}
	if err := decode(body, &request); err != nil {
		return prompt{}, err
	}
	if len(request.Messages) == 0 {
		return prompt{}, errors.New("messages must hold at least one message")
	}
	p := request.prompt()
	if request.MaxCompletionTokens > 0 {
		p.maxTokens = request.MaxCompletionTokens
	}
	var err error
	p.text, p.tokens, err = conversation(request.Messages)
	return p, err
}

func (chat) id(n string) string { return "chatcmpl-" + n }

func (chat) whole(a *answer) any {
	return a.wholeObject("chat.completion", map[string]any{
		"index":         0,
		"message":       map[string]any{"role": "assistant", "content": a.whole()},
		"logprobs":      nil,
		"finish_reason": a.finish(),
	})
}

const chatChunk = "chat.completion.chunk"

func (chat) delta(a *answer, delta map[string]any, finish any) event {
	return event{data: a.object(chatChunk, map[string]any{"index": 0, "delta": delta, "logprobs": nil, "finish_reason": finish})}
}

func (c chat) first(a *answer) []event {
	return []event{c.delta(a, map[string]any{"role": "assistant", "content": ""}, nil)}
}

func (c chat) next(a *answer, token string) []event {
	return []event{c.delta(a, map[string]any{"content": token}, nil)}
}

func (c chat) last(a *answer) []event {
	return a.done(chatChunk, c.delta(a, map[string]any{}, a.finish()))
}

func (chat) failure(status int, message string) any { return openAIError(status, message) }

// completions is POST /v1/completions.
type completions struct{}

func (completions) parse(body []byte) (prompt, error) {
	var request struct {
		options
		Prompt json.RawMessage `json:"prompt"`
	}
	if err := decode(body, &request); err != nil {
		return prompt{}, err
	}
	texts, tokens, err := input(request.Prompt)
	if err != nil {
		return prompt{}, err
	}
	p := request.prompt()
	p.text, p.tokens = texts[0], tokens
	return p, nil
}

func (completions) id(n string) string { return "cmpl-" + n }

const completionObject = "text_completion"

func (completions) choice(text string, finish any) any {
	return map[string]any{"index": 0, "text": text, "logprobs": nil, "finish_reason": finish}
}

func (c completions) whole(a *answer) any {
	return a.wholeObject(completionObject, c.choice(a.whole(), a.finish()))
}

func (completions) first(*answer) []event { return nil }

func (c completions) next(a *answer, token string) []event {
	return []event{{data: a.object(completionObject, c.choice(token, nil))}}
}

func (c completions) last(a *answer) []event {
	return a.done(completionObject, event{data: a.object(completionObject, c.choice("", a.finish()))})
}

func (completions) failure(status int, message string) any { return openAIError(status, message) }
