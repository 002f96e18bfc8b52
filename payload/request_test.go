package payload_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"semantic-epp/payload"
)

func TestAPIOf(t *testing.T) {
	tests := map[string]struct {
		method, path string
		want         payload.API
	}{
		"chat":                             {"POST", "/v1/chat/completions", payload.ChatCompletions},
		"completions":                      {"POST", "/v1/completions", payload.Completions},
		"responses":                        {"POST", "/v1/responses", payload.Responses},
		"Anthropic messages":               {"POST", "/v1/messages", payload.Messages},
		"embeddings":                       {"POST", "/v1/embeddings", payload.Embeddings},
		"the model list":                   {"GET", "/v1/models", payload.ModelList},
		"a query":                          {"POST", "/v1/messages?beta=true", payload.Messages},
		"a slash at the end and a query":   {"POST", "/v1/chat/completions/?a=/b", payload.ChatCompletions},
		"a path encoded to avoid us":       {"POST", "/v1%2Fchat/%63ompletions", payload.ChatCompletions},
		"a broken escape":                  {"POST", "/v1/message%7", payload.Other},
		"an encoded question mark":         {"POST", "/v1/messages%3F", payload.Other},
		"two slashes at the end":           {"POST", "/v1/messages//", payload.Other},
		"a list of models that is posted":  {"POST", "/v1/models", payload.Other},
		"a chat that is got":               {"GET", "/v1/chat/completions", payload.Other},
		"one model":                        {"GET", "/v1/models/phi4-mini", payload.Other},
		"a request below a known one":      {"POST", "/v1/messages/count_tokens", payload.Other},
		"a path that begins like a known":  {"POST", "/v1/chat/completionsx", payload.Other},
		"another case, which servers mind": {"POST", "/V1/messages", payload.Other},
		"no path":                          {"POST", "", payload.Other},
		"the root":                         {"GET", "/", payload.Other},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := payload.APIOf(tc.method, tc.path); got != tc.want {
				t.Errorf("%s %s is %v, want %v", tc.method, tc.path, got, tc.want)
			}
		})
	}
	if n := testing.AllocsPerRun(100, func() { payload.APIOf("POST", "/v1/chat/completions?x=y") }); n != 0 {
		t.Errorf("APIOf allocates %v times", n)
	}
}

// A reading is what the tests look at of a request.
type reading struct {
	Model, Prompt, Salt string
	Stream              bool
	Conversation        string
	System              string
}

func TestParseReads(t *testing.T) {
	tests := map[string]struct {
		api  payload.API
		body string
		want reading
	}{
		"a chat": {payload.ChatCompletions,
			`{"model":"auto","messages":[{"role":"system","content":"be brief"},{"role":"user","content":"What is 2+2?"}],"stream":true,"cache_salt":"s1"}`,
			reading{Model: "auto", Prompt: "What is 2+2?", Salt: "s1", Stream: true,
				Conversation: `[{"role":"system","content":"be brief"},{"role":"user","content":"What is 2+2?"}]`}},
		"keys in any order, white space, keys that we do not know": {payload.ChatCompletions,
			" {\n\t\"seed\": 9007199254740993, \"tools\": [{\"type\": \"function\", \"model\": 1, \"MODEL\": 2}],\r\n \"messages\" : [ ] , \"stream\" : false, \"a\":-0.5e+10, \"model\" : \"m\" } \n",
			reading{Model: "m", Conversation: "[ ]"}},
		"the last message of the user, not the last one": {payload.ChatCompletions,
			`{"model":"m","messages":[{"role":"user","content":"one"},{"content":"two","role":"user"},{"role":"assistant","content":null,"tool_calls":[{}]},{"role":"tool","content":"42"}]}`,
			reading{Model: "m", Prompt: "two"}},
		"content parts, joined by line breaks": {payload.ChatCompletions,
			`{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:,x"},"text":"no"},{"text":"b","type":"text"},"c",{"type":"input_text","text":"d"},{"type":"text","text":""}]}]}`,
			reading{Model: "m", Prompt: "a\nb\nc\nd"}},
		"texts of types that vLLM reads too": {payload.ChatCompletions,
			`{"model":"m","messages":[{"role":"user","content":[{"type":"refusal","refusal":"r"},{"type":"thinking","thinking":"t","text":"no"},{"type":"output_text","text":"o"}]}]}`,
			reading{Model: "m", Prompt: "r\nt\no"}},
		"an earlier message of the user if the last is only an image": {payload.ChatCompletions,
			`{"model":"m","messages":[{"role":"user","content":"look"},{"role":"assistant","content":"ok"},{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]},{"role":"user","content":""}]}`,
			reading{Model: "m", Prompt: "look"}},
		"the last message of any role if the user said nothing": {payload.ChatCompletions,
			`{"model":"m","messages":[{"role":"system","content":"one"},{"role":"developer","content":"two"},{"role":"user","content":[]}]}`,
			reading{Model: "m", Prompt: "two"}},
		"no text at all": {payload.ChatCompletions,
			`{"model":"m","messages":[{"role":"user","content":null},{"role":"user"},{}]}`, reading{Model: "m"}},
		"no messages at all": {payload.ChatCompletions, `{"model":"m"}`, reading{Model: "m"}},
		"a prompt that the chat API does not know": {payload.ChatCompletions,
			`{"model":"m","prompt":{"id":"x"},"input":3,"messages":[{"role":"user","content":"q"}]}`, reading{Model: "m", Prompt: "q"}},
		"escaped keys and values": {payload.ChatCompletions,
			`{"mod\u0065l":"phi4\u002dmini","m\u0065ssages":[{"r\u006fle":"us\u0065r","\u0063ontent":"\"\\\/\b\f\n\r\t\u00e9\u20ac\ud83d\ude00"}]}`,
			reading{Model: "phi4-mini", Prompt: "\"\\/\b\f\n\r\té€😀"}},
		"lone surrogates in the text as U+FFFD": {payload.ChatCompletions,
			`{"model":"m","messages":[{"role":"user","content":"a\ud800b\udc00\ud800\ud800\udc00 \ud800\n"}]}`,
			reading{Model: "m", Prompt: "a\uFFFDb\uFFFD\uFFFD\U00010000 \uFFFD\n"}},
		"text beyond ASCII": {payload.ChatCompletions,
			`{"model":"모델","messages":[{"role":"user","content":"日本語 🎉 é ` + "\u007f\uffff\U0010ffff" + `"}]}`,
			reading{Model: "모델", Prompt: "日本語 🎉 é \u007f\uffff\U0010ffff"}},
		"stream null": {payload.ChatCompletions, `{"model":"m","stream":null,"cache_salt":null}`, reading{Model: "m"}},
		"a prompt of a completion": {payload.Completions, `{"model":"m","prompt":"Once upon"}`,
			reading{Model: "m", Prompt: "Once upon", Conversation: `"Once upon"`}},
		"several prompts":         {payload.Completions, `{"model":"m","prompt":["a","b"]}`, reading{Model: "m", Prompt: "a\nb"}},
		"tokens":                  {payload.Completions, `{"model":"m","prompt":[1,2,3]}`, reading{Model: "m", Conversation: `[1,2,3]`}},
		"several lists of tokens": {payload.Completions, `{"model":"m","prompt":[[1,2],[3]]}`, reading{Model: "m"}},
		"a prompt that is null":   {payload.Completions, `{"model":"m","prompt":null}`, reading{Model: "m"}},
		"input of Responses, instructions left out": {payload.Responses, `{"model":"m","instructions":"be good","input":"q"}`,
			reading{Model: "m", Prompt: "q", Conversation: `"q"`, System: `"be good"`}},
		"input items of Responses": {payload.Responses,
			`{"model":"m","input":[{"role":"user","content":"a"},{"type":"message","role":"user","content":[{"type":"input_text","text":"b"},{"type":"input_image","image_url":"x"}]},{"type":"reasoning","role":"user","content":[{"type":"text","text":"no"}]},{"type":"function_call_output","call_id":"c","output":"no"}]}`,
			reading{Model: "m", Prompt: "b"}},
		"Responses without input": {payload.Responses, `{"model":"m","prompt":{"id":"pmpt_1"}}`, reading{Model: "m"}},
		"an Anthropic message, tool results left out": {payload.Messages,
			`{"model":"m","system":[{"type":"text","text":"s"}],"messages":[{"role":"user","content":[{"type":"text","text":"q"}]},{"role":"assistant","content":[{"type":"tool_use","input":{"text":"x"}}]},{"role":"user","content":[{"type":"tool_result","content":[{"type":"text","text":"no"}]}]}]}`,
			reading{Model: "m", Prompt: "q", System: `[{"type":"text","text":"s"}]`}},
		"an embedding":               {payload.Embeddings, `{"model":"m","input":["a","b"]}`, reading{Model: "m", Prompt: "a\nb"}},
		"an embedding of messages":   {payload.Embeddings, `{"model":"m","messages":[{"role":"user","content":"q"}]}`, reading{Model: "m", Prompt: "q"}},
		"nothing of another API":     {payload.Other, "\x00not json", reading{}},
		"nothing of a list's body":   {payload.ModelList, "", reading{}},
		"a type that chats lack":     {payload.ChatCompletions, `{"model":"m","messages":[{"type":7,"role":"user","content":"q"}]}`, reading{Model: "m", Prompt: "q"}},
		"a key that looks like ours": {payload.ChatCompletions, `{"model":"m","models":["x"],"Modell":1,"ｍodel":2,"mod\u0435l":3,"strea\u00b5":4}`, reading{Model: "m"}},
		"the same key in another object": {payload.ChatCompletions,
			`{"model":"m","metadata":{"model":"x","Model":"y","model":"z"}}`, reading{Model: "m"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			r, err := payload.Parse(tc.api, []byte(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			got := reading{Model: r.Model, Prompt: r.Prompt(1 << 20), Salt: r.CacheSalt, Stream: r.Stream,
				Conversation: string(r.Conversation()), System: string(r.System())}
			if tc.want.Conversation == "" {
				got.Conversation = ""
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	const chat = payload.ChatCompletions
	deep := strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)
	tests := map[string]struct {
		api     payload.API
		body    string
		param   string
		message string // part of it
	}{
		"an empty body":                 {chat, "", "", "is empty"},
		"white space":                   {chat, " \n", "", "a JSON object, not its end"},
		"gzip":                          {chat, "\x1f\x8b\x08\x00", "", "compressed (gzip)"},
		"zstd":                          {chat, "\x28\xb5\x2f\xfd\x04", "", "compressed (zstd)"},
		"a byte order mark":             {chat, "\ufeff{}", "", "byte order mark"},
		"UTF-16, little-endian":         {chat, "\xff\xfe{\x00}\x00", "", "UTF-16"},
		"UTF-16 without a mark":         {chat, "{\x00}\x00", "", "UTF-16"},
		"UTF-16, big-endian":            {chat, "\x00{\x00}", "", "UTF-16"},
		"a NUL behind the object":       {chat, "{\"model\":\"m\"}\x00", "", "byte 13 it must have nothing more"},
		"a NUL in a string":             {chat, "{\"model\":\"m\x00\"}", "", "control characters escaped"},
		"a line break in a string":      {chat, "{\"model\":\"a long enough name\nof a model\"}", "", "control characters escaped"},
		"invalid UTF-8":                 {chat, "{\"model\":\"m\xff\"}", "", "valid UTF-8"},
		"an overlong encoding":          {chat, "{\"model\":\"\xc0\xaf\"}", "", "valid UTF-8"},
		"a surrogate in UTF-8":          {chat, "{\"model\":\"\xed\xa0\x80\"}", "", "valid UTF-8"},
		"a character cut off":           {chat, "{\"model\":\"\xe2\x82\"}", "", "valid UTF-8"},
		"an array":                      {chat, `[]`, "", "a JSON object"},
		"two objects":                   {chat, `{"model":"m"}{"model":"n"}`, "", "nothing more"},
		"an object cut off":             {chat, `{"model":"m"`, "", "a comma or }, not its end"},
		"a string cut off":              {chat, `{"model":"m`, "", "a closing quote, not its end"},
		"a string cut off in an escape": {chat, `{"model":"m\`, "", "an escape"},
		"an escape that is not JSON's":  {chat, `{"model":"\x41"}`, "", "an escape"},
		"a short escape":                {chat, `{"model":"\u00e"}`, "", "an escape"},
		"a comma at the end":            {chat, `{"model":"m",}`, "", "a key in quotes"},
		"a comma at an array's end":     {chat, `{"model":"m","a":[1,]}`, "", "a value"},
		"a bracket for a brace":         {chat, `{"model":"m","a":{"b":1]}`, "", "a comma or }"},
		"a brace for a bracket":         {chat, `{"model":"m","a":[1}}`, "", "a comma or ]"},
		"a key without quotes":          {chat, `{model:"m"}`, "", "a key in quotes"},
		"a key without colon":           {chat, `{"model" "m"}`, "", "a colon"},
		"single quotes":                 {chat, `{'model':'m'}`, "", "a key in quotes"},
		"a comment":                     {chat, `{"model":"m"/**/}`, "", "a comma or }"},
		"NaN":                           {chat, `{"model":"m","a":NaN}`, "", "a value"},
		"Infinity":                      {chat, `{"model":"m","a":-Infinity}`, "", "a value"},
		"a leading zero":                {chat, `{"model":"m","a":01}`, "", "a comma or }"},
		"a leading plus":                {chat, `{"model":"m","a":+1}`, "", "a value"},
		"a point without digits":        {chat, `{"model":"m","a":1.}`, "", "a digit"},
		"an exponent without digits":    {chat, `{"model":"m","a":1e+}`, "", "a digit"},
		"a literal in capitals":         {chat, `{"model":"m","a":True}`, "", "a value"},
		"half a literal":                {chat, `{"model":"m","a":nul`, "", "a value"},
		"deep nesting":                  {chat, `{"model":"m","a":` + deep + `}`, "", "deeper than 512"},
		"deep nesting of objects":       {chat, `{"model":"m","a":` + strings.Repeat(`{"a":`, 20_000), "", "deeper than 512"},
		"deep nesting in a content":     {chat, `{"model":"m","messages":[{"content":[` + deep + `]}]}`, "", "deeper than 512"},

		"no model":                        {chat, `{"messages":[]}`, "model", "you must provide a model parameter"},
		"an empty model":                  {chat, `{"model":""}`, "model", "you must provide a model parameter"},
		"a model that is null":            {chat, `{"model":null}`, "model", "model must be a string"},
		"a model that is a number":        {chat, `{"model":4}`, "model", "model must be a string"},
		"a model of 257 bytes":            {chat, `{"model":"` + strings.Repeat("m", 257) + `"}`, "model", "at most 256 bytes"},
		"a model with a line break":       {chat, `{"model":"m\r\nx-evil: 1"}`, "model", "control characters"},
		"a model with a lone surrogate":   {chat, `{"model":"m\ud800"}`, "model", "lone surrogates"},
		"a salt that is an object":        {chat, `{"model":"m","cache_salt":{}}`, "cache_salt", "string or null"},
		"a salt of 5,000 bytes":           {chat, `{"model":"m","cache_salt":"` + strings.Repeat("s", 5000) + `"}`, "cache_salt", "at most 4096 bytes"},
		"stream as a string":              {chat, `{"model":"m","stream":"true"}`, "stream", "true, false or null"},
		"stream as a number":              {chat, `{"model":"m","stream":1}`, "stream", "true, false or null"},
		"messages as a string":            {chat, `{"model":"m","messages":"q"}`, "messages", "an array of objects"},
		"messages as null":                {chat, `{"model":"m","messages":null}`, "messages", "an array of objects"},
		"a message that is a string":      {chat, `{"model":"m","messages":[{},"q"]}`, "messages[1]", "must be objects"},
		"a role that is a number":         {chat, `{"model":"m","messages":[{},{"role":1}]}`, "messages[1].role", "role must be a string"},
		"content that is an object":       {chat, `{"model":"m","messages":[{"content":{}}]}`, "messages[0].content", "a string, an array or null"},
		"a content part that is null":     {chat, `{"model":"m","messages":[{"content":["a",null]}]}`, "messages[0].content[1]", "a text or a content part"},
		"a text that is a number":         {chat, `{"model":"m","messages":[{"content":[{"text":1,"type":"text"}]}]}`, "messages[0].content[0].text", "text must be a string"},
		"a part's type that is a number":  {chat, `{"model":"m","messages":[{"content":[{"type":1}]}]}`, "messages[0].content[0].type", "type must be a string"},
		"a prompt that is an object":      {payload.Completions, `{"model":"m","prompt":{}}`, "prompt", "a string or an array"},
		"a prompt that is true":           {payload.Completions, `{"model":"m","prompt":["a",true]}`, "prompt[1]", "a text or"},
		"input that is a number":          {payload.Responses, `{"model":"m","input":1}`, "input", "a string or an array"},
		"an input item that is a string":  {payload.Responses, `{"model":"m","input":["q"]}`, "input[0]", "must be objects"},
		"an embedding of two things":      {payload.Embeddings, `{"model":"m","input":"a","messages":[{"role":"user","content":"b"}]}`, "messages", "must not both be given"},
		"an embedding of two, turned":     {payload.Embeddings, `{"model":"m","messages":[],"input":"a"}`, "input", "must not both be given"},
		"a fault behind a wrong type":     {chat, `{"model":4,`, "model", "model must be a string"},
		"a fault before a wrong type":     {chat, `{"a":tru,"model":4}`, "", "a value"},
		"a second conversation of tokens": {payload.Completions, `{"model":"m","prompt":[1],"prompt":"q"}`, "prompt", "twice"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			wantRefused(t, tc.api, tc.body, tc.param, tc.message)
		})
	}
}

func wantRefused(t *testing.T, api payload.API, body, param, message string) {
	t.Helper()
	_, err := payload.Parse(api, []byte(body))
	var refusal *payload.Error
	if !errors.As(err, &refusal) {
		t.Fatalf("error is %v, want a *payload.Error", err)
	}
	if refusal.Status != 400 || refusal.Param != param || !strings.Contains(refusal.Message, message) {
		t.Errorf("got %+v, want 400, param %q and %q in the message", *refusal, param, message)
	}
}

// Servers disagree about which of two keys counts and about which spellings
// are one key. Whatever one of them might take for a key that matters has to
// be the only one.
func TestParseRefusesAmbiguousKeys(t *testing.T) {
	// The place, with @ for a member, and the keys that matter there.
	places := map[string]struct {
		api  payload.API
		body string
		path string
		keys map[string]string // with a value that is right
	}{
		"the request": {payload.ChatCompletions, `{@}`, "", map[string]string{
			"model": `"m"`, "messages": `[]`, "stream": `true`, "cache_salt": `"s"`,
			"prompt": `"p"`, "input": `"i"`, "system": `"s"`, "instructions": `"i"`}},
		"a message": {payload.ChatCompletions, `{"messages":[{},{@}]}`, "messages[1].", map[string]string{
			"role": `"user"`, "content": `"c"`, "type": `"message"`}},
		"an input item": {payload.Responses, `{"input":[{@}]}`, "input[0].", map[string]string{
			"role": `"user"`, "content": `"c"`, "type": `"message"`}},
		"a part": {payload.Messages, `{"messages":[{"content":["",{@}]}]}`, "messages[0].content[1].", map[string]string{
			"type": `"text"`, "text": `"t"`, "refusal": `"r"`, "thinking": `"t"`}},
	}
	for place, p := range places {
		for key, value := range p.keys {
			spellings := map[string]string{
				"in capitals":       strings.ToUpper(key),
				"with one capital":  strings.ToUpper(key[:1]) + key[1:],
				"last letter upper": key[:len(key)-1] + strings.ToUpper(key[len(key)-1:]),
				"escaped capital":   `\u00` + string("0123456789abcdef"[(key[0]-32)>>4]) + string("0123456789abcdef"[(key[0]-32)&15]) + key[1:],
				"cut by a NUL":      key + `\u0000x`,
			}
			if strings.Contains(key, "s") {
				spellings["with a long s"] = strings.Replace(key, "s", "ſ", 1)
				spellings["with an escaped long s"] = strings.Replace(key, "s", `\u017F`, 1)
			}
			if strings.Contains(key, "k") {
				spellings["with a Kelvin sign"] = strings.Replace(key, "k", "\u212a", 1)
			}
			for how, spelling := range spellings {
				t.Run(place+" has "+key+" "+how, func(t *testing.T) {
					body := strings.Replace(p.body, "@", `"`+spelling+`":`+value, 1)
					wantRefused(t, p.api, body, p.path+key, `the key "`+key+`" must be written exactly so`)
				})
			}
			escaped := `\u00` + string("0123456789abcdef"[key[0]>>4]) + string("0123456789ABCDEF"[key[0]&15]) + key[1:]
			for how, members := range map[string]string{
				"twice":              `"` + key + `":` + value + `,"` + key + `":` + value,
				"twice, apart":       `"` + key + `":` + value + `,"x":[{"` + key + `":1}],"` + key + `":null`,
				"twice, once escape": `"` + key + `":` + value + `,"` + escaped + `":` + value,
			} {
				t.Run(place+" has "+key+" "+how, func(t *testing.T) {
					wantRefused(t, p.api, strings.Replace(p.body, "@", members, 1), p.path+key, `the key "`+key+`" must not appear twice`)
				})
			}
		}
	}
}

func TestErrorsTellNothingOfThePrompt(t *testing.T) {
	for _, body := range []string{
		`{"model":"m","messages":[{"role":"user","content":"SECRET`,
		`{"model":"m","messages":[{"role":"user","content":"SECRET\q"}]}`,
		`{"model":"m","messages":[{"SECRET":1,"Role":"SECRET"}]}`,
		`{"model":"m","messages":[{"role":["SECRET"]}]}`,
		`{"model":"m","messages":["SECRET"]}`,
		`{"model":"m","SECRET":SECRET}`,
		`{"model":{"SECRET":1}}`,
	} {
		_, err := payload.Parse(payload.ChatCompletions, []byte(body))
		if err == nil || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: error is %v", body, err)
		}
	}
}

func TestPromptKeepsHeadAndTail(t *testing.T) {
	escapes := strings.Repeat(`\u0041`, 100)
	tests := map[string]struct {
		content string // a JSON value
		limit   int
		want    string
	}{
		"all of it if it fits":                   {`"0123456789"`, 10, "0123456789"},
		"all of it if it fits once decoded":      {`"\u0041\u0042\u0043"`, 3, "ABC"},
		"nothing at limit 0":                     {`"0123456789"`, 0, ""},
		"nothing at a limit below":               {`"0123456789"`, -1, ""},
		"both ends":                              {`"0123456789"`, 9, "0123\n6789"},
		"both ends, the tail one longer":         {`"0123456789"`, 8, "012\n6789"},
		"a tail alone":                           {`"0123456789"`, 2, "\n9"},
		"only whole characters":                  {`"日本語日本語"`, 12, "日\n本語"},
		"only whole characters from escapes":     {`"\u65e5\u672c\u8a9e\u65e5\u672c\u8a9e"`, 12, "日\n本語"},
		"surrogate pairs whole":                  {`"\ud83d\ude00\ud83d\ude01\ud83d\ude02"`, 11, "😀\n😂"},
		"of many escapes":                        {`"` + escapes + `"`, 7, "AAA\nAAA"},
		"of many backslashes":                    {`"` + strings.Repeat(`\\`, 500) + `u0041"`, 13, `\\\\\\` + "\n" + `\u0041`},
		"of several parts":                       {`["abc","def",{"type":"text","text":"ghi"}]`, 7, "abc\nghi"},
		"across parts":                           {`["a","b","c","d","e"]`, 7, "a\nb\nd\ne"},
		"of a long part between short ones":      {`["a","` + strings.Repeat("x", 1000) + `","z"]`, 7, "a\nx\nx\nz"},
		"of a short part behind a long one":      {`["` + strings.Repeat("x", 1000) + `","z"]`, 9, "xxxx\nxx\nz"},
		"of a part that ends at the limit":       {`["abcd","e"]`, 4, "a\n\ne"},
		"of a text that is longer by its escape": {`"abc\n"`, 4, "abc\n"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			r, err := payload.Parse(payload.ChatCompletions, []byte(`{"model":"m","messages":[{"role":"user","content":`+tc.content+`}]}`))
			if err != nil {
				t.Fatal(err)
			}
			if got := r.Prompt(tc.limit); got != tc.want {
				t.Errorf("Prompt(%d) is %q, want %q", tc.limit, got, tc.want)
			}
		})
	}
}

// Wherever the border falls between what is decoded for the tail and what is
// not, the result is that of decoding all and cutting then.
func TestPromptCutsLikeTheWholeText(t *testing.T) {
	for name, content := range map[string]string{
		"pairs":             `"` + strings.Repeat(`\ud83d\ude00`, 300) + `"`,
		"pairs and letters": `"` + strings.Repeat(`\ud83d\ude00a`, 300) + `"`,
		"escapes":           `"` + strings.Repeat(`\\\n\u0041日`, 300) + `"`,
		"parts":             `[` + strings.Repeat(`"a\ud83d\ude00","",{"type":"text","text":"\n日"},`, 300) + `"z"]`,
	} {
		t.Run(name, func(t *testing.T) {
			r, err := payload.Parse(payload.ChatCompletions, []byte(`{"model":"m","messages":[{"role":"user","content":`+content+`}]}`))
			if err != nil {
				t.Fatal(err)
			}
			whole := r.Prompt(1 << 20)
			for limit := range 500 {
				if got, want := r.Prompt(limit), cut(whole, limit); got != want {
					t.Fatalf("Prompt(%d) is %q, want %q", limit, got, want)
				}
			}
		})
	}
}

func TestWithModel(t *testing.T) {
	tests := map[string]struct {
		body, model, want string
	}{
		"splices":                        {`{ "z":1.0, "model" : "auto" ,"seed":9007199254740993}`, "phi4-mini", `{ "z":1.0, "model" : "phi4-mini" ,"seed":9007199254740993}`},
		"replaces an escaped name":       {`{"model":"\u0061uto"}`, "m", `{"model":"m"}`},
		"quotes":                         {`{"model":"auto"}`, "a\"\\\n\x1f日", `{"model":"a\"\\\u000a\u001f日"}`},
		"leaves the name as it is there": {`{"model":"\u0061uto"}`, "auto", `{"model":"\u0061uto"}`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			body := []byte(tc.body)
			r, err := payload.Parse(payload.ChatCompletions, body)
			if err != nil {
				t.Fatal(err)
			}
			parts := r.WithModel(tc.model)
			if got := string(bytes.Join(parts, nil)); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
			_ = append(parts[0], "overwritten"...)
			if string(body) != tc.body {
				t.Errorf("appending to a part changed the body to %s", body)
			}
		})
	}
}

func TestWithModelDoesNotCopyTheBody(t *testing.T) {
	body := []byte(`{"model":"auto","messages":[]}`)
	r, err := payload.Parse(payload.ChatCompletions, body)
	if err != nil {
		t.Fatal(err)
	}
	parts := r.WithModel("m")
	if len(parts) != 3 || &parts[0][0] != &body[0] || &parts[2][len(parts[2])-1] != &body[len(body)-1] {
		t.Errorf("parts %q are not slices of the body", parts)
	}
}

func TestParseAllocatesTheSameForAnyBody(t *testing.T) {
	small := []byte(`{"model":"m","messages":[{"role":"user","content":"a"}]}`)
	message := `{"r\u006fle":"us\u0065r","content":[{"type":"t\u0065xt","text":"` + strings.Repeat(`a\n`, 50) + `"},"b"],"x":[[{}]]}`
	large := []byte(`{"model":"m","messages":[` + strings.Repeat(message+",", 1000) + message + `]}`)
	count := func(body []byte) float64 {
		return testing.AllocsPerRun(20, func() {
			if _, err := payload.Parse(payload.ChatCompletions, body); err != nil {
				t.Fatal(err)
			}
		})
	}
	if few, many := count(small), count(large); many != few {
		t.Errorf("%v allocations for one message, %v for 1,001", few, many)
	}
}

// The deadline is far above what linear work takes, and far below quadratic.
func TestHugeRequestsTakeLinearTime(t *testing.T) {
	many := func(element string) string { return strings.Repeat(element+",", 200_000) + element }
	tests := map[string]string{
		"many messages":         `{"model":"m","messages":[` + many(`{"role":"user","content":"a"}`) + `]}`,
		"many parts":            `{"model":"m","messages":[{"role":"user","content":[` + many(`"a"`) + `]}]}`,
		"many keys":             `{"model":"m",` + many(`"Modell":0`) + `}`,
		"many backslashes":      `{"model":"m","messages":[{"role":"user","content":"` + strings.Repeat(`\\`, 200_000) + `"}]}`,
		"many empty arrays":     `{"model":"m","a":[` + many(`[]`) + `]}`,
		"many short surrogates": `{"model":"m","messages":[{"role":"user","content":"` + strings.Repeat(`\ud800`, 200_000) + `"}]}`,
	}
	for name, body := range tests {
		t.Run(name, func(t *testing.T) {
			within(t, func() error {
				r, err := payload.Parse(payload.ChatCompletions, []byte(body))
				if err == nil && !utf8.ValidString(r.Prompt(16<<10)) {
					err = errors.New("prompt is not UTF-8")
				}
				return err
			})
		})
	}
}

func within(t *testing.T, work func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- work() }()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Error("still busy after a minute")
	}
}

// chatBody returns a chat of about n bytes, as conversations are: prose and
// code with line breaks and quotes.
func chatBody(n int, text string) []byte {
	var b strings.Builder
	b.WriteString(`{"model":"auto","messages":[{"role":"system","content":"You are a helpful assistant."}`)
	for i := 0; b.Len() < n-200; i++ {
		role := []string{"user", "assistant"}[i%2]
		b.WriteString(`,{"role":"` + role + `","content":"`)
		for size := b.Len(); b.Len() < min(size+2000, n-150); {
			b.WriteString(text)
		}
		b.WriteString(`"}`)
	}
	b.WriteString(`,{"role":"user","content":"What is 2+2?"}],"temperature":0.7,"max_tokens":512,"stream":true}`)
	return []byte(b.String())
}

func BenchmarkParse(b *testing.B) {
	texts := []struct{ name, text string }{
		{"prose", `The picker reads the body once, and notes where the model and the conversation are.\n`},
		{"code", `\tif err := f(\"x\"); err != nil {\n\t\treturn err\n\t}\n`},
		{"japanese", `日本語の文章は一文字が三バイトになります。\n`},
	}
	for _, text := range texts {
		for _, size := range []int{1, 8, 64, 220} {
			b.Run(fmt.Sprintf("%s/%dKB", text.name, size), func(b *testing.B) {
				body := chatBody(size<<10, text.text)
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := payload.Parse(payload.ChatCompletions, body); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
	b.Run("json.Valid/prose/220KB", func(b *testing.B) {
		body := chatBody(220<<10, texts[0].text)
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			json.Valid(body)
		}
	})
}

func BenchmarkPrompt(b *testing.B) {
	for _, size := range []int{1, 220} {
		b.Run(fmt.Sprintf("last message of %dKB", size), func(b *testing.B) {
			text := strings.Repeat(`The picker reads the body once.\n`, size<<10/33)
			r, err := payload.Parse(payload.ChatCompletions, []byte(`{"model":"m","messages":[{"role":"user","content":"`+text+`"}]}`))
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				r.Prompt(16 << 10)
			}
		})
	}
}
