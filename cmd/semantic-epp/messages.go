package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"semantic-epp/payload"
)

// requestOf reads a request: the JSON of a body of any API that is known by its
// keys, or of a list of messages.
func requestOf(data []byte) (*payload.Request, error) {
	body := map[string]json.RawMessage{}
	var messages []json.RawMessage
	if json.Unmarshal(data, &messages) == nil {
		body["messages"] = data
	} else if err := json.Unmarshal(data, &body); err != nil {
		return nil, errors.New("read messages: neither a request body nor a list of messages, in JSON")
	}
	api := payload.ChatCompletions // and Anthropic's messages, which the user's text has the same shape in
	switch {
	case body["messages"] != nil:
	case body["input"] != nil:
		api = payload.Responses
	case body["prompt"] != nil:
		api = payload.Completions
	default:
		return nil, errors.New("read messages: the body has none of messages, prompt and input")
	}
	if body["model"] == nil || len(messages) > 0 {
		body["model"] = json.RawMessage(`"auto"`)
		data, _ = json.Marshal(body) // of valid JSON: cannot fail
	}
	request, err := payload.Parse(api, data)
	if err != nil {
		return nil, fmt.Errorf("read messages: %w", err)
	}
	return request, nil
}
