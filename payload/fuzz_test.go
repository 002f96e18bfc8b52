package payload_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"semantic-epp/payload"
)

// FuzzParse states what an accepted request means: encoding/json accepts it
// too, and finds the same model, flags and prompt in it, whether it minds
// letter case (as Python does) or not. Another model put in place changes
// nothing else, neither in meaning nor in bytes.
func FuzzParse(f *testing.F) {
	for _, body := range []string{
		`{"model":"auto","stream":true,"cache_salt":"s","messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"a\ud83d\ude00"},"b"]}]}`,
		`{"m\u006fdel":"a\"\\\ud800b","messages":[{"role":"user","content":"a\ud800"},{"content":[{"text":"x","type":"image"}]}]}`,
		`{"model":"m","prompt":["a","b",1,[2]],"input":[{"type":"message","role":"user","content":"q"}],"Model":"n","ſtream":0}`,
		`{"model":"m","input":"q","seed":9007199254740993,"a":[1e400,-0.0,{"b":[[]]},true,null]}`,
	} {
		for api := payload.ChatCompletions; api <= payload.Embeddings; api++ {
			f.Add(uint8(api), []byte(body), "phi4-mini", 16)
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, body []byte, model string, limit int) {
		api := payload.ChatCompletions + payload.API(kind)%5
		before := bytes.Clone(body)
		r, err := payload.Parse(api, body)
		if err != nil {
			return
		}
		var want map[string]any
		if err := decode(body, &want); err != nil {
			t.Fatalf("accepted what encoding/json does not: %v", err)
		}
		if got := (facts{r.Model, r.Stream, r.CacheSalt, r.Prompt(len(body))}); got != factsOf(api, want) {
			t.Errorf("read %+v, want %+v", got, factsOf(api, want))
		}
		var folded struct {
			Model     string `json:"model"`
			Stream    bool   `json:"stream"`
			CacheSalt string `json:"cache_salt"`
		}
		if err := json.Unmarshal(body, &folded); err != nil || folded.Model != r.Model || folded.Stream != r.Stream || folded.CacheSalt != r.CacheSalt {
			t.Errorf("a reader that ignores case gets %+v (%v), not %q %v %q", folded, err, r.Model, r.Stream, r.CacheSalt)
		}

		limit %= 64
		if got, want := r.Prompt(limit), cut(r.Prompt(len(body)), limit); got != want {
			t.Errorf("Prompt(%d) is %q, want %q", limit, got, want)
		}

		edited := bytes.Join(r.WithModel(model), nil)
		var got map[string]any
		if err := decode(edited, &got); err != nil {
			t.Fatalf("edited body: %v", err)
		}
		want["model"] = string([]rune(model)) // each invalid byte becomes one U+FFFD
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("another model changed more than the model (-want +got)\n%s", diff)
		}
		if parts := r.WithModel(model + "x"); !bytes.HasPrefix(body, parts[0]) || !bytes.HasSuffix(body, parts[2]) {
			t.Errorf("bytes beside the model changed: %q of %q", parts, body)
		}
		if !bytes.Equal(body, before) {
			t.Error("the body itself was changed")
		}
	})
}

func decode(body []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber() // 1e400 and 9007199254740993 are JSON too
	return d.Decode(v)
}

// Facts are what a request says, as found in the generic form of its JSON.
type facts struct {
	Model     string
	Stream    bool
	CacheSalt string
	Prompt    string
}

func factsOf(api payload.API, request map[string]any) facts {
	var f facts
	f.Model, _ = request["model"].(string)
	f.Stream, _ = request["stream"].(bool)
	f.CacheSalt, _ = request["cache_salt"].(string)
	f.Prompt = promptOf(api, request)
	return f
}

func promptOf(api payload.API, request map[string]any) string {
	conversation := request["messages"]
	switch api {
	case payload.Completions:
		return textOf(request["prompt"])
	case payload.Embeddings:
		if request["input"] != nil {
			return textOf(request["input"])
		}
	case payload.Responses:
		if s, ok := request["input"].(string); ok {
			return s
		}
		conversation = request["input"]
	}
	var users, others string
	messages, _ := conversation.([]any)
	for _, m := range messages {
		message := m.(map[string]any)
		text := textOf(message["content"])
		kind, typed := message["type"].(string)
		switch {
		case text == "" || api == payload.Responses && typed && kind != "message":
		case message["role"] == "user":
			users = text
		default:
			others = text
		}
	}
	if users != "" {
		return users
	}
	return others
}

func textOf(content any) string {
	var texts []string
	add := func(v any) {
		if s, ok := v.(string); ok && s != "" {
			texts = append(texts, s)
		}
	}
	add(content)
	elements, _ := content.([]any)
	for _, e := range elements {
		add(e)
		part, _ := e.(map[string]any)
		switch part["type"] {
		case "text", "input_text", "output_text":
			add(part["text"])
		case "refusal":
			add(part["refusal"])
		case "thinking":
			add(part["thinking"])
		}
	}
	return strings.Join(texts, "\n")
}

// cut is what Prompt documents, done on the whole text.
func cut(text string, limit int) string {
	if limit <= 0 || len(text) <= limit {
		return text[:min(len(text), max(limit, 0))]
	}
	head := (limit - 1) / 2
	tail := len(text) - (limit - 1 - head)
	for head > 0 && !utf8.RuneStart(text[head]) {
		head--
	}
	for tail < len(text) && !utf8.RuneStart(text[tail]) {
		tail++
	}
	return text[:head] + "\n" + text[tail:]
}

// FuzzJSON states that Parse minds nothing but JSON in a place that it does
// not look at: there it accepts what encoding/json accepts, if it is UTF-8.
func FuzzJSON(f *testing.F) {
	for _, value := range []string{`{"a":[1,2.5e-3,"\u00e9",{}],"b":{"c":null}}`, `"a\ud800"`, `-0`, `[[],[[true,false]]]`, `"日本語"`, `01`, `[1,]`, "\"\x7f\xc3\"", "1,\"a\":\"\t\""} {
		f.Add([]byte(value))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		body := append(append([]byte(`{"model":"m","metadata":[`), value...), `]}`...)
		_, err := payload.Parse(payload.ChatCompletions, body)
		alone := append(append([]byte{'['}, value...), ']')
		if want := json.Valid(alone) && utf8.Valid(value); want != (err == nil) && depth(value) < 500 {
			t.Errorf("error is %v, valid is %v", err, want)
		}
	})
}

// depth bounds how deep a value may nest.
func depth(value []byte) int {
	return bytes.Count(value, []byte("[")) + bytes.Count(value, []byte("{"))
}

// FuzzUsageReader states that it makes no difference how a reply is cut, and
// that counts are never negative.
func FuzzUsageReader(f *testing.F) {
	for _, body := range []string{
		`{"a":"\"usage\":{","usage":{"prompt_tokens":9,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":8}}}`,
		"data: {\"a\":1}\n\ndata: {\"usage\":{\"prompt_tokens\":9}}\r\n\r\ndata: [DONE]\r\r",
		"data: {\"message\":{\"usage\":{\"input_tokens\":1,\"cache_read_input_tokens\":2}}}\n\ndata: {\"usage\":\ndata: {\"output_tokens\":3.0}}\n\n",
		"data: {\"response\":{\"usage\":{\"input_tokens\":1}}}\n\n: x\ndata: {\"usage\":{}}}",
	} {
		for api := payload.ChatCompletions; api <= payload.Embeddings; api++ {
			f.Add(uint8(api), []byte(body), []byte{1, 5, 30})
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, body, sizes []byte) {
		api := payload.ChatCompletions + payload.API(kind)%5
		for _, contentType := range []string{jsonType, sseType} {
			whole, ok := readUsage(api, contentType, "", body, len(body))
			if min(whole.PromptTokens, whole.CompletionTokens, whole.TotalTokens, whole.CachedTokens) < 0 || !ok && whole != (payload.Usage{}) {
				t.Errorf("%s: usage is %+v, %v", contentType, whole, ok)
			}
			single, sok := readUsage(api, contentType, "", body, 1)
			u := payload.NewUsageReader(api, contentType, "")
			rest := body
			for _, size := range sizes {
				n := min(int(size), len(rest))
				u.Write(rest[:n])
				rest = rest[n:]
			}
			u.Write(rest)
			if parts, pok := u.Usage(); parts != whole || pok != ok || single != whole || sok != ok {
				t.Errorf("%s: usage is %+v as a whole, %+v in parts, %+v byte by byte", contentType, whole, parts, single)
			}
		}
	})
}

// escaped returns the text as a JSON string in which everything is an escape.
func escaped(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, unit := range utf16.Encode([]rune(text)) {
		fmt.Fprintf(&b, `\u%04x`, unit)
	}
	b.WriteByte('"')
	return b.String()
}
