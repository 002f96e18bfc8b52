package payload_test

import (
	"testing"

	"semantic-epp/payload"
)

func TestErrorBody(t *testing.T) {
	const chat = payload.ChatCompletions
	tests := map[string]struct {
		err  payload.Error
		api  payload.API
		want string
	}{
		"OpenAI": {payload.Error{Status: 404, Type: "NotFoundError", Code: "model_not_found", Param: "model", Message: `no "x"`}, chat,
			`{"error":{"message":"no \"x\"","type":"NotFoundError","param":"model","code":"model_not_found"}}`},
		"OpenAI, nothing given":   {payload.Error{Status: 400, Message: "m"}, payload.Other, `{"error":{"message":"m","type":"invalid_request_error","param":null,"code":null}}`},
		"OpenAI, not found":       {payload.Error{Status: 404, Message: "m"}, chat, `{"error":{"message":"m","type":"not_found_error","param":null,"code":null}}`},
		"OpenAI, too large":       {payload.Error{Status: 413, Message: "m"}, chat, `{"error":{"message":"m","type":"invalid_request_error","param":null,"code":null}}`},
		"OpenAI, too many":        {payload.Error{Status: 429, Message: "m"}, chat, `{"error":{"message":"m","type":"rate_limit_error","param":null,"code":null}}`},
		"OpenAI, unavailable":     {payload.Error{Status: 503, Message: "m"}, chat, `{"error":{"message":"m","type":"server_error","param":null,"code":null}}`},
		"Anthropic":               {payload.Error{Status: 400, Code: "c", Param: "p", Message: "m"}, payload.Messages, `{"type":"error","error":{"type":"invalid_request_error","message":"m"}}`},
		"Anthropic, unauthorized": {payload.Error{Status: 401, Message: "m"}, payload.Messages, `{"type":"error","error":{"type":"authentication_error","message":"m"}}`},
		"Anthropic, forbidden":    {payload.Error{Status: 403, Message: "m"}, payload.Messages, `{"type":"error","error":{"type":"permission_error","message":"m"}}`},
		"Anthropic, too large":    {payload.Error{Status: 413, Message: "m"}, payload.Messages, `{"type":"error","error":{"type":"request_too_large","message":"m"}}`},
		"Anthropic, internal":     {payload.Error{Status: 500, Message: "m"}, payload.Messages, `{"type":"error","error":{"type":"api_error","message":"m"}}`},
		"Anthropic, unavailable":  {payload.Error{Status: 503, Message: "m"}, payload.Messages, `{"type":"error","error":{"type":"overloaded_error","message":"m"}}`},
		"Anthropic, too late":     {payload.Error{Status: 504, Message: "m"}, payload.Messages, `{"type":"error","error":{"type":"timeout_error","message":"m"}}`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := string(tc.err.Body(tc.api)); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestModelListBody(t *testing.T) {
	tests := map[string]struct {
		models []payload.ModelEntry
		want   string
	}{
		"no models": {nil, `{"object":"list","data":[]}`},
		"a base model and its adapter, in order": {
			[]payload.ModelEntry{{ID: "math", Created: 7, OwnedBy: "us", Root: "/loras/math", Parent: "base"}, {ID: "base"}},
			`{"object":"list","data":[{"id":"math","object":"model","created":7,"owned_by":"us","root":"/loras/math","parent":"base"},` +
				`{"id":"base","object":"model","created":0,"owned_by":"","root":"base","parent":null}]}`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := string(payload.ModelListBody(tc.models)); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}
