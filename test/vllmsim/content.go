package vllmsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// text reads content that is a string or an array of parts with a text each;
// other parts, such as images, do not count.
func text(content json.RawMessage) (string, error) {
	if len(content) == 0 || string(content) == "null" {
		return "", nil
	}
	var whole string
	if json.Unmarshal(content, &whole) == nil {
		return whole, nil
	}
	var parts []struct {
		Text string `json:"text"`
	}
	if err := json.Unmarshal(content, &parts); err != nil {
		return "", errors.New("content must be a string or an array of parts")
	}
	var b strings.Builder
	for _, part := range parts {
		b.WriteString(part.Text)
	}
	return b.String(), nil
}

// input reads a prompt that is a string, strings, token ids or lists of token
// ids. It returns one text a prompt, empty for token ids, and all tokens.
func input(raw json.RawMessage) (texts []string, tokens int, err error) {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return []string{one}, countTokens(one), nil
	}
	var many []string
	if json.Unmarshal(raw, &many) == nil && len(many) > 0 {
		for _, text := range many {
			tokens += countTokens(text)
		}
		return many, tokens, nil
	}
	var ids []int
	if json.Unmarshal(raw, &ids) == nil && len(ids) > 0 {
		return []string{""}, len(ids), nil
	}
	var lists [][]int
	if json.Unmarshal(raw, &lists) == nil && len(lists) > 0 {
		for _, list := range lists {
			tokens += len(list)
		}
		return make([]string, len(lists)), tokens, nil
	}
	return nil, 0, errors.New("the prompt must be a string, strings, token ids or lists of token ids")
}

// A message is one turn of a conversation.
type message struct {
	Role    string          `json:"role"`
	Content json.RawMessage `json:"content"`
}

// conversation returns the text of the last user message and the tokens of all.
func conversation(turns []message) (last string, tokens int, err error) {
	for i, turn := range turns {
		content, err := text(turn.Content)
		if err != nil {
			return "", 0, fmt.Errorf("messages[%d]: %w", i, err)
		}
		tokens += countTokens(content)
		if turn.Role == "user" {
			last = content
		}
	}
	return last, tokens, nil
}

// decode reads a request body.
func decode(body []byte, into any) error {
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("the body is not the JSON that was expected: %w", err)
	}
	return nil
}
