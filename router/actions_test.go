package router_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	fwkdl "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/datalayer"
	"sigs.k8s.io/yaml"

	"semantic-epp/classifier"
	"semantic-epp/extproc"
	"semantic-epp/payload"
)

// catalogue is parameters without rules; every model but cloud has replicas.
const catalogue = `
    defaultModel: general
    models:
    - {name: general, match: {app: general}}
    - {name: math, match: {app: math}}
    - {name: qwen, match: {app: math}, reasoningFamily: qwen3}
    - {name: oss, match: {app: math}, reasoningFamily: gpt-oss}
    - {name: house, match: {app: math}, reasoningFamily: house}
    - {name: fast, match: {app: general}, servedName: meta/llama, reasoningFamily: deepseek}
    - {name: cloud, external: true, servedName: gpt-4o, reasoningFamily: gpt}
    reasoningFamilies: {house: {type: chatTemplateEffort, parameter: thinking_budget}}
    reasoningEffort: high
    trustedHeaders: [x-gateway-inference-objective, x-tier, x-session-id]
    rules:
`

// acts is a rule for prompts with the word act.
func acts(rest string) string { return "    - {name: acts, when: {keyword: [act]}, " + rest + "}\n" }

const completions, chats, responses, messages = "/v1/completions", "/v1/chat/completions", "/v1/responses", "/v1/messages"

func TestRulesEditTheBody(t *testing.T) {
	const (
		chat      = `{"model": "auto", "messages": [{"role": "system", "content": "mine"}, {"role": "user", "content": "act"}], "seed": 9007199254740993}`
		completed = `{"model": "auto", "prompt": "act", "n": 3}`
		response  = `{"model": "auto", "instructions": "mine", "input": "act"}`
		message   = `{"model": "auto", "max_tokens": 900, "system": "mine", "messages": [{"role": "user", "content": "act"}]}`
	)
	body := func(model, more, system string) string {
		return `{"model": "` + model + `"` + more + `, "messages": [` + system + `{"role": "user", "content": "act"}], "seed": 9007199254740993}`
	}
	mine := func(model, more string) string { return body(model, more, `{"role": "system", "content": "mine"}, `) }
	tests := map[string]struct {
		rule, path, body, want string
	}{
		"a rule that only chooses changes the name": {"models: [{name: math}]", chats, chat, mine("math", "")},

		"Qwen3 is asked to think":              {"models: [{name: qwen}], reasoning: on", chats, chat, mine("qwen", `,"chat_template_kwargs":{"enable_thinking":true}`)},
		"Qwen3 knows no efforts":               {"models: [{name: qwen}], reasoning: high", chats, chat, mine("qwen", `,"chat_template_kwargs":{"enable_thinking":true}`)},
		"Qwen3 is asked not to think":          {"models: [{name: qwen}], reasoning: off", chats, chat, mine("qwen", `,"chat_template_kwargs":{"enable_thinking":false}`)},
		"gpt-oss thinks as hard as by default": {"models: [{name: oss}], reasoning: on", chats, chat, mine("oss", `,"reasoning_effort":"high"`)},
		"gpt-oss thinks as hard as asked":      {"models: [{name: oss}], reasoning: minimal", chats, chat, mine("oss", `,"reasoning_effort":"minimal"`)},
		"gpt-oss cannot but think":             {"models: [{name: oss}], reasoning: off", chats, chat, mine("oss", `,"reasoning_effort":"low"`)},
		"off leaves the client its effort": {"models: [{name: oss}], reasoning: off", chats, `{"model":"auto","reasoning_effort":"high","messages":[{"role":"user","content":"act"}]}`,
			`{"model":"oss","reasoning_effort":"high","messages":[{"role":"user","content":"act"}]}`},
		"an effort replaces the client's": {"models: [{name: oss}], reasoning: low", chats, `{"model":"auto","reasoning_effort":"high","messages":[{"role":"user","content":"act"}]}`,
			`{"model":"oss","reasoning_effort":"low","messages":[{"role":"user","content":"act"}]}`},
		"a family of the operator's":            {"models: [{name: house}], reasoning: medium", chats, chat, mine("house", `,"chat_template_kwargs":{"thinking_budget":"medium"}`)},
		"a model of no family":                  {"models: [{name: math}], reasoning: high", chats, chat, mine("math", "")},
		"a model's own wish comes first":        {"models: [{name: oss, reasoning: low}], reasoning: high", chats, chat, mine("oss", `,"reasoning_effort":"low"`)},
		"Responses have an object for it":       {"models: [{name: oss}], reasoning: high", responses, response, `{"model": "oss","reasoning":{"effort":"high"}, "instructions": "mine", "input": "act"}`},
		"Anthropic has another":                 {"models: [{name: cloud}], reasoning: high", messages, message, `{"model": "gpt-4o","output_config":{"effort":"high"}, "max_tokens": 900, "system": "mine", "messages": [{"role": "user", "content": "act"}]}`},
		"a completion has no place for it":      {"models: [{name: oss}], reasoning: high", completions, completed, `{"model": "oss", "prompt": "act", "n": 3}`},
		"the name that the server knows it by":  {"models: [{name: fast}], reasoning: on", chats, chat, mine("meta/llama", `,"chat_template_kwargs":{"thinking":true}`)},
		"the client's own thinking is replaced": {"models: [{name: qwen}], reasoning: off", chats, `{"model":"auto","chat_template_kwargs":{"enable_thinking":true,"x":1},"messages":[{"role":"user","content":"act"}]}`, `{"model":"qwen","chat_template_kwargs":{"enable_thinking":false,"x":1},"messages":[{"role":"user","content":"act"}]}`},

		"a system prompt replaces the client's": {"models: [{name: math}], systemPrompt: Be brief.", chats, chat, body("math", "", `{"role":"system","content":"Be brief."},`)},
		"or stands before it": {"models: [{name: math}], systemPrompt: {text: Be brief., mode: prepend}", chats, chat,
			body("math", "", `{"role": "system", "content": "Be brief.\u000a\u000amine"}, `)},
		"in Responses":                     {"models: [{name: math}], systemPrompt: Be brief.", responses, response, `{"model": "math", "instructions": "Be brief.", "input": "act"}`},
		"before the client's in Responses": {"models: [{name: math}], systemPrompt: {text: Be brief., mode: prepend}", responses, response, `{"model": "math", "instructions": "Be brief.\u000a\u000amine", "input": "act"}`},
		"in Anthropic's messages":          {"models: [{name: math}], systemPrompt: Be brief.", messages, message, `{"model": "math", "max_tokens": 900, "system": "Be brief.", "messages": [{"role": "user", "content": "act"}]}`},
		"a completion has none either":     {"models: [{name: math}], systemPrompt: Be brief.", completions, completed, `{"model": "math", "prompt": "act", "n": 3}`},

		"limits lower":       {"models: [{name: math}], parameters: {maxTokens: 100, maxN: 1}", completions, completed, `{"model": "math","max_tokens":100, "prompt": "act", "n": 1}`},
		"and never raise":    {"models: [{name: math}], parameters: {maxTokens: 1000}", messages, message, strings.Replace(message, "auto", "math", 1)},
		"fields are blocked": {"models: [{name: math}], parameters: {block: [seed]}", chats, chat, strings.Replace(mine("math", ""), `, "seed": 9007199254740993`, "", 1)},
		"defaults in order":  {"models: [{name: math}], parameters: {defaults: {top_p: 0.5, seed: 1, temperature: 0.2}}", chats, chat, mine("math", `,"temperature":0.2,"top_p":0.5`)},
		"all at once": {`models: [{name: oss}], reasoning: high, systemPrompt: Be brief., parameters: {maxTokens: 9, block: [seed], defaults: {stop: ["\n"]}}`, chats, chat,
			strings.Replace(body("oss", `,"stop":["\n"],"max_completion_tokens":9,"reasoning_effort":"high"`, `{"role":"system","content":"Be brief."},`), `, "seed": 9007199254740993`, "", 1)},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			p := pickerOf(t, catalogue+acts(tc.rule), everything...)
			got, err := p.post(t, tc.path, tc.body)
			if err != nil {
				t.Fatal(err)
			}
			if got.body() != tc.want {
				t.Errorf("the model server gets\n%s\nwant\n%s", got.body(), tc.want)
			}
			if !json.Valid([]byte(got.body())) {
				t.Error("which is no JSON")
			}
		})
	}
}

func TestAnEditThatTheBodyCannotTakeIsRefused(t *testing.T) {
	p := pickerOf(t, catalogue+acts("models: [{name: math}], parameters: {maxTokens: 9}"), everything...)
	x := p.begin(t, chats)
	_, err := x.Request(t.Context(), []byte(`{"model":"auto","max_tokens":"many","messages":[{"role":"user","content":"act"}]}`))
	x.End(extproc.Answered)
	var refusal *payload.Error
	if !errors.As(err, &refusal) || refusal.Status != 400 || refusal.Param != "max_tokens" {
		t.Errorf("error %v", err)
	}
	if n := p.endpoint("m1").Load.InFlight() + p.endpoint("m2").Load.InFlight(); n != 0 {
		t.Errorf("%d requests are still in flight", n)
	}
}

func TestTheReplyTellsWhatWasDone(t *testing.T) {
	tests := map[string]struct {
		rule, path, body  string
		reasoning, prompt string
	}{
		"nothing":                         {"models: [{name: math}]", chats, chat("auto", "act"), "off", ""},
		"reasoning":                       {"models: [{name: qwen}], reasoning: low", chats, chat("auto", "act"), "on", ""},
		"no reasoning":                    {"models: [{name: qwen}], reasoning: off", chats, chat("auto", "act"), "off", ""},
		"a system prompt":                 {"models: [{name: math}], systemPrompt: x", chats, chat("auto", "act"), "off", "true"},
		"a completion has none":           {"models: [{name: math}], systemPrompt: x", completions, `{"model":"auto","prompt":"act"}`, "off", ""},
		"an explicit model is left alone": {"models: [{name: qwen}], reasoning: on, systemPrompt: x", chats, chat("qwen", "act"), "off", ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := pickerOf(t, catalogue+acts(tc.rule), everything...).post(t, tc.path, tc.body)
			if err != nil {
				t.Fatal(err)
			}
			if reasoning := header(got.reply, "x-vsr-selected-reasoning"); reasoning != tc.reasoning {
				t.Errorf("reasoning is %q, want %q", reasoning, tc.reasoning)
			}
			if prompt := header(got.reply, "x-vsr-injected-system-prompt"); prompt != tc.prompt {
				t.Errorf("the system prompt is %q, want %q", prompt, tc.prompt)
			}
		})
	}
}

func TestRulesAnswerThemselves(t *testing.T) {
	chat := func(stream bool) string {
		return fmt.Sprintf(`{"model":"auto","stream":%t,"messages":[{"role":"user","content":"act"}]}`, stream)
	}
	tests := map[string]struct {
		respond, path, body string
		contentType, begins string // of the answer
		has                 []string
		status              int // of the refusal; 0: none
	}{
		"JSON":              {"{text: No.}", chats, chat(false), "application/json", "{", []string{`"content":"No."`, `"finish_reason":"stop"`, `"model":"auto"`, `"object":"chat.completion"`}, 0},
		"a stream":          {"{text: No.}", chats, chat(true), "text/event-stream", "data: {", []string{`"content":"No."`, "data: [DONE]", `"object":"chat.completion.chunk"`}, 0},
		"filtered":          {"{text: No., finishReason: content_filter}", chats, chat(false), "application/json", "{", []string{`"finish_reason":"content_filter"`}, 0},
		"a completion":      {"{text: No.}", completions, `{"model":"auto","prompt":"act"}`, "application/json", "{", []string{`"text":"No."`}, 0},
		"a response":        {"{text: No.}", responses, `{"model":"auto","input":"act"}`, "application/json", "{", []string{`"object":"response"`, `"text":"No."`}, 0},
		"Anthropic's":       {"{text: No.}", messages, `{"model":"auto","max_tokens":5,"messages":[{"role":"user","content":"act"}]}`, "application/json", "{", []string{`"type":"message"`, `"text":"No."`}, 0},
		"blocked":           {"{text: Not here., status: 403}", chats, chat(false), "", "", nil, 403},
		"blocked streams":   {"{text: Not here., status: 403}", chats, chat(true), "", "", nil, 403},
		"with its own text": {`{text: "\"</script>\n", status: 200}`, chats, chat(false), "application/json", "{", []string{`"content":"\"</script>\n"`}, 0},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			p := pickerOf(t, catalogue+acts("respond: "+tc.respond)) // no endpoints are needed
			x := p.begin(t, tc.path)
			defer x.End(extproc.Answered)
			v, err := x.Request(t.Context(), []byte(tc.body))
			if tc.status != 0 {
				var refusal *payload.Error
				if !errors.As(err, &refusal) || refusal.Status != tc.status || refusal.Code != "blocked" || refusal.Message != "Not here." {
					t.Errorf("error %#v", err)
				}
				return
			}
			if err != nil || v.Reply == nil || v.Reply.Status != 200 {
				t.Fatalf("got %+v, %v", v, err)
			}
			answer := string(v.Reply.Body)
			edits := extproc.HeaderEdits{Set: v.Reply.Set}
			if got := header(edits, "content-type"); got != tc.contentType || !strings.HasPrefix(answer, tc.begins) {
				t.Errorf("%s: %s", got, answer)
			}
			for _, want := range tc.has {
				if !strings.Contains(answer, want) {
					t.Errorf("no %s in %s", want, answer)
				}
			}
			if header(edits, "x-vsr-selected-decision") != "acts" || header(edits, "x-semantic-epp-reason") != "rule" {
				t.Errorf("headers are %v", v.Reply.Set)
			}
			if len(v.Set) != 0 || v.Body != nil {
				t.Errorf("the request is changed, too: %+v", v)
			}
		})
	}
}

func TestAGuardThatCannotJudgeRefuses(t *testing.T) {
	p := pickerOf(t, catalogue+"    - {name: guard, when: {domain: math, onError: deny}, models: [{name: math}]}\n", everything...)
	if got, err := p.ask(t, chat("auto", "some math")); err != nil || got.model() != "math" {
		t.Errorf("went to %s, %v", got.model(), err)
	}
	p.classify = fails(errors.New("broken"))
	_, err := p.ask(t, chat("auto", "some math"))
	var refusal *payload.Error
	if !errors.As(err, &refusal) || refusal.Status != 503 || refusal.Code != "guard_unavailable" {
		t.Errorf("error %v", err)
	}
	if got, err := p.ask(t, chat("general", "some math")); err != nil || got.reason() != "explicit" {
		t.Errorf("a guard of decisions refuses an explicit model: %v", err)
	}
}

func TestRulesChangeHeaders(t *testing.T) {
	p := pickerOf(t, catalogue+acts("models: [{name: cloud}], headers: {set: {x-b: two, x-a: one, authorization: Bearer k}, remove: [x-debug, cookie]}"), everything...)
	got, err := p.ask(t, chat("auto", "act"), "x-debug", "1", "x-a", "client's", "x-selected-model", "spoofed")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, h := range got.Set {
		names = append(names, h.Name+"="+h.Value)
	}
	if set := strings.Join(names, " "); set != "x-selected-model=cloud authorization=Bearer k x-a=one x-b=two" {
		t.Errorf("set are %s", set)
	}
	if removed := strings.Join(got.Remove, " "); removed != "x-debug cookie" {
		t.Errorf("removed are %s", removed)
	}
	again, err := p.ask(t, chat("auto", "hello"), "x-debug", "1")
	if err != nil || len(again.Remove) != 0 || header(again.HeaderEdits, "x-a") != "" {
		t.Errorf("the next request is changed as well: %+v, %v", again.HeaderEdits, err)
	}
}

func TestRulesCannotSetWhatRoutes(t *testing.T) {
	p := pickerOf(t, catalogue, everything...)
	for _, name := range []string{"x-gateway-destination-endpoint", "x-selected-model", "x-vsr-selected-model", "x-ai-eg-model", "host", "content-length"} {
		for _, edit := range []string{"set: {" + name + ": x}", "remove: [" + name + "]"} {
			if err := reload(p, catalogue+acts("models: [{name: math}], headers: {"+edit+"}")); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s is taken: %v", edit, err)
			}
		}
	}
}

// reload gives a picker other parameters, as a changed file does.
func reload(p *picker, parameters string) error {
	asJSON, err := yaml.YAMLToJSON([]byte(parameters))
	if err != nil {
		return err
	}
	return p.semantic.Reload(asJSON)
}

func TestARequestUnderWayKeepsItsRules(t *testing.T) {
	p := pickerOf(t, catalogue+acts("models: [{name: qwen}], reasoning: on, systemPrompt: old"), everything...)
	under := p.begin(t, chats)
	defer under.End(extproc.Completed)
	decided := p.begin(t, chats)
	defer decided.End(extproc.Completed)
	if _, err := decided.Request(t.Context(), []byte(chat("auto", "act"))); err != nil {
		t.Fatal(err)
	}
	if err := reload(p, catalogue+acts("models: [{name: oss}]")+"    modelHeaders: [x-new]\n"); err != nil {
		t.Fatal(err)
	}
	v, err := under.Request(t.Context(), []byte(chat("auto", "act")))
	if body := (answer{Verdict: v}).body(); err != nil || header(v.HeaderEdits, "x-selected-model") != "qwen" || !strings.Contains(body, "enable_thinking") || !strings.Contains(body, "old") {
		t.Errorf("a request that began before went to %q with %s, %v", header(v.HeaderEdits, "x-selected-model"), body, err)
	}
	reply := decided.ResponseHeaders(t.Context(), &extproc.ResponseHead{Status: 200})
	if header(reply, "x-vsr-injected-system-prompt") != "true" || header(reply, "x-vsr-selected-model") != "qwen" {
		t.Errorf("a request that was decided before tells %v", reply.Set)
	}
	after, err := p.ask(t, chat("auto", "act"))
	if err != nil || header(after.HeaderEdits, "x-new") != "oss" || after.model() != "" || strings.Contains(after.body(), "old") {
		t.Errorf("the next one went to %v with %s, %v", after.Set, after.body(), err)
	}
}

func TestServedNames(t *testing.T) {
	const named = `
    defaultModel: general
    models:
    - {name: general, match: {app: general}}
    - {name: big, servedName: org/big}
    - {name: cloud, external: true, servedName: gpt-4o}
    rules:
`
	p := pickerOf(t, named+acts("models: [{name: big}]"), everything...)
	p.load("m1", fwkdl.Metrics{ActiveModels: map[string]int{"org/big": 1}})
	for model, want := range map[string]struct{ header, body, endpoint string }{
		"auto":    {"big", "org/big", "10.0.2.1:8000"},
		"big":     {"big", "org/big", "10.0.2.1:8000"},
		"org/big": {"org/big", "org/big", "10.0.2.1:8000"},
		"cloud":   {"cloud", "gpt-4o", ""},
	} {
		got, err := p.ask(t, chat(model, "act"))
		if err != nil {
			t.Errorf("%s: %v", model, err)
			continue
		}
		if got.model() != want.header || got.endpoint() != want.endpoint || got.body() != chat(want.body, "act") {
			t.Errorf("%s went to %s as %s with %s", model, got.endpoint(), got.model(), got.body())
		}
	}
}

func TestAnAdapterThatIsLoadedLater(t *testing.T) {
	p := pickerOf(t, "\n    defaultModel: general\n    models: [{name: general, match: {app: general}}, {name: late}]\n", everything...)
	if _, err := p.ask(t, chat("late", "hi")); err == nil {
		t.Error("no endpoint has the adapter, yet there is no error")
	}
	p.load("g2", fwkdl.Metrics{ActiveModels: map[string]int{"late": 1}})
	if got, err := p.ask(t, chat("late", "hi")); err != nil || got.endpoint() != "10.0.1.2:8000" {
		t.Errorf("went to %q, %v", got.endpoint(), err)
	}
}

func TestWeightsSplitRequests(t *testing.T) {
	canary := catalogue + acts("models: [{name: math, weight: 80}, {name: general, weight: 20}]") + "    sticky: {header: x-session-id}\n"
	p := pickerOf(t, canary, everything...)
	first := map[string]string{}
	counts := map[string]int{}
	for range 3 {
		for i := range 200 {
			session := fmt.Sprint("session-", i)
			got, err := p.ask(t, chat("auto", "act"), "x-session-id", session)
			if err != nil {
				t.Fatal(err)
			}
			if first[session] == "" {
				first[session] = got.model()
				counts[got.model()]++
			}
			if got.model() != first[session] {
				t.Fatalf("%s went to %s, then to %s", session, first[session], got.model())
			}
		}
	}
	if counts["math"] < 130 || counts["general"] < 20 || counts["math"]+counts["general"] != 200 {
		t.Errorf("200 sessions went to %v", counts)
	}
	if other := pickerOf(t, canary, everything...); first["session-7"] != must(t, other, "session-7") {
		t.Error("another replica of the picker sends the session elsewhere")
	}
}

func must(t *testing.T, p *picker, session string) string {
	t.Helper()
	got, err := p.ask(t, chat("auto", "act"), "x-session-id", session)
	if err != nil {
		t.Fatal(err)
	}
	return got.model()
}

func TestLocalAndExternalModelsTogether(t *testing.T) {
	rules := catalogue + `
    - {name: long, priority: 10, when: {contextTokens: {min: 2K}}, models: [{name: cloud}]}
    - {name: sums, when: {domain: math}, models: [{name: math}, {name: cloud, score: 0.5}]}
`
	tests := map[string]struct {
		model, prompt, want, served string
		local                       bool
	}{
		"mathematics stays":              {"auto", "some math", "math", "math", true},
		"a long context leaves":          {"auto", "some math " + strings.Repeat("and more of it ", 1000), "cloud", "gpt-4o", false},
		"the client may ask for it":      {"cloud", "some math", "cloud", "gpt-4o", false},
		"and everything else stays":      {"auto", "hello", "general", "general", true},
		"even what is long, if asked so": {"general", strings.Repeat("and more of it ", 1000), "general", "general", true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := pickerOf(t, rules, everything...).ask(t, chat(tc.model, tc.prompt))
			if err != nil {
				t.Fatal(err)
			}
			if got.model() != tc.want || (got.endpoint() != "") != tc.local || !strings.HasPrefix(got.body(), `{"model": "`+tc.served+`"`) {
				t.Errorf("went to %s at %q with %.80s", got.model(), got.endpoint(), got.body())
			}
		})
	}
}

func TestConditionsOnTheRequest(t *testing.T) {
	rules := catalogue + `
    - {name: tools, when: {conversation: {tools: {min: 1}}}, models: [{name: oss}]}
    - {name: talk, when: {conversation: {turns: {min: 3}}}, models: [{name: qwen}]}
    - {name: team, when: {metadata: {team: [research]}}, models: [{name: house}]}
    - {name: gold, when: {header: {x-tier: gold}}, models: [{name: math}]}
    - {name: long, when: {contextTokens: {min: 1K}}, models: [{name: cloud}]}
`
	user := `{"role":"user","content":"hi"}`
	tests := map[string]struct {
		body    string
		headers []string
		rule    string
	}{
		"nothing of it":              {`{"model":"auto","messages":[` + user + `]}`, nil, ""},
		"a tool":                     {`{"model":"auto","messages":[` + user + `],"tools":[{"type":"function","function":{"name":"f"}}]}`, nil, "tools"},
		"three turns":                {`{"model":"auto","messages":[` + user + `,` + user + `,` + user + `]}`, nil, "talk"},
		"a team in the metadata":     {`{"model":"auto","metadata":{"team":"research"},"messages":[` + user + `]}`, nil, "team"},
		"another team":               {`{"model":"auto","metadata":{"team":"sales"},"messages":[` + user + `]}`, nil, ""},
		"a trusted header":           {`{"model":"auto","messages":[` + user + `]}`, []string{"x-tier", "gold"}, "gold"},
		"another value of it":        {`{"model":"auto","messages":[` + user + `]}`, []string{"x-tier", "golden"}, ""},
		"a long system prompt":       {`{"model":"auto","messages":[{"role":"system","content":"` + strings.Repeat("many words ", 600) + `"},` + user + `]}`, nil, "long"},
		"the first rule that holds":  {`{"model":"auto","metadata":{"team":"research"},"messages":[` + user + `]}`, []string{"x-tier", "gold"}, "team"},
		"a header of the metadata's": {`{"model":"auto","messages":[` + user + `]}`, []string{"team", "research"}, ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			p := pickerOf(t, rules, everything...)
			p.classify = fails(classifier.ErrNoMatch)
			got, err := p.ask(t, tc.body, tc.headers...)
			if err != nil {
				t.Fatal(err)
			}
			if rule := header(got.reply, "x-vsr-selected-decision"); rule != tc.rule {
				t.Errorf("rule %q decided, want %q", rule, tc.rule)
			}
		})
	}
}

// Actions must cost nothing where a request has none.
func TestWhatARequestAllocates(t *testing.T) {
	const budget = 180 // 158 when this was written
	p := newPicker(t, "", everything...)
	body := []byte(chat("general", "hello"))
	head := &extproc.RequestHead{Method: "POST", Path: chats, Headers: extproc.NewHeaders("content-type", "application/json")}
	got := testing.AllocsPerRun(200, func() {
		x := p.Begin(t.Context(), head)
		if _, err := x.Request(t.Context(), body); err != nil {
			t.Error(err)
		}
		x.End(extproc.Completed)
	})
	t.Logf("%.0f allocations", got)
	if got > budget {
		t.Errorf("a request without actions makes %.0f allocations, want at most %d", got, budget)
	}
}
