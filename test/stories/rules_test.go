package stories

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// with is the usual configuration with other rules, and without a classifier.
func with(t *testing.T, rules string) string {
	t.Helper()
	before, after, _ := strings.Cut(string(patientDefault(t)), "    - name: math\n")
	_, after, _ = strings.Cut(after, "- type: semantic-model-filter")
	return strings.NewReplacer("model: builtin", "model: none", "match: {app: phi4-mini}}", "match: {app: phi4-mini}, reasoningFamily: qwen3}").
		Replace(before) + strings.TrimPrefix(rules, "\n") + "- type: semantic-model-filter" + after
}

const acting = `
    - name: proofs
      priority: 9
      when: {keyword: [prove]}
      models: [{name: phi4-mini}]
      reasoning: high
      systemPrompt: {text: "Prove each step.", mode: prepend}
      parameters: {maxTokens: 50, block: [logit_bias], defaults: {temperature: 0.2}}
      headers: {set: {x-route: proofs}, remove: [x-debug]}
    - {name: closed, priority: 8, when: {keyword: [warranty]}, respond: {text: "Ask our \"warranty\" desk."}}
    - {name: blocked, priority: 7, when: {keyword: [heist]}, respond: {text: Not here., status: 403}}
`

func TestRulesThatAct(t *testing.T) {
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, setting{text: with(t, acting), extProc: mode})
			t.Run("the model server gets exactly the body that is meant", func(t *testing.T) {
				got := w.post("/v1/chat/completions",
					`{"seed":9007199254740993, "model" : "auto","max_tokens":900,"logit_bias":{"1":2}, "messages":[{"role":"system","content":"Be <kind>."},{"role":"user","content":"prove it 数"}]}`,
					"x-debug", "1", "x-route", "mine")
				const want = `{"seed":9007199254740993, "model" : "phi4-mini","temperature":0.2,"chat_template_kwargs":{"enable_thinking":true},"max_tokens":50,"messages":[{"role":"system","content":"Prove each step.\u000a\u000aBe <kind>."},{"role":"user","content":"prove it 数"}]}`
				if got.status != 200 || got.header.Get("x-vsr-selected-decision") != "proofs" || got.header.Get("x-vsr-selected-reasoning") != "on" || got.header.Get("x-vsr-injected-system-prompt") != "true" {
					t.Fatalf("%v", got)
				}
				requests := w.servers[got.pod()].Requests()
				last := requests[len(requests)-1]
				if string(last.Body) != want {
					t.Errorf("got  %s\nwant %s", last.Body, want)
				}
				if last.Header.Get("Content-Length") != "" && last.Header.Get("Content-Length") != strconv.Itoa(len(want)) {
					t.Errorf("content-length is %s", last.Header.Get("Content-Length"))
				}
				if route := last.Header.Values("x-route"); len(route) != 1 || route[0] != "proofs" || last.Header.Get("x-debug") != "" {
					t.Errorf("headers are %v", last.Header)
				}
			})
			t.Run("a rule answers, as JSON", func(t *testing.T) {
				got := w.chat("auto", "Is there a warranty?")
				var reply struct {
					Object  string
					Choices []struct{ Message struct{ Content string } }
				}
				if got.status != 200 || got.pod() != "" || got.header.Get("content-type") != "application/json" || json.Unmarshal([]byte(got.body), &reply) != nil ||
					reply.Object != "chat.completion" || len(reply.Choices) != 1 || reply.Choices[0].Message.Content != `Ask our "warranty" desk.` {
					t.Errorf("%v", got)
				}
			})
			t.Run("and as a stream of events", func(t *testing.T) {
				got := w.post("/v1/chat/completions", `{"model":"auto","stream":true,"messages":[{"role":"user","content":"Is there a warranty?"}]}`)
				if got.status != 200 || got.pod() != "" || got.header.Get("content-type") != "text/event-stream" || !strings.HasSuffix(strings.TrimSpace(got.body), "data: [DONE]") {
					t.Fatalf("%v", got)
				}
				text := ""
				for line := range strings.SplitSeq(got.body, "\n") {
					var chunk struct {
						Choices []struct{ Delta struct{ Content string } }
					}
					if data, ok := strings.CutPrefix(line, "data: {"); ok && json.Unmarshal([]byte("{"+data), &chunk) == nil && len(chunk.Choices) > 0 {
						text += chunk.Choices[0].Delta.Content
					}
				}
				if text != `Ask our "warranty" desk.` {
					t.Errorf("the events say %q:\n%s", text, got.body)
				}
			})
			t.Run("a rule blocks", func(t *testing.T) {
				got := w.chat("auto", "Plan a heist.")
				if got.status != 403 || !strings.Contains(got.body, `"message":"Not here."`) || !strings.Contains(got.body, `"code":"blocked"`) {
					t.Errorf("%v", got)
				}
			})
		})
	}
}

// rewrite replaces a file at once, as editors and mounts do.
func rewrite(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func TestTheConfigurationIsReplacedUnderLoad(t *testing.T) {
	version := func(n int) string {
		return with(t, fmt.Sprintf(`
    - {name: version-%[1]d, priority: 9, when: {keyword: [version]}, models: [{name: phi4-mini}], systemPrompt: version-%[1]d, headers: {set: {x-version: version-%[1]d}}}
`, n))
	}
	w := newWorld(t, setting{text: version(0)})
	versions := []string{
		version(1),
		strings.Replace(version(2), "defaultModel: llama3-8b", "defaultModel: nobody", 1),
		version(0),
		"kind: [",
	}
	var requests atomic.Int64
	var load sync.WaitGroup
	done := make(chan struct{})
	for range 2 {
		load.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				got, err := w.send(http.MethodPost, "/v1/chat/completions", strings.NewReader(chatBody("auto", "which version?")))
				requests.Add(1)
				if rule := got.header.Get("x-vsr-selected-decision"); err != nil || got.status != 200 || rule != "version-0" && rule != "version-1" {
					t.Errorf("%v: %v", err, got)
					return
				}
			}
		})
	}
	reloaded := func(result string) string {
		for line := range strings.SplitSeq(w.metrics(), "\n") {
			if strings.Contains(line, "reload") && strings.Contains(line, result) && !strings.HasPrefix(line, "#") {
				return line
			}
		}
		return ""
	}
	config := w.config
	for i := range 100 {
		rewrite(t, config, versions[i%len(versions)])
		time.Sleep(20 * time.Millisecond) // some are seen, some are gone before they are
	}
	rewrite(t, config, version(1))
	eventually(t, "the last version decides", func() bool {
		return w.chat("auto", "which version?").header.Get("x-vsr-selected-decision") == "version-1"
	})
	faults := strings.Count(w.picker.Process().Output().String(), "not, or not wholly, taken over")
	rewrite(t, config, versions[3])
	eventually(t, "the broken version is reported", func() bool {
		return strings.Count(w.picker.Process().Output().String(), "not, or not wholly, taken over") > faults
	})
	if got := w.chat("auto", "which version?"); got.header.Get("x-vsr-selected-decision") != "version-1" {
		t.Errorf("after a broken version: %v", got)
	}
	close(done)
	load.Wait()
	t.Logf("%d requests; %s; %s", requests.Load(), reloaded("ok"), reloaded("error"))
	// One version from beginning to end: what stands in the body is what stands in the header.
	for _, pod := range []string{"phi4-0", "phi4-1"} {
		for _, r := range w.servers[pod].Requests() {
			if v := r.Header.Get("x-version"); v == "" || !strings.Contains(string(r.Body), `"content":"`+v+`"`) {
				t.Errorf("header %q with the body %s", v, r.Body)
			}
		}
	}
}

func TestAConfigurationOfVSRAsItIs(t *testing.T) {
	const vsr = `
default_model: llama3-8b
default_reasoning_effort: high
vllm_endpoints:
- {name: one, address: 127.0.0.1, port: LLAMA, weight: 1}
- {name: two, address: 127.0.0.1, port: PHI, weight: 1}
model_config:
  llama3-8b: {preferred_endpoints: [one]}
  phi4-mini: {preferred_endpoints: [two], reasoning_family: qwen3}
reasoning_families: {qwen3: {type: chat_template_kwargs, parameter: enable_thinking}}
classifier: {category_model: {model_id: models/category_classifier, threshold: 0.6}}
keyword_rules: [{category: urgent, operator: OR, keywords: [right now], case_sensitive: false}]
categories:
- {name: math, system_prompt: You are a mathematician., model_scores: [{model: phi4-mini, score: 0.9, use_reasoning: true}]}
- {name: urgent, model_scores: [{model: phi4-mini, score: 1, use_reasoning: false}]}
prompt_guard: {enabled: true}
`
	w := newWorld(t, setting{of: func(w *world) string {
		return strings.NewReplacer("LLAMA", strconv.Itoa(w.servers["llama-0"].Port()), "PHI", strconv.Itoa(w.servers["phi4-1"].Port())).Replace(vsr)
	}})
	for prompt, want := range map[string]struct{ model, pod, body string }{
		"I need it right now":                              {"phi4-mini", "phi4-1", `{"model": "phi4-mini","chat_template_kwargs":{"enable_thinking":false}, "messages": [{"role": "user", "content": "I need it right now"}]}`},
		"Tell me a story of a bear and a fox in the wood.": {"llama3-8b", "llama-0", ""},
	} {
		got := w.chat("auto", prompt)
		if got.status != 200 || got.model() != want.model || got.pod() != want.pod {
			t.Errorf("%v", got)
			continue
		}
		if body := w.lastBody(want.pod); want.body != "" && body != want.body {
			t.Errorf("the model server got\n%s, want\n%s", body, want.body)
		}
	}
	if log := w.picker.Process().Output().String(); !strings.Contains(log, "prompt_guard") {
		t.Error("the log does not warn of what is not taken over")
	}
}

// TestPromptsStayPrivate sends a word through every path, and looks for it in
// everything that the picker says.
func TestPromptsStayPrivate(t *testing.T) {
	const canary = "xyzzycanary"
	port := freePort(t)
	w := newWorld(t, setting{args: []string{"--api-port", port},
		text: strings.Replace(with(t, acting+"    - {name: math, when: {domain: math}, models: [{name: phi4-mini}]}\n"), "model: none", "model: linear", 1)})
	prompts := map[string]string{
		"explicit":             chatBody("llama3-8b", canary),
		"auto":                 chatBody("auto", canary),
		"by a rule that edits": chatBody("auto", "prove "+canary),
		"answered":             chatBody("auto", "warranty "+canary),
		"blocked":              chatBody("auto", "heist "+canary),
		"an unknown model":     chatBody("nobody-"+canary, canary),
		"no JSON":              `{"model":"auto","messages":[{"role":"user","content":"` + canary,
		"a bad message":        `{"model":"auto","messages":[{"role":"` + canary + `","content":5}]}`,
		"a bad key":            `{"model":"auto","messages":"` + canary + `"}`,
		"an edit that fails":   `{"model":"auto","max_tokens":"` + canary + `","messages":[{"role":"user","content":"prove it"}]}`,
	}
	for name, body := range prompts {
		for _, path := range []string{"/v1/chat/completions", "/v1/responses", "/v1/messages"} {
			got, err := w.send(http.MethodPost, path, strings.NewReader(body), "Authorization", "Bearer "+canary, "x-request-id", canary)
			if err != nil {
				t.Fatal(err)
			}
			// The simulated servers, and whoever asked for an unknown model, may say it again.
			if got.status >= 400 && name != "an unknown model" && strings.Contains(got.body, canary) {
				t.Errorf("%s: the error says it: %s", name, got.body)
			}
		}
	}
	for path, body := range map[string]string{
		"/api/v1/explain":         `{"text":"` + canary + `"}`,
		"/api/v1/classify/intent": `{"text":"` + canary + `"}`,
		"/api/v1/classify/batch":  `{"texts":["` + canary + `"]}`,
	} {
		for _, text := range []string{body, body[:len(body)-1]} {
			resp, err := http.Post("http://127.0.0.1:"+port+path, "application/json", strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			reply, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if strings.Contains(string(reply), canary) {
				t.Errorf("%s says it: %s", path, reply)
			}
		}
	}
	log := w.picker.Process().Output().String()
	if !strings.Contains(log, `"decision"`) {
		t.Error("the log has no decision")
	}
	for what, text := range map[string]string{"log": log, "metrics": w.metrics()} {
		for line := range strings.SplitSeq(text, "\n") {
			if strings.Contains(line, canary) {
				t.Errorf("the %s says it: %s", what, line)
			}
		}
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}
