package payload_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"semantic-epp/payload"
)

const (
	jsonType = "application/json"
	sseType  = "text/event-stream; charset=utf-8"
)

func TestUsage(t *testing.T) {
	const chatUsage = `{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13,"prompt_tokens_details":{"cached_tokens":8}}`
	chatCounts := payload.Usage{PromptTokens: 9, CompletionTokens: 4, TotalTokens: 13, CachedTokens: 8}
	tests := map[string]struct {
		api                          payload.API
		contentType, contentEncoding string
		body                         string
		want                         payload.Usage // none if zero
	}{
		"a chat": {payload.ChatCompletions, "Application/JSON; charset=utf-8", "identity",
			`{"id":"x","choices":[{"message":{"content":"a \"usage\":{\"prompt_tokens\":1} b\\"},"usage":{"prompt_tokens":2}}], "usage" : ` + chatUsage + `,"x":1}`, chatCounts},
		"an embedding": {payload.Embeddings, jsonType, "",
			`{"data":[{"embedding":[0.5,-1e-3]}],"usage":{"prompt_tokens":8,"total_tokens":8}}`, payload.Usage{PromptTokens: 8, TotalTokens: 8}},
		"no total": {payload.Completions, jsonType, "",
			`{"usage":{"prompt_tokens":3,"completion_tokens":4}}`, payload.Usage{PromptTokens: 3, CompletionTokens: 4, TotalTokens: 7}},
		"Responses": {payload.Responses, jsonType, "",
			`{"output":[],"usage":{"input_tokens":9,"input_tokens_details":{"cached_tokens":8,"x":[1]},"output_tokens":4,"output_tokens_details":{"reasoning_tokens":2},"total_tokens":13}}`, chatCounts},
		"Anthropic, whose input leaves out what was cached": {payload.Messages, jsonType, "",
			`{"type":"message","content":[],"usage":{"input_tokens":1,"cache_creation_input_tokens":2,"cache_read_input_tokens":8,"output_tokens":4}}`,
			payload.Usage{PromptTokens: 11, CompletionTokens: 4, TotalTokens: 15, CachedTokens: 8}},
		"the last of two usages": {payload.ChatCompletions, jsonType, "",
			`{"usage":{"prompt_tokens":1},"usage":{"completion_tokens":2}}`, payload.Usage{CompletionTokens: 2, TotalTokens: 2}},

		"numbers of wrong types, one by one": {payload.ChatCompletions, jsonType, "",
			`{"usage":{"prompt_tokens":"9","completion_tokens":4.0,"total_tokens":-13,"prompt_tokens_details":[{"cached_tokens":8}]}}`,
			payload.Usage{CompletionTokens: 4, TotalTokens: 4}},
		"numbers out of range": {payload.ChatCompletions, jsonType, "",
			`{"usage":{"prompt_tokens":1e400,"completion_tokens":9223372036854775808,"total_tokens":7.5,"prompt_tokens_details":{"cached_tokens":2e2}}}`,
			payload.Usage{CachedTokens: 200}},
		"details that are null":                {payload.ChatCompletions, jsonType, "", `{"usage":{"prompt_tokens":9,"prompt_tokens_details":null}}`, payload.Usage{PromptTokens: 9, TotalTokens: 9}},
		"usage of nothing that we know":        {payload.ChatCompletions, jsonType, "", `{"usage":{"a":1}}`, payload.Usage{}},
		"usage that is a string":               {payload.ChatCompletions, jsonType, "", `{"usage":"{\"prompt_tokens\":1}"}`, payload.Usage{}},
		"usage that is an array":               {payload.ChatCompletions, jsonType, "", `{"usage":[{"prompt_tokens":1}]}`, payload.Usage{}},
		"only numbers below zero":              {payload.ChatCompletions, jsonType, "", `{"usage":{"prompt_tokens":-1,"completion_tokens":-2}}`, payload.Usage{}},
		"an object behind a value, no JSON":    {payload.ChatCompletions, jsonType, "", `{"a":"usage"{"prompt_tokens":1}}`, payload.Usage{}},
		"an event of several lines with CRLF":  {payload.ChatCompletions, sseType, "", "data: {\"a\":1,\r\ndata: \"usage\":" + chatUsage + "}\r\n\r\n", chatCounts},
		"usage as a value":                     {payload.ChatCompletions, jsonType, "", `{"a":"usage","b":{"prompt_tokens":1}}`, payload.Usage{}},
		"usage in an array":                    {payload.ChatCompletions, jsonType, "", `[{"usage":{"prompt_tokens":1}}]`, payload.Usage{}},
		"usage deeper inside":                  {payload.Messages, jsonType, "", `{"message":{"usage":{"input_tokens":1}}}`, payload.Usage{}},
		"a longer name":                        {payload.ChatCompletions, jsonType, "", `{"usage_of_much":{"prompt_tokens":1},"us\"age":{"prompt_tokens":1}}`, payload.Usage{}},
		"usage that breaks off":                {payload.ChatCompletions, jsonType, "", `{"usage":{"prompt_tokens":1`, payload.Usage{}},
		"usage that is not JSON":               {payload.ChatCompletions, jsonType, "", `{"usage":{"prompt_tokens":1,}}`, payload.Usage{}},
		"usage without end":                    {payload.ChatCompletions, jsonType, "", `{"usage":{"prompt_tokens":1,"a":"` + strings.Repeat("a", 100_000) + `"}}`, payload.Usage{}},
		"usage behind one without end":         {payload.ChatCompletions, jsonType, "", `{"usage":{"a":"` + strings.Repeat("a", 100_000) + `"},"usage":{"prompt_tokens":1}}`, payload.Usage{PromptTokens: 1, TotalTokens: 1}},
		"no JSON":                              {payload.ChatCompletions, jsonType, "", "}]}\\\"\x00usage\":{", payload.Usage{}},
		"a compressed reply":                   {payload.ChatCompletions, jsonType, "gzip", `{"usage":{"prompt_tokens":1}}`, payload.Usage{}},
		"text":                                 {payload.ChatCompletions, "text/plain", "", `{"usage":{"prompt_tokens":1}}`, payload.Usage{}},
		"a reply of no type":                   {payload.ChatCompletions, "", "", `{"usage":{"prompt_tokens":1}}`, payload.Usage{}},
		"an event stream that is called JSON":  {payload.ChatCompletions, sseType, "", `{"usage":{"prompt_tokens":1}}`, payload.Usage{}},
		"JSON that is called an event stream":  {payload.ChatCompletions, jsonType, "", "data: {\"a\":1}\n\ndata: {\"usage\":null}\n\n", payload.Usage{}},
		"a compressed event stream":            {payload.ChatCompletions, sseType, "br", "data: {\"usage\":" + chatUsage + "}\n\n", payload.Usage{}},
		"events, the last of which has usage":  {payload.ChatCompletions, sseType, "", ": ping\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"usage\\\":{\"}}],\"usage\":null}\n\ndata: {\"choices\":[],\"usage\":" + chatUsage + "}\n\ndata: [DONE]\n\n", chatCounts},
		"events with usage all the time":       {payload.ChatCompletions, sseType, "", "data: {\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":1}}\n\ndata: {\"usage\":" + chatUsage + "}\n\ndata:{\"usage\":{}}\n\n", chatCounts},
		"events with CRLF":                     {payload.ChatCompletions, sseType, "", "event: x\r\ndata: {\"a\":1}\r\n\r\ndata: {\"usage\":" + chatUsage + "}\r\n\r\n", chatCounts},
		"events with CR":                       {payload.ChatCompletions, sseType, "", "data: {\"a\":1}\r\rdata: {\"usage\":" + chatUsage + "}\r\r", chatCounts},
		"an event over several lines":          {payload.ChatCompletions, sseType, "", "data: {\"a\":1,\ndata: \"usage\":\nid: 7\ndata: " + chatUsage + "\ndata: }\n\n", chatCounts},
		"events without empty lines":           {payload.ChatCompletions, sseType, "", "data: {\"a\":1}\ndata: {\"usage\":" + chatUsage + "}\ndata: [DONE]\n", chatCounts},
		"a stream that breaks off behind it":   {payload.ChatCompletions, sseType, "", "data: {\"usage\":" + chatUsage, chatCounts},
		"an event behind one that broke off":   {payload.ChatCompletions, sseType, "", "data: {\"a\":[\"b\n\ndata: {\"usage\":" + chatUsage + "}\n\n", chatCounts},
		"fields that are not data":             {payload.ChatCompletions, sseType, "", "dat: {\"usage\":" + chatUsage + "}\n\ndata {\"usage\":" + chatUsage + "}\n\n:data: {\"usage\":" + chatUsage + "}\n\n", payload.Usage{}},
		"response.completed, however long":     {payload.Responses, sseType, "", "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"usage\":null}}\n\nevent: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"output\":[\"" + strings.Repeat("long ", 50_000) + "\",{\"usage\":{\"input_tokens\":1}}],\"usage\":{\"input_tokens\":9,\"input_tokens_details\":{\"cached_tokens\":8},\"output_tokens\":4,\"total_tokens\":13},\"x\":{}},\"sequence_number\":7}\n\n", chatCounts},
		"a response of another API":            {payload.ChatCompletions, sseType, "", "data: {\"response\":{\"usage\":" + chatUsage + "}}\n\n", payload.Usage{}},
		"message_start and then message_delta": {payload.Messages, sseType, "", "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"content\":[],\"usage\":{\"input_tokens\":25,\"cache_read_input_tokens\":100,\"output_tokens\":1}}}\n\nevent: ping\ndata: {\"type\":\"ping\"}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":15}}\n\n", payload.Usage{PromptTokens: 125, CompletionTokens: 15, TotalTokens: 140, CachedTokens: 100}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			for _, size := range []int{len(tc.body), 1, 7} {
				got, ok := readUsage(tc.api, tc.contentType, tc.contentEncoding, []byte(tc.body), size)
				if diff := cmp.Diff(tc.want, got); diff != "" || ok != (tc.want != payload.Usage{}) {
					t.Errorf("in parts of %d bytes: known %v (-want +got)\n%s", size, ok, diff)
				}
			}
		})
	}
}

// readUsage reads a reply in parts of the given size.
func readUsage(api payload.API, contentType, contentEncoding string, body []byte, size int) (payload.Usage, bool) {
	u := payload.NewUsageReader(api, contentType, contentEncoding)
	for ; len(body) > size; body = body[size:] {
		u.Write(body[:size])
	}
	u.Write(body)
	return u.Usage()
}

const sseChunk = `data: {"id":"chatcmpl-0123456789abcdef0123456789abcdef","object":"chat.completion.chunk","created":1767225600,"model":"llama3-8b","system_fingerprint":"fp_0123456789","choices":[{"index":0,"delta":{"content":" kernel"},"logprobs":null,"finish_reason":null,"stop_reason":null,"token_ids":null}]}` + "\n\n"

func TestEventsWithoutUsageDoNotAllocate(t *testing.T) {
	u := payload.NewUsageReader(payload.ChatCompletions, sseType, "")
	part := []byte(sseChunk)
	if n := testing.AllocsPerRun(100, func() {
		u.Write(part)
		u.Write(part[:100])
		u.Write(part[100:])
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// The deadline is far above what linear work takes, and far below quadratic.
func TestHostileRepliesTakeLinearTime(t *testing.T) {
	for name, line := range map[string]string{
		"short lines ended by CR": "a\r", "short lines ended by LF": "a\n", "short data ended by CR": "data:1\r", "short events": "data:{\"usage\":{}}\n\n",
		"brackets": "data:[{[{\n", "quotes": "data:\"\\\"\n",
	} {
		t.Run(name, func(t *testing.T) {
			within(t, func() error {
				readUsage(payload.ChatCompletions, sseType, "", []byte(strings.Repeat(line, 1_000_000)), 16<<20)
				return nil
			})
		})
	}
}

func BenchmarkUsage(b *testing.B) {
	withUsage := strings.Replace(sseChunk, `]}`+"\n\n", `],"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13}}`+"\n\n", 1)
	reply := `{"id":"chatcmpl-1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"` +
		strings.Repeat("Four, since two and two make it. ", 24) + `"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13}}`
	for _, bm := range []struct{ name, contentType, body string }{
		{"event", sseType, sseChunk},
		{"event with usage null", sseType, strings.Replace(sseChunk, `]}`+"\n\n", `],"usage":null}`+"\n\n", 1)},
		{"event with usage", sseType, withUsage},
		{"event in two parts", sseType, sseChunk},
		{"1 KB reply", jsonType, reply},
	} {
		b.Run(bm.name, func(b *testing.B) {
			body := []byte(bm.body)
			half := 0
			if strings.Contains(bm.name, "two parts") {
				half = len(body) / 2
			}
			u := payload.NewUsageReader(payload.ChatCompletions, bm.contentType, "")
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				u.Write(body[:half])
				u.Write(body[half:])
			}
		})
	}
}
