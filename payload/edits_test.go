package payload_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"

	"semantic-epp/payload"
)

func field(name, value string) payload.Field {
	return payload.Field{Name: name, Value: json.RawMessage(value)}
}

func template(name, value string) payload.Reasoning {
	return payload.Reasoning{Field: field(name, value), InTemplate: true}
}

func effort(value string, keep bool) payload.Reasoning {
	return payload.Reasoning{Field: field("reasoning_effort", value), Keep: keep}
}

func TestApply(t *testing.T) {
	const chat, completions, responses, messages = payload.ChatCompletions, payload.Completions, payload.Responses, payload.Messages
	replace, prepend := payload.SystemPrompt{Text: "S"}, payload.SystemPrompt{Text: "S", Prepend: true}
	tests := map[string]struct {
		api  payload.API
		body string
		e    payload.Edits
		want string
	}{
		"nothing": {chat, ` {"model":"m","n":9} `, payload.Edits{}, ` {"model":"m","n":9} `},
		"a model": {chat, `{"model":"auto","n":9}`, payload.Edits{Model: "m"}, `{"model":"m","n":9}`},
		"everything at once": {chat,
			`{"messages": [{"role":"user","content":"q"}], "logprobs": true, "model": "auto", "max_tokens": 900, "n": 4, "seed": 9007199254740993}`,
			payload.Edits{Model: "m", Block: []string{"logprobs"}, Defaults: []payload.Field{field("temperature", "0.2")}, MaxTokens: 500, MaxN: 1,
				Reasoning: template("enable_thinking", "true"), SystemPrompt: replace},
			`{"messages": [{"role":"system","content":"S"},{"role":"user","content":"q"}], "model": "m","temperature":0.2,"chat_template_kwargs":{"enable_thinking":true}, "max_tokens": 500, "n": 1, "seed": 9007199254740993}`},

		"a blocked field that is first":                  {chat, `{ "a":1, "model":"m"}`, payload.Edits{Block: []string{"a"}}, `{ "model":"m"}`},
		"a blocked field that is last":                   {chat, `{"model":"m" , "a":[1,{}] }`, payload.Edits{Block: []string{"a"}}, `{"model":"m" }`},
		"a blocked field in the middle":                  {chat, `{"model":"m", "a":1, "b":2}`, payload.Edits{Block: []string{"a"}}, `{"model":"m", "b":2}`},
		"blocked fields one behind another":              {chat, `{"a":1,"b":2,"model":"m","a2":1,"b2":2}`, payload.Edits{Block: []string{"a", "b", "a2", "b2"}}, `{"model":"m"}`},
		"a blocked field in escapes":                     {chat, `{"model":"m","\u0061":1}`, payload.Edits{Block: []string{"a"}}, `{"model":"m"}`},
		"what cannot be blocked in a chat":               {chat, `{"model":"m","messages":[],"max_tokens":1}`, payload.Edits{Block: []string{"model", "messages", "input", "prompt", "max_tokens"}}, `{"model":"m","messages":[]}`},
		"what cannot be blocked for Anthropic":           {messages, `{"model":"m","max_tokens":1,"top_k":1}`, payload.Edits{Block: []string{"max_tokens", "top_k"}}, `{"model":"m","max_tokens":1}`},
		"a blocked field of the same name deeper inside": {chat, `{"model":"m","metadata":{"a":1}}`, payload.Edits{Block: []string{"a"}}, `{"model":"m","metadata":{"a":1}}`},

		"a default that is there":             {chat, `{"model":"m","seed":1}`, payload.Edits{Defaults: []payload.Field{field("seed", "2")}}, `{"model":"m","seed":1}`},
		"a default for null":                  {chat, `{"model":"m","seed":null}`, payload.Edits{Defaults: []payload.Field{field("seed", "2")}}, `{"model":"m","seed":2}`},
		"defaults in the order given":         {chat, `{"model":"m"}`, payload.Edits{Defaults: []payload.Field{field("b", "2"), field("a", `{"x":[]}`)}}, `{"model":"m","b":2,"a":{"x":[]}}`},
		"a default in place of a blocked one": {chat, `{"a":1,"model":"m"}`, payload.Edits{Block: []string{"a"}, Defaults: []payload.Field{field("a", "2")}}, `{"model":"m","a":2}`},
		"a default that is no default":        {chat, `{"model":"m"}`, payload.Edits{Defaults: []payload.Field{field("messages", "[]")}}, `{"model":"m"}`},
		"a default above the limit":           {chat, `{"model":"m"}`, payload.Edits{MaxTokens: 5, Defaults: []payload.Field{field("max_tokens", "9")}}, `{"model":"m","max_tokens":5}`},

		"max tokens of a chat, both lowered":       {chat, `{"model":"m","max_tokens":9,"max_completion_tokens":9e1}`, payload.Edits{MaxTokens: 5}, `{"model":"m","max_tokens":5,"max_completion_tokens":5}`},
		"max tokens of a chat, one low":            {chat, `{"model":"m","max_tokens":3.0,"max_completion_tokens":null}`, payload.Edits{MaxTokens: 5}, `{"model":"m","max_tokens":3.0,"max_completion_tokens":null}`},
		"max tokens of a chat, none":               {chat, `{"model":"m"}`, payload.Edits{MaxTokens: 5}, `{"model":"m","max_completion_tokens":5}`},
		"max tokens of a chat, null":               {chat, `{"model":"m","max_completion_tokens":null}`, payload.Edits{MaxTokens: 5}, `{"model":"m","max_completion_tokens":5}`},
		"max tokens of a chat, no limit":           {chat, `{"model":"m","max_tokens":-1}`, payload.Edits{MaxTokens: 5}, `{"model":"m","max_tokens":5}`},
		"max tokens of a chat, beyond all numbers": {chat, `{"model":"m","max_tokens":1e999}`, payload.Edits{MaxTokens: 5}, `{"model":"m","max_tokens":5}`},
		"max tokens of a completion":               {completions, `{"model":"m","max_completion_tokens":9}`, payload.Edits{MaxTokens: 5}, `{"model":"m","max_tokens":5,"max_completion_tokens":9}`},
		"max tokens of Responses":                  {responses, `{"model":"m","max_output_tokens":9}`, payload.Edits{MaxTokens: 5}, `{"model":"m","max_output_tokens":5}`},
		"max tokens of Anthropic":                  {messages, `{"model":"m","max_tokens":9}`, payload.Edits{MaxTokens: 5}, `{"model":"m","max_tokens":5}`},
		"max tokens of an embedding":               {payload.Embeddings, `{"model":"m"}`, payload.Edits{MaxTokens: 5, MaxN: 1, SystemPrompt: replace, Reasoning: effort(`"low"`, false)}, `{"model":"m"}`},
		"n lowered":                                {completions, `{"model":"m","n":3}`, payload.Edits{MaxN: 2}, `{"model":"m","n":2}`},
		"n not set":                                {chat, `{"model":"m"}`, payload.Edits{MaxN: 2}, `{"model":"m"}`},

		"reasoning where there are no template arguments": {chat, `{"model":"m"}`, payload.Edits{Reasoning: template("thinking", "true")}, `{"model":"m","chat_template_kwargs":{"thinking":true}}`},
		"reasoning where template arguments are null":     {chat, `{"chat_template_kwargs":null,"model":"m"}`, payload.Edits{Reasoning: template("thinking", "true")}, `{"chat_template_kwargs":{"thinking":true},"model":"m"}`},
		"reasoning where template arguments are empty":    {chat, `{"chat_template_kwargs":{ },"model":"m"}`, payload.Edits{Reasoning: template("thinking", "true")}, `{"chat_template_kwargs":{"thinking":true },"model":"m"}`},
		"reasoning beside other template arguments":       {chat, `{"chat_template_kwargs":{"a":{"thinking":0}},"model":"m"}`, payload.Edits{Reasoning: template("thinking", "true")}, `{"chat_template_kwargs":{"thinking":true,"a":{"thinking":0}},"model":"m"}`},
		"reasoning otherwise than the client wants":       {chat, `{"chat_template_kwargs":{"a":1,"thinking" : true},"model":"m"}`, payload.Edits{Reasoning: template("thinking", "false")}, `{"chat_template_kwargs":{"a":1,"thinking" : false},"model":"m"}`},
		"reasoning as a default gives it":                 {chat, `{"model":"m"}`, payload.Edits{Reasoning: template("b", "1"), Defaults: []payload.Field{field("chat_template_kwargs", `{"a":1}`)}}, `{"model":"m","chat_template_kwargs":{"b":1,"a":1}}`},
		"an effort":                                       {chat, `{"model":"m"}`, payload.Edits{Reasoning: effort(`"high"`, false)}, `{"model":"m","reasoning_effort":"high"}`},
		"an effort that replaces the client's":            {chat, `{"model":"m","reasoning_effort":"low"}`, payload.Edits{Reasoning: effort(`"high"`, false)}, `{"model":"m","reasoning_effort":"high"}`},
		"an effort of the client's that is kept":          {chat, `{"model":"m","reasoning_effort":"high"}`, payload.Edits{Reasoning: effort(`"low"`, true)}, `{"model":"m","reasoning_effort":"high"}`},
		"an effort of the client's that is null":          {chat, `{"model":"m","reasoning_effort":null}`, payload.Edits{Reasoning: effort(`"low"`, true)}, `{"model":"m","reasoning_effort":"low"}`},
		"an effort for Responses":                         {responses, `{"model":"m","reasoning":{"summary":"auto"}}`, payload.Edits{Reasoning: effort(`"low"`, false)}, `{"model":"m","reasoning":{"effort":"low","summary":"auto"}}`},
		"an effort for Responses that is kept":            {responses, `{"model":"m","reasoning":{"effort":"high"}}`, payload.Edits{Reasoning: effort(`"low"`, true)}, `{"model":"m","reasoning":{"effort":"high"}}`},
		"an effort for Anthropic":                         {messages, `{"model":"m"}`, payload.Edits{Reasoning: effort(`"low"`, false)}, `{"model":"m","output_config":{"effort":"low"}}`},
		"the least effort for Anthropic":                  {messages, `{"model":"m","output_config":{"format":null}}`, payload.Edits{Reasoning: effort(`"minimal"`, false)}, `{"model":"m","output_config":{"effort":"low","format":null}}`},
		"no effort for a completion":                      {completions, `{"model":"m"}`, payload.Edits{Reasoning: effort(`"low"`, false)}, `{"model":"m"}`},

		"a system prompt that takes the place of all": {chat,
			`{"model":"m","messages":[ {"role":"system","content":"a"}, {"role":"user","content":"q"} , {"role":"developer","content":"b"}, {"content":"c","role":"syst\u0065m"} ]}`,
			payload.Edits{SystemPrompt: replace},
			`{"model":"m","messages":[{"role":"system","content":"S"}, {"role":"user","content":"q"} ]}`},
		"a system prompt in place of the only message": {chat, `{"model":"m","messages":[{"role":"system"}]}`, payload.Edits{SystemPrompt: replace}, `{"model":"m","messages":[{"role":"system","content":"S"}]}`},
		"a system prompt for an empty chat":            {chat, `{"model":"m","messages":[ ]}`, payload.Edits{SystemPrompt: prepend}, `{"model":"m","messages":[{"role":"system","content":"S"} ]}`},
		"a system prompt without messages":             {chat, `{"model":"m"}`, payload.Edits{SystemPrompt: replace}, `{"model":"m"}`},
		"a system prompt before a string": {chat, `{"model":"m","messages":[{"role":"user","content":"q"},{"role":"developer","content":"be brief"},{"role":"system","content":"b"}]}`, payload.Edits{SystemPrompt: prepend},
			`{"model":"m","messages":[{"role":"user","content":"q"},{"role":"developer","content":"S\u000a\u000abe brief"},{"role":"system","content":"b"}]}`},
		"a system prompt before an empty string":      {chat, `{"model":"m","messages":[{"role":"system","content":""}]}`, payload.Edits{SystemPrompt: prepend}, `{"model":"m","messages":[{"role":"system","content":"S"}]}`},
		"a system prompt before null":                 {chat, `{"model":"m","messages":[{"role":"system","content":null}]}`, payload.Edits{SystemPrompt: prepend}, `{"model":"m","messages":[{"role":"system","content":"S"}]}`},
		"a system prompt before no content":           {chat, `{"model":"m","messages":[{ "role":"system"}]}`, payload.Edits{SystemPrompt: prepend}, `{"model":"m","messages":[{"content":"S", "role":"system"}]}`},
		"a system prompt before parts":                {chat, `{"model":"m","messages":[{"role":"system","content":[ {"type":"text","text":"a"}]}]}`, payload.Edits{SystemPrompt: prepend}, `{"model":"m","messages":[{"role":"system","content":[{"type":"text","text":"S"}, {"type":"text","text":"a"}]}]}`},
		"a system prompt before no parts":             {chat, `{"model":"m","messages":[{"role":"system","content":[]}]}`, payload.Edits{SystemPrompt: prepend}, `{"model":"m","messages":[{"role":"system","content":[{"type":"text","text":"S"}]}]}`},
		"a system prompt before what the user says":   {chat, `{"model":"m","messages":[{"role":"user","content":"q"}]}`, payload.Edits{SystemPrompt: prepend}, `{"model":"m","messages":[{"role":"system","content":"S"},{"role":"user","content":"q"}]}`},
		"a system prompt that stands there already":   {chat, `{"model":"m","messages":[{"role":"system","content":"\u0053\n\nb"}]}`, payload.Edits{SystemPrompt: prepend}, `{"model":"m","messages":[{"role":"system","content":"\u0053\n\nb"}]}`},
		"a system prompt that stands there in a part": {chat, `{"model":"m","messages":[{"role":"system","content":[{"text":"S","type":"text"},"b"]}]}`, payload.Edits{SystemPrompt: prepend}, `{"model":"m","messages":[{"role":"system","content":[{"text":"S","type":"text"},"b"]}]}`},
		"a system prompt that another only begins as": {chat, `{"model":"m","messages":[{"role":"system","content":"Sb"}]}`, payload.Edits{SystemPrompt: prepend}, `{"model":"m","messages":[{"role":"system","content":"S\u000a\u000aSb"}]}`},
		"a system prompt that needs escapes":          {messages, `{"model":"m"}`, payload.Edits{SystemPrompt: payload.SystemPrompt{Text: "\"\\\n\x00\x7f é 日😀\u2028</"}}, `{"model":"m","system":"\"\\\u000a\u0000` + "\x7f é 日😀\u2028</" + `"}`},
		"a system prompt for a completion":            {completions, `{"model":"m","prompt":"q"}`, payload.Edits{SystemPrompt: replace}, `{"model":"m","prompt":"q"}`},
		"instructions for Responses":                  {responses, `{"model":"m","input":"q"}`, payload.Edits{SystemPrompt: prepend}, `{"model":"m","instructions":"S","input":"q"}`},
		"instructions before the client's":            {responses, `{"model":"m","instructions":"a","input":[{"role":"system","content":"b"}]}`, payload.Edits{SystemPrompt: prepend}, `{"model":"m","instructions":"S\u000a\u000aa","input":[{"role":"system","content":"b"}]}`},
		"instructions in place of the client's":       {responses, `{"model":"m","instructions":"a","input":[{"role":"system","content":"b"},{"type":"message","role":"developer","content":[]},{"type":"reasoning","role":"system"}]}`, payload.Edits{SystemPrompt: replace}, `{"model":"m","instructions":"S","input":[{"type":"reasoning","role":"system"}]}`},
		"instructions blocked and given":              {responses, `{"instructions":"a","model":"m"}`, payload.Edits{Block: []string{"instructions"}, SystemPrompt: prepend}, `{"model":"m","instructions":"S"}`},
		"Anthropic's system, a string":                {messages, `{"system":"a","model":"m"}`, payload.Edits{SystemPrompt: prepend}, `{"system":"S\u000a\u000aa","model":"m"}`},
		"Anthropic's system, blocks":                  {messages, `{"system":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}],"model":"m"}`, payload.Edits{SystemPrompt: prepend}, `{"system":[{"type":"text","text":"S"},{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}],"model":"m"}`},
		"Anthropic's system, replaced":                {messages, `{"system":[{"type":"text","text":"a"}],"model":"m","messages":[{"role":"system","content":"x"},{"role":"user","content":"q"}]}`, payload.Edits{SystemPrompt: replace}, `{"system":"S","model":"m","messages":[{"role":"user","content":"q"}]}`},
		"a body that is not looked at":                {payload.Other, `what`, payload.Edits{Model: "m", MaxTokens: 1}, `what`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := apply(t, tc.api, tc.body, tc.e)
			if got != tc.want {
				t.Errorf("\ngot  %s\nwant %s", got, tc.want)
			}
			if again := apply(t, tc.api, got, tc.e); again != got {
				t.Errorf("the second time\ngot  %s\nwant %s", again, got)
			}
		})
	}
}

func apply(t *testing.T, api payload.API, body string, e payload.Edits) string {
	t.Helper()
	r, err := payload.Parse(api, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	parts, err := r.Apply(e)
	if err != nil {
		t.Fatal(err)
	}
	edited := string(bytes.Join(parts, nil))
	for _, part := range parts {
		_ = append(part, "overwritten"...)
	}
	if again := string(bytes.Join(parts, nil)); again != edited {
		t.Errorf("appending to a part changed another: %s, then %s", edited, again)
	}
	return edited
}

func TestApplyRefuses(t *testing.T) {
	limits := payload.Edits{MaxTokens: 5, MaxN: 1}
	thinking := payload.Edits{Reasoning: template("thinking", "true")}
	prepend := payload.Edits{SystemPrompt: payload.SystemPrompt{Text: "S", Prepend: true}}
	const chat, responses, messages = payload.ChatCompletions, payload.Responses, payload.Messages
	tests := map[string]struct {
		api            payload.API
		body           string
		e              payload.Edits
		param, message string
	}{
		"tokens as a string":               {chat, `{"model":"m","max_tokens":"9"}`, limits, "max_tokens", "must be a whole number or null"},
		"tokens as a boolean":              {messages, `{"model":"m","max_tokens":true}`, limits, "max_tokens", "must be a whole number or null"},
		"half a token":                     {responses, `{"model":"m","max_output_tokens":0.5}`, limits, "max_output_tokens", "must be a whole number or null"},
		"n as an array":                    {chat, `{"model":"m","n":[1]}`, limits, "n", "must be a whole number or null"},
		"a limited field that comes twice": {chat, `{"model":"m","n":1,"\u006e":2}`, limits, "n", "must not appear twice"},
		"a limited field in capitals":      {chat, `{"model":"m","Max_Tokens":1}`, limits, "max_tokens", "exactly so"},
		"a field with the Kelvin sign":     {chat, `{"model":"m","max_to` + "\u212a" + `ens":1}`, limits, "max_tokens", "exactly so"},
		"a field that a NUL ends":          {chat, `{"model":"m","n\u0000x":1}`, limits, "n", "exactly so"},
		"a blocked field that comes twice": {chat, `{"model":"m","a":1,"a":2}`, payload.Edits{Block: []string{"a"}}, "a", "must not appear twice"},
		"template arguments in an array":   {chat, `{"model":"m","chat_template_kwargs":[]}`, thinking, "chat_template_kwargs", "must be an object or null"},
		"template arguments that come twice": {chat, `{"model":"m","chat_template_kwargs":{},"chat_template_kwargs":{}}`, thinking,
			"chat_template_kwargs", "must not appear twice"},
		"a template argument that comes twice": {chat, `{"model":"m","chat_template_kwargs":{"thinking":1,"thinking":2}}`, thinking,
			"chat_template_kwargs.thinking", "must not appear twice"},
		"a template argument in capitals": {chat, `{"model":"m","chat_template_kwargs":{"Thinking":1}}`, thinking,
			"chat_template_kwargs.thinking", "exactly so"},
		"instructions that are a number": {responses, `{"model":"m","instructions":1}`, prepend, "instructions", "must be a string, an array or null"},
		"system that is an object":       {messages, `{"model":"m","system":{}}`, prepend, "system", "must be a string, an array or null"},
		"system with two texts": {messages, `{"model":"m","system":[{"type":"text","text":"a","text":"b"}]}`, prepend,
			"system[0].text", "must not appear twice"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			r, err := payload.Parse(tc.api, []byte(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			_, err = r.Apply(tc.e)
			var refusal *payload.Error
			if !errors.As(err, &refusal) || refusal.Status != 400 || refusal.Param != tc.param || !strings.Contains(refusal.Message, tc.message) {
				t.Errorf("got error %v, want 400 of %s with %q", err, tc.param, tc.message)
			}
			if _, err := r.Apply(payload.Edits{Model: "n"}); err != nil {
				t.Errorf("refused for what no edit is about: %v", err)
			}
		})
	}
}

func TestApplyDoesNotCopyTheBody(t *testing.T) {
	body := []byte(`{"model":"auto","messages":[{"role":"system","content":"` + strings.Repeat("x", 1<<20) + `"}]}`)
	r, err := payload.Parse(payload.ChatCompletions, body)
	if err != nil {
		t.Fatal(err)
	}
	e := payload.Edits{Model: "m", MaxTokens: 9, Reasoning: template("thinking", "true"), SystemPrompt: payload.SystemPrompt{Text: "S", Prepend: true}}
	parts, err := r.Apply(e)
	if err != nil {
		t.Fatal(err)
	}
	copied := 0
	for _, part := range parts {
		if i := bytes.Index(body, part); i < 0 || &body[i] != &part[0] {
			copied += len(part)
		}
	}
	if copied > 1<<10 {
		t.Errorf("%d bytes are not of the body, which has %d", copied, len(body))
	}
}

// A picker that only sets the model must not pay for what else it could do.
func TestApplyOfAModelCostsWhatWithModelCosts(t *testing.T) {
	body := chatBody(8<<10, "a")
	r, err := payload.Parse(payload.ChatCompletions, body)
	if err != nil {
		t.Fatal(err)
	}
	with := testing.AllocsPerRun(100, func() { r.WithModel("m") })
	apply := testing.AllocsPerRun(100, func() { _, _ = r.Apply(payload.Edits{Model: "m"}) })
	if apply != with {
		t.Errorf("%v allocations, WithModel has %v", apply, with)
	}
}

func TestManySystemMessagesTakeLinearTime(t *testing.T) {
	body := `{"model":"m","messages":[` + strings.Repeat(`{"role":"system"},{},`, 100_000) + `{}]}`
	for _, prepend := range []bool{false, true} {
		t.Run("prepend "+strconv.FormatBool(prepend), func(t *testing.T) {
			within(t, func() error {
				r, err := payload.Parse(payload.ChatCompletions, []byte(body))
				if err != nil {
					return err
				}
				parts, err := r.Apply(payload.Edits{SystemPrompt: payload.SystemPrompt{Text: "S", Prepend: prepend}})
				if len(parts) > 64 {
					t.Errorf("%d parts", len(parts))
				}
				return err
			})
		})
	}
}

func BenchmarkApply(b *testing.B) {
	prompt := payload.SystemPrompt{Text: "You solve problems step by step."}
	for _, bm := range []struct {
		name string
		e    payload.Edits
	}{
		{"model", payload.Edits{Model: "phi4-mini"}},
		{"model and reasoning", payload.Edits{Model: "phi4-mini", Reasoning: template("enable_thinking", "true")}},
		{"model, reasoning and prompt", payload.Edits{Model: "phi4-mini", Reasoning: template("enable_thinking", "true"), SystemPrompt: prompt}},
		{"all", payload.Edits{Model: "phi4-mini", Reasoning: template("enable_thinking", "true"), SystemPrompt: prompt, MaxTokens: 100, MaxN: 1,
			Block: []string{"logprobs", "top_logprobs"}, Defaults: []payload.Field{field("top_p", "0.9")}}},
	} {
		for _, size := range []int{1, 220} {
			b.Run(bm.name+"/"+strconv.Itoa(size)+"KB", func(b *testing.B) {
				r, err := payload.Parse(payload.ChatCompletions, chatBody(size<<10, "The picker reads the body once. "))
				if err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				for b.Loop() {
					if _, err := r.Apply(bm.e); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkWithModel(b *testing.B) {
	r, err := payload.Parse(payload.ChatCompletions, chatBody(1<<10, "a"))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		r.WithModel("phi4-mini")
	}
}
