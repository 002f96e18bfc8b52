package parser_test

import (
	"strings"
	"testing"

	giesched "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/scheduling"

	"semantic-epp/plugins/parser"
)

func TestParseRequest(t *testing.T) {
	tests := map[string]struct {
		path, body string
		text       string // of the prompt, "" for an error
		salt       string
		stream     bool
	}{
		"a chat": {path: "/v1/chat/completions", body: `{"model":"m","stream":true,"cache_salt":"s","messages":[{"role":"user","content":"hi"}]}`,
			text: `[{"role":"user","content":"hi"}]`, salt: "s", stream: true},
		"a system prompt that stands apart comes first": {path: "/v1/messages", body: `{"messages":[{"role":"user","content":"hi"}],"model":"m","system":"be kind"}`,
			text: `"be kind"[{"role":"user","content":"hi"}]`},
		"a completion":           {path: "/v1/completions", body: `{"model":"m","prompt":"2+2"}`, text: `"2+2"`},
		"a body that is no JSON": {path: "/v1/chat/completions", body: `{"model":`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := parser.New("parser").ParseRequest(t.Context(), []byte(tc.body), map[string]string{":method": "POST", ":path": tc.path})
			if (err != nil) != (tc.text == "") {
				t.Fatal(err)
			}
			if err != nil {
				return
			}
			if got.PromptText() != tc.text || got.CacheSalt() != tc.salt || got.Stream != tc.stream {
				t.Errorf("text %q, salt %q, stream %v", got.PromptText(), got.CacheSalt(), got.Stream)
			}
			if raw, ok := got.Payload.(giesched.RawPayload); !ok || string(raw) != tc.body {
				t.Errorf("payload is %T", got.Payload)
			}
		})
	}
}

func TestParseResponse(t *testing.T) {
	p := parser.New("parser")
	headers := map[string]string{"content-type": "application/json"}
	got, err := p.ParseResponse(t.Context(), []byte(`{"usage":{"prompt_tokens":3,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":2}}}`), headers, true)
	if err != nil || got.Usage == nil || got.Usage.PromptTokens != 3 || got.Usage.CompletionTokens != 4 || got.Usage.PromptTokenDetails.CachedTokens != 2 {
		t.Errorf("usage %+v, %v", got.Usage, err)
	}
	// What killed GIE's parser: a usage of another type.
	for _, usage := range []string{`"much"`, `{"prompt_tokens":"3"}`, `[]`, `null`} {
		if _, err := p.ParseResponse(t.Context(), []byte(`{"usage":`+usage+`}`), headers, true); err != nil {
			t.Errorf("usage %s: %v", usage, err)
		}
	}
}

func TestFactoryTakesNoParameters(t *testing.T) {
	if _, err := parser.Factory("parser", []byte(`{"x":1}`), nil); err == nil || !strings.Contains(err.Error(), "takes no parameters") {
		t.Errorf("error %v", err)
	}
}
