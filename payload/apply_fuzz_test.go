package payload_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"semantic-epp/payload"
)

// FuzzApply states what an edited body means: what the edits make of the
// decoded request, done there. Fields that no edit is about keep their bytes
// and their order, and editing again changes nothing.
func FuzzApply(f *testing.F) {
	for _, body := range []string{
		`{"a":1,"model":"auto","max_tokens":900,"n":3,"messages":[{"role":"system","content":"s"},{"role":"user","content":"q"}],"b":[1.0,{"a":2}]}`,
		`{"chat_template_kwargs":{"thinking":false,"x":[]},"model":"m","messages":[{"role":"user"},{"content":[],"role":"developer"},{"role":"system","content":["S"]}],"max_completion_tokens":-1,"a":null}`,
		`{"model":"m","reasoning_effort":null,"reasoning":{"effort":"low"},"instructions":"S\n\nx","max_output_tokens":1e3,"input":[{"role":"system","content":"i"},{"type":"reasoning"}],"n":null}`,
		`{"system":[{"type":"text","text":"\u0053"}],"model":"m","messages":[{"role":"system"}],"output_config":{},"max_tokens":null,"b":1,"a":2}`,
		` {"a" : 1 , "b" : {} , "mod\u0065l" : "m" , "prompt" : "q" , "chat_template_kwargs" : null , "n" : 1e999 } `,
	} {
		for flags := range uint8(32) {
			f.Add(flags%5, []byte(body), flags, "S", 500, 1, "a", "thinking", `true`)
		}
		f.Add(uint8(0), []byte(body), uint8(15), "\"\\\n\x7f日", -1, 0, "b", "reasoning_effort", `"minimal"`)
	}
	f.Fuzz(func(t *testing.T, kind uint8, body []byte, flags uint8, prompt string, maxTokens, maxN int, name, parameter, value string) {
		api := payload.ChatCompletions + payload.API(kind)%5
		r, err := payload.Parse(api, body)
		if err != nil || !utf8.ValidString(prompt+name+parameter+value) || !json.Valid([]byte(value)) || maxTokens > 1<<53 || maxN > 1<<53 || slices.Contains(reserved, parameter) || slices.Contains(reserved, name) {
			return
		}
		e := payload.Edits{MaxTokens: maxTokens, MaxN: maxN, Model: "served", SystemPrompt: payload.SystemPrompt{Text: prompt, Prepend: flags&1 != 0},
			Reasoning: payload.Reasoning{Field: field(parameter, value), InTemplate: flags&2 != 0, Keep: flags&4 != 0}}
		if flags&8 != 0 {
			e.Block = []string{name, "b", "model"}
		}
		if flags&16 != 0 {
			e.Defaults = []payload.Field{field(name, value), field("c", `{"x":1}`), field("max_tokens", "7")}
		}
		parts, err := r.Apply(e)
		if err != nil {
			var refusal *payload.Error
			if !errors.As(err, &refusal) || refusal.Status != 400 || refusal.Param == "" {
				t.Errorf("error %#v", err)
			}
			return
		}
		edited := bytes.Join(parts, nil)
		var want, got map[string]any
		if err := decode(body, &want); err != nil {
			t.Fatal(err)
		}
		if err := decode(edited, &got); err != nil || !json.Valid(edited) {
			t.Fatalf("%s became %s: %v", body, edited, err)
		}
		edit(api, want, e)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s\nbecame %s\nwith %+v (-want +got)\n%s", body, edited, e, diff)
		}
		if before, after := untouched(t, body, e), untouched(t, edited, e); before != after {
			t.Errorf("bytes that are not meant changed from\n%s\nto\n%s", before, after)
		}
		second, err := payload.Parse(api, edited)
		if err != nil {
			t.Fatalf("the edited body %s is refused: %v", edited, err)
		}
		again, err := second.Apply(e)
		if twice := bytes.Join(again, nil); err != nil || !bytes.Equal(twice, edited) {
			t.Errorf("%s\nbecame %s\nand then %s (%v)", body, edited, twice, err)
		}
	})
}

// reserved are names that an operator's fields cannot have here, since other
// edits are about them.
var reserved = []string{"instructions", "system", "n", "max_tokens", "max_completion_tokens", "max_output_tokens", "c",
	"chat_template_kwargs", "reasoning", "output_config", "stream", "cache_salt", "tools", "functions"}

// untouched returns the members at the top of a body that no edit is about, as
// they stand there.
func untouched(t *testing.T, body []byte, e payload.Edits) string {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(body))
	if _, err := d.Token(); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for d.More() {
		name, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			t.Fatal(err)
		}
		meant := slices.Contains(reserved, name.(string)) || slices.Contains(e.Block, name.(string)) || name == "model" || name == "messages" ||
			name == "input" || name == e.Reasoning.Field.Name || name == "reasoning_effort"
		for _, f := range e.Defaults {
			meant = meant || name == f.Name
		}
		if !meant {
			b.WriteString(name.(string) + ":" + string(value) + "\n")
		}
	}
	return b.String()
}

// edit does what Edits documents, on a decoded request.
func edit(api payload.API, request map[string]any, e payload.Edits) {
	essential := []string{"model", "messages", "input", "prompt"}
	for _, name := range e.Block {
		if !slices.Contains(essential, name) && !(name == "max_tokens" && api == payload.Messages) {
			delete(request, name)
		}
	}
	for _, f := range e.Defaults {
		if request[f.Name] == nil && !slices.Contains(essential, f.Name) {
			request[f.Name] = decoded(f.Value)
		}
	}
	if e.MaxTokens > 0 {
		fields := map[payload.API][]string{payload.ChatCompletions: {"max_completion_tokens", "max_tokens"}, payload.Completions: {"max_tokens"},
			payload.Messages: {"max_tokens"}, payload.Responses: {"max_output_tokens"}}[api]
		limited := false
		for _, name := range fields {
			limited = limited || request[name] != nil
			lower(request, name, e.MaxTokens)
		}
		if !limited && len(fields) > 0 {
			request[fields[0]] = json.Number(strconv.Itoa(e.MaxTokens))
		}
	}
	if e.MaxN > 0 && (api == payload.ChatCompletions || api == payload.Completions) {
		lower(request, "n", e.MaxN)
	}
	if api == payload.ChatCompletions || api == payload.Responses || api == payload.Messages {
		reason(api, request, e.Reasoning)
		instruct(api, request, e.SystemPrompt)
	}
	request["model"] = e.Model
}

func decoded(raw []byte) (v any) {
	_ = decode(raw, &v)
	return v
}

func lower(request map[string]any, name string, most int) {
	if n, ok := request[name].(json.Number); ok {
		if f, _ := strconv.ParseFloat(n.String(), 64); math.IsInf(f, 0) || f > float64(most) || f < 0 {
			request[name] = json.Number(strconv.Itoa(most))
		}
	}
}

func reason(api payload.API, request map[string]any, w payload.Reasoning) {
	name, object := w.Field.Name, request
	in := func(container string) {
		inner, _ := request[container].(map[string]any)
		if inner == nil {
			inner = map[string]any{}
			request[container] = inner
		}
		object = inner
	}
	switch {
	case name == "" || slices.Contains([]string{"model", "messages", "input", "prompt"}, name):
		return
	case w.InTemplate:
		in("chat_template_kwargs")
	case name == "reasoning_effort" && api == payload.Responses:
		in("reasoning")
		name = "effort"
	case name == "reasoning_effort" && api == payload.Messages:
		in("output_config")
		name = "effort"
	}
	if !w.Keep || object[name] == nil {
		object[name] = decoded(w.Field.Value)
		if string(w.Field.Value) == `"minimal"` && api == payload.Messages && w.Field.Name == "reasoning_effort" && !w.InTemplate {
			object[name] = "low"
		}
	}
}

func instruct(api payload.API, request map[string]any, p payload.SystemPrompt) {
	if p.Text == "" {
		return
	}
	list := "messages"
	if api == payload.Responses {
		list = "input"
	}
	top := map[payload.API]string{payload.Responses: "instructions", payload.Messages: "system"}[api]
	items, isList := request[list].([]any)
	message := map[string]any{"role": "system", "content": p.Text}
	if !p.Prepend {
		items = slices.DeleteFunc(items, func(item any) bool { return isSystem(api, item) })
		if top == "" {
			items = append([]any{message}, items...)
		} else {
			request[top] = p.Text
		}
	} else if top != "" {
		request[top] = before(p.Text, request[top])
	} else if i := slices.IndexFunc(items, func(item any) bool { return isSystem(api, item) }); i >= 0 {
		system := items[i].(map[string]any)
		system["content"] = before(p.Text, system["content"])
	} else {
		items = append([]any{message}, items...)
	}
	if isList {
		request[list] = items
	}
}

func isSystem(api payload.API, item any) bool {
	m := item.(map[string]any)
	kind, typed := m["type"].(string)
	return (m["role"] == "system" || m["role"] == "developer") && !(api == payload.Responses && typed && kind != "message")
}

func before(text string, content any) any {
	switch content := content.(type) {
	case string:
		if content == text || strings.HasPrefix(content, text+"\n\n") {
			return content
		}
		return strings.TrimSuffix(text+"\n\n"+content, map[bool]string{true: "\n\n"}[content == ""])
	case []any:
		if len(content) > 0 {
			if first, ok := content[0].(map[string]any); content[0] == any(text) || ok && textOf([]any{first}) == text {
				return content
			}
		}
		return append([]any{map[string]any{"type": "text", "text": text}}, content...)
	default:
		return text
	}
}
