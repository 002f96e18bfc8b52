package payload_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"semantic-epp/payload"
)

func TestModelRestorer(t *testing.T) {
	const chat, responses, messages = payload.ChatCompletions, payload.Responses, payload.Messages
	same := func(s string) string { return s }
	restored := func(s string) string { return strings.Replace(s, `"served"`, `"as\"ked"`, 1) }
	tests := map[string]struct {
		api               payload.API
		contentType, body string
		want              func(string) string
	}{
		"a chat":                            {chat, jsonType, `{"id":"x", "model" : "served","choices":[{"model":"served","message":{"content":"\"model\":\"served\""}}]}`, restored},
		"a name in escapes":                 {chat, jsonType, `{"model":"s\u0065rved"}`, func(string) string { return `{"model":"as\"ked"}` }},
		"another name":                      {chat, jsonType, `{"model":"served-2"}`, same},
		"the beginning of the name":         {chat, jsonType, `{"model":"serve`, same},
		"a name that is longer than any":    {chat, jsonType, `{"model":"` + strings.Repeat("served", 100) + `"}`, same},
		"a model that is no string":         {chat, jsonType, `{"model":["served"],"a":{"model":"served"},"model":null}`, same},
		"a broken escape":                   {chat, jsonType, `{"model":"serve\u00"}`, same},
		"a member behind":                   {chat, jsonType, `{"usage":{"model":"served"},"model":"served"}`, func(string) string { return `{"usage":{"model":"served"},"model":"as\"ked"}` }},
		"a list":                            {chat, jsonType, `["model","served",{"model":"served"}]`, same},
		"text":                              {chat, "text/plain", `{"model":"served"}`, same},
		"a stream":                          {chat, sseType, "data: {\"model\":\"served\",\"choices\":[]}\r\n\r\ndata: [DONE]\n\n", restored},
		"every event of a stream":           {chat, sseType, strings.Repeat("data: {\"model\":\"served\"}\n\n", 3), func(s string) string { return strings.ReplaceAll(s, `"served"`, `"as\"ked"`) }},
		"a comment and other fields":        {chat, sseType, ": {\"model\":\"served\"}\nevent: {\"model\":\"served\"}\n\n", same},
		"an event whose data has two lines": {chat, sseType, "data: {\"model\":\ndata:\"served\"}\r\r", restored},
		"a value that a line's end breaks":  {chat, sseType, "data: {\"model\":\"ser\ndata: ved\"}\n\n", same},
		"a response":                        {responses, jsonType, `{"object":"response","model":"served","response":{"model":"served"}}`, restored},
		"an event of Responses": {responses, sseType, "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"output\":[{\"model\":\"served\"}],\"id\":\"r\",\"model\":\"served\"}}\n\n", func(s string) string {
			return strings.Replace(s, `"id":"r","model":"served"`, `"id":"r","model":"as\"ked"`, 1)
		}},
		"an event of Anthropic":    {messages, sseType, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"served\"}}\n\nevent: ping\ndata: {\"type\": \"ping\"}\n\n", restored},
		"an event that breaks off": {chat, sseType, "data: {\"a\":\"\n\ndata: {\"model\":\"served\"}\n\n", restored},
		"nothing":                  {chat, jsonType, "", same},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			want := tc.want(tc.body)
			for size := 1; size <= len(tc.body)+1; size++ {
				if got := restore(tc.api, tc.contentType, []byte(tc.body), size); got != want {
					t.Fatalf("in parts of %d bytes\ngot  %q\nwant %q", size, got, want)
				}
			}
			m := payload.NewModelRestorer(tc.api, tc.contentType, "gzip", "served", "asked")
			if got := string(m.Rewrite([]byte(tc.body))) + string(m.End()); got != tc.body {
				t.Errorf("a compressed reply became %q", got)
			}
		})
	}
}

// restore rewrites a reply in parts of the given size.
func restore(api payload.API, contentType string, body []byte, size int) string {
	m := payload.NewModelRestorer(api, contentType, "", "served", `as"ked`)
	var out strings.Builder
	for ; len(body) > size; body = body[size:] {
		out.Write(m.Rewrite(bytes.Clone(body[:size])))
	}
	out.Write(m.Rewrite(body))
	out.Write(m.End())
	return out.String()
}

func TestPartsWithoutTheModelPassAsTheyAre(t *testing.T) {
	m := payload.NewModelRestorer(payload.Messages, sseType, "", "served", "asked")
	part := []byte("event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"model\"}}\n\n")
	if n := testing.AllocsPerRun(100, func() {
		if out := m.Rewrite(part); &out[0] != &part[0] || len(out) != len(part) {
			t.Fatal("the part was copied")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzModelRestorer states that it makes no difference how a reply is cut, that
// nothing is lost or invented, and that a JSON reply means the same but for the
// model.
func FuzzModelRestorer(f *testing.F) {
	for _, body := range []string{
		`{"a":"\"model\":\"served\"","model":"served","b":{"model":"served"}}`,
		`{"model":"s\u0065rved","model" : "serve\`,
		"data: {\"model\":\"served\"}\n\ndata: {\"model\":\ndata:\"served\"}\r\n\r\n: x\ndata: [DONE]\r\r",
		"event: message_start\ndata: {\"message\":{\"model\":\"served\"},\"response\":{\"x\":[{}],\"model\":\"served\"}}\n\ndata:{\"model\":\"ser\ndata:ved\"}\n",
	} {
		for api := payload.ChatCompletions; api <= payload.Embeddings; api++ {
			f.Add(uint8(api), []byte(body), []byte{1, 5, 30})
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, body, sizes []byte) {
		api := payload.ChatCompletions + payload.API(kind)%5
		for _, contentType := range []string{jsonType, sseType} {
			before := bytes.Clone(body)
			whole := restore(api, contentType, body, len(body)+1)
			if !bytes.Equal(before, body) {
				t.Error("the part itself was changed")
			}
			if single := restore(api, contentType, body, 1); single != whole {
				t.Errorf("%s: byte by byte %q, whole %q", contentType, single, whole)
			}
			m := payload.NewModelRestorer(api, contentType, "", "served", `as"ked`)
			var cut []byte
			rest := body
			for _, size := range sizes {
				n := min(int(size), len(rest))
				cut = append(cut, m.Rewrite(rest[:n])...)
				rest = rest[n:]
			}
			cut = append(append(cut, m.Rewrite(rest)...), m.End()...)
			if string(cut) != whole {
				t.Errorf("%s: in parts %q, whole %q", contentType, cut, whole)
			}
			// The name has no other way in than this one.
			if back := strings.ReplaceAll(whole, `"as\"ked"`, `"served"`); !strings.Contains(string(body), `\`) && back != string(body) {
				t.Errorf("%s: %q became %q", contentType, body, whole)
			}
		}
		var want, got map[string]any
		if decode(body, &want) != nil || !json.Valid(body) || !plainNames(body) {
			return
		}
		edited := restore(api, jsonType, body, len(body)+1)
		if err := decode([]byte(edited), &got); err != nil {
			t.Fatalf("%q became %q: %v", body, edited, err)
		}
		want = maps.Clone(want)
		if want["model"] == "served" {
			want["model"] = `as"ked`
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q became %q (-want +got)\n%s", body, edited, diff)
		}
	})
}

// plainNames reports whether no string of the reply has escapes, and so no
// name of a member.
func plainNames(body []byte) bool { return !bytes.Contains(body, []byte(`\`)) }

func BenchmarkModelRestorer(b *testing.B) {
	reply := `{"id":"chatcmpl-1","object":"chat.completion","model":"llama3-8b","choices":[{"index":0,"message":{"role":"assistant","content":"` +
		strings.Repeat("Four, since two and two make it. ", 24) + `"},"finish_reason":"stop"}]}`
	for _, bm := range []struct{ name, contentType, body, served string }{
		{"event", sseType, sseChunk, "llama3-8b"},
		{"event with another model", sseType, sseChunk, "phi4-mini"},
		{"1 KB reply", jsonType, reply, "llama3-8b"},
	} {
		b.Run(bm.name, func(b *testing.B) {
			body := []byte(bm.body)
			m := payload.NewModelRestorer(payload.ChatCompletions, bm.contentType, "", bm.served, "auto")
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				m.Rewrite(body)
			}
		})
	}
}
