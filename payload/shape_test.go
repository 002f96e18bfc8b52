package payload_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"semantic-epp/payload"
)

func TestShape(t *testing.T) {
	const chat, completions, responses, messages = payload.ChatCompletions, payload.Completions, payload.Responses, payload.Messages
	tests := map[string]struct {
		api  payload.API
		body string
		want payload.Shape
	}{
		"nothing": {chat, `{"model":"m"}`, payload.Shape{}},
		"a chat": {chat, `{"model":"m","messages":[{"role":"system","content":"be"},{"role":"user","content":"one"},{"role":"assistant","content":null},{"role":"user","content":[{"type":"text","text":"a"},"b",{"text":"c","type":"text"}]}]}`,
			payload.Shape{Messages: 4, UserTurns: 2, TextBytes: 8}},
		"text with escapes": {chat, `{"model":"m","messages":[{"role":"user","content":"\"\u0041\u00e9\u20ac\ud83d\ude00é\n"}]}`,
			payload.Shape{Messages: 1, UserTurns: 1, TextBytes: 1 + 1 + 2 + 3 + 4 + 2 + 1}},
		"thoughts, refusals and what is no text": {chat, `{"model":"m","messages":[{"role":"assistant","content":[{"thinking":"abc","type":"thinking"},{"type":"refusal","refusal":"de"},{"type":"audio","text":"no"}]}]}`,
			payload.Shape{Messages: 1, TextBytes: 5}},
		"pictures": {chat, `{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"u"}},{"image_url":{},"type":"image_url"},{"type":"text","text":"?"}]}]}`,
			payload.Shape{Messages: 1, UserTurns: 1, Images: 2, TextBytes: 1}},
		"tools of a chat": {chat, `{"tools":[{"type":"function"},{}],"model":"m","messages":[{"role":"assistant","tool_calls":[{"id":"1"}]},{"role":"tool","content":"42"},{"role":"function","content":"7"}]}`,
			payload.Shape{Messages: 3, Tools: 2, ToolResults: 2, TextBytes: 3, ToolBytes: len(`[{"type":"function"},{}]`) + len(`[{"id":"1"}]`)}},
		"functions, as tools were once called": {chat, `{"model":"m","functions":[{}],"tools":null}`, payload.Shape{Tools: 1, ToolBytes: 4}},
		"a completion":                         {completions, `{"model":"m","prompt":"four"}`, payload.Shape{Messages: 1, UserTurns: 1, TextBytes: 4}},
		"a completion of several prompts":      {completions, `{"model":"m","prompt":["a","b"]}`, payload.Shape{Messages: 1, UserTurns: 1, TextBytes: 2}},
		"a lone input of Responses":            {responses, `{"model":"m","instructions":"be good","input":"q"}`, payload.Shape{Messages: 1, UserTurns: 1, TextBytes: 8}},
		"items of Responses": {responses, `{"model":"m","tools":[{}],"input":[{"role":"user","content":"q"},{"type":"function_call","name":"f"},{"type":"function_call_output","output":"42"},{"type":"custom_tool_call_output","output":[{"type":"input_text","text":"seven"},{"type":"input_image"}]},{"type":"message","role":"user","content":[{"type":"input_image"}]}]}`,
			payload.Shape{Messages: 2, UserTurns: 2, Tools: 1, ToolResults: 2, Images: 2, TextBytes: 8, ToolBytes: 4 + len(`{"type":"function_call","name":"f"}`)}},
		"Anthropic's tools": {messages, `{"model":"m","system":[{"type":"text","text":"sys"}],"tools":[{"name":"f"}],"messages":[{"role":"user","content":"q"},{"role":"assistant","content":[{"type":"tool_use","id":"1"}]},{"role":"user","content":[{"type":"tool_result","content":[{"type":"text","text":"42"},{"type":"image","source":{}}]}]},{"role":"user","content":[{"type":"tool_result","content":"7"},{"type":"text","text":"go on"}]}]}`,
			payload.Shape{Messages: 4, UserTurns: 2, Tools: 1, ToolResults: 2, Images: 1, TextBytes: 3 + 1 + 2 + 1 + 5, ToolBytes: len(`[{"name":"f"}]`) + len(`{"type":"tool_use","id":"1"}`)}},
		"strange forms, which are the server's business": {messages, `{"model":"m","system":{"text":"x"},"tools":{},"messages":[{"role":"user","content":[{"type":"tool_result","content":[7,null,"ab",{"text":3,"type":"text"}]}]}]}`,
			payload.Shape{Messages: 1, ToolResults: 1, TextBytes: 2}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			r, err := payload.Parse(tc.api, []byte(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, r.Shape); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// FuzzShape states that the text of a message counts as many bytes as it has
// when it is decoded, and one that a prompt is made of counts whole.
func FuzzShape(f *testing.F) {
	for _, text := range []string{"", "plain", "é日😀\u2028\x7f\x00\"\\/\n"} {
		f.Add(text, false)
		f.Add(text, true)
	}
	f.Fuzz(func(t *testing.T, text string, ascii bool) {
		quoted, err := json.Marshal(text) // replaces what is not UTF-8
		if err != nil {
			t.Fatal(err)
		}
		var want string
		if err := json.Unmarshal(quoted, &want); err != nil {
			t.Fatal(err)
		}
		if ascii {
			quoted = []byte(escaped(want))
		}
		r, err := payload.Parse(payload.ChatCompletions, []byte(`{"model":"m","messages":[{"role":"user","content":`+string(quoted)+`}]}`))
		if err != nil {
			t.Fatal(err)
		}
		if r.Shape.TextBytes != len(want) || r.Prompt(len(quoted)) != want {
			t.Errorf("%s counts %d bytes, want %d", quoted, r.Shape.TextBytes, len(want))
		}
	})
}

func TestMetadata(t *testing.T) {
	long := strings.Repeat("x", 2<<10)
	tests := map[string]struct {
		body, key, want string
		ok              bool
	}{
		"a string":                     {`{"model":"m","metadata":{"a":1,"tier":"g\u006fld"},"n":1}`, "tier", "gold", true},
		"before the model":             {`{"metadata":{"tier":""},"model":"m","messages":[{"metadata":{"tier":"no"}}],"tools":[]}`, "tier", "", true},
		"a key in escapes":             {`{"model":"m","metadata":{"ti\u0065r":"gold"}}`, "tier", "gold", true},
		"another case, another key":    {`{"model":"m","metadata":{"Tier":"silver","tier":"gold"}}`, "tier", "gold", true},
		"a number":                     {`{"model":"m","metadata":{"tier":1}}`, "tier", "", false},
		"no such key":                  {`{"model":"m","metadata":{"tie":"gold"}}`, "tier", "", false},
		"a key that comes twice":       {`{"model":"m","metadata":{"tier":"gold","tier":"silver"}}`, "tier", "", false},
		"three times":                  {`{"model":"m","metadata":{"tier":"gold","tier":"silver","tier":"gold"}}`, "tier", "", false},
		"metadata that comes twice":    {`{"model":"m","metadata":{"tier":"gold"},"metadata":{}}`, "tier", "", false},
		"metadata that is an array":    {`{"model":"m","metadata":["tier","gold"]}`, "tier", "", false},
		"metadata that is null":        {`{"model":"m","metadata":null}`, "tier", "", false},
		"no metadata":                  {`{"model":"m","messages":[]}`, "tier", "", false},
		"a value as long as can be":    {`{"model":"m","metadata":{"tier":"` + long + `"}}`, "tier", long, true},
		"a value that is too long":     {`{"model":"m","metadata":{"tier":"` + long + `x"}}`, "tier", "", false},
		"more metadata than we read":   {`{"model":"m","metadata":{"tier":"gold","a":"` + strings.Repeat(long, 32) + `"}}`, "tier", "", false},
		"a lone surrogate as a letter": {`{"model":"m","metadata":{"tier":"\ud800"}}`, "tier", "\ufffd", true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			r, err := payload.Parse(payload.ChatCompletions, []byte(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			if got, ok := r.Metadata(tc.key); ok != tc.ok || ok && got != tc.want {
				t.Errorf("got %.50q, %v", got, ok)
			}
		})
	}
}

func TestIncludeUsage(t *testing.T) {
	tests := map[string]struct {
		api  payload.API
		body string
		want bool
	}{
		"true":           {payload.ChatCompletions, `{"model":"m","stream_options":{"x":1,"include_usage":true}}`, true},
		"false":          {payload.ChatCompletions, `{"model":"m","stream_options":{"include_usage":false}}`, false},
		"a string":       {payload.ChatCompletions, `{"model":"m","stream_options":{"include_usage":"true"}}`, false},
		"null":           {payload.ChatCompletions, `{"model":"m","stream_options":null}`, false},
		"absent":         {payload.ChatCompletions, `{"model":"m"}`, false},
		"not looked at":  {payload.Other, `{"model":"m","stream_options":{"include_usage":true}}`, false},
		"not in its own": {payload.ChatCompletions, `{"model":"m","include_usage":true,"stream_options":{}}`, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			r, err := payload.Parse(tc.api, []byte(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			if got := r.IncludeUsage(); got != tc.want {
				t.Errorf("got %v", got)
			}
		})
	}
}
