package stories

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"semantic-epp/test/rig"
	"semantic-epp/test/vllmsim"
)

// modes are Envoy's body modes in which everything must work.
var modes = map[string]rig.ExtProc{
	"full duplex": {},
	"buffered":    {RequestBody: rig.Buffered, ResponseBody: rig.Buffered, AllowModeOverride: true},
}

func TestTheGuidesRequests(t *testing.T) {
	usual := newWorld(t, setting{})
	adapters := newWorld(t, setting{config: "agentgateway.yaml", args: []string{}})
	tests := map[string]struct {
		world         *world
		model, prompt string
		served        string // model
		pods          string
		reason        []string
	}{
		"an explicit model":                             {usual, "llama3-8b", "What is 2+2 * (5-1)?", "llama3-8b", "llama-", []string{"explicit"}},
		"a calculation":                                 {usual, "auto", "What is 2+2 * (5-1)?", "phi4-mini", "phi4-", []string{"rule"}},
		"half a calculation":                            {usual, "auto", "2+2 is  ", "phi4-mini", "phi4-", []string{"rule"}},
		"half a sentence about Linux":                   {usual, "auto", "Linux is said to be an open source kernel because ", "llama3-8b", "llama-", []string{"rule", "unsure", "default"}},
		"the AI Gateway guide's question":               {usual, "MoM", "What is the derivative of f(x) = x^3?", "phi4-mini", "phi4-", []string{"rule"}},
		"the AgentGateway guide's question, an adapter": {adapters, "auto", "What is the derivative of f(x) = x^3?", "math-expert", "base-", []string{"rule"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := tc.world.chat(tc.model, tc.prompt)
			if got.status != 200 || got.model() != tc.served || !strings.HasPrefix(got.pod(), tc.pods) {
				t.Fatalf("want %s from %s…: %v", tc.served, tc.pods, got)
			}
			if reason := got.header.Get("x-semantic-epp-reason"); !strings.Contains(strings.Join(tc.reason, " "), reason) {
				t.Errorf("reason %q, want one of %v", reason, tc.reason)
			}
			if got.header.Get("x-vsr-selected-model") != tc.served {
				t.Errorf("the headers name %q", got.header.Get("x-vsr-selected-model"))
			}
			want := strings.Replace(chatBody(tc.model, tc.prompt), fmt.Sprintf("%q", tc.model), fmt.Sprintf("%q", tc.served), 1)
			if body := tc.world.lastBody(got.pod()); body != want {
				t.Errorf("the model server got %s\nwant %s", body, want)
			}
		})
	}
	t.Run("completions too", func(t *testing.T) {
		got := usual.post("/v1/completions", `{"model":"auto","prompt":"2+2 is  ","max_tokens":5}`)
		if got.status != 200 || got.model() != "phi4-mini" {
			t.Errorf("%v", got)
		}
	})
	t.Run("the list of models", func(t *testing.T) {
		got, err := usual.send(http.MethodGet, "/v1/models", nil)
		if err != nil || got.status != 200 {
			t.Fatal(err, got)
		}
		for _, id := range []string{`"auto"`, `"MoM"`, `"llama3-8b"`, `"phi4-mini"`, `"math-expert"`} {
			if !strings.Contains(got.body, id) {
				t.Errorf("%s is missing: %s", id, got.body)
			}
		}
	})
	t.Run("another path goes to the default model", func(t *testing.T) {
		got, err := usual.send(http.MethodGet, "/health", nil)
		if err != nil || got.status != 200 || got.header.Get("x-vsr-selected-model") != "llama3-8b" {
			t.Error(err, got)
		}
	})
	t.Run("a model that nobody knows", func(t *testing.T) {
		got := usual.chat("gpt-5", "hello")
		if got.status != 404 || !strings.Contains(got.body, `"code":"model_not_found"`) {
			t.Errorf("%v", got)
		}
	})
	t.Run("the log has no prompt and no key, at any level", func(t *testing.T) {
		usual.chat("auto", "What is 2+2 * (5-1)?", "Authorization", "Bearer sk-verysecret")
		for _, w := range []*world{usual, adapters} {
			log := w.picker.Process().Output().String()
			if !strings.Contains(log, `"decision"`) {
				t.Error("the log has no decision")
			}
			for _, words := range []string{"derivative", "open source kernel", "(5-1)", "sk-verysecret"} {
				if strings.Contains(log, words) {
					t.Errorf("the log has %q", words)
				}
			}
		}
	})
	t.Run("metrics count it", func(t *testing.T) {
		page := usual.metrics()
		for _, series := range []string{
			`semantic_epp_decisions_total{model="phi4-mini",reason="rule",rule="math"}`,
			`semantic_epp_decisions_total{model="llama3-8b",reason="explicit",rule=""}`,
			`inference_objective_request_total{model_name="auto",priority="0",target_model_name="phi4-mini"}`,
			`inference_objective_request_error_total{error_code="NotFound",model_name="unknown",target_model_name=""}`,
			`inference_objective_input_tokens_count{model_name="auto",target_model_name="phi4-mini"}`,
			`inference_pool_ready_pods{name="standalone"} 5`,
			`semantic_epp_classifier_info{device="cpu",kind="onnx"`,
		} {
			if !strings.Contains(page, series) {
				t.Errorf("no %s in\n%s", series, grep(page, strings.SplitN(series, "{", 2)[0]))
			}
		}
	})
}

func grep(page, word string) string {
	var found []string
	for line := range strings.SplitSeq(page, "\n") {
		if strings.Contains(line, word) {
			found = append(found, line)
		}
	}
	return strings.Join(found, "\n")
}

func TestTheRouteFollowsTheModel(t *testing.T) {
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, setting{override: true, extProc: mode})
			for model, pods := range map[string]string{"auto": "phi4-", "llama3-8b": "llama-", "phi4-mini": "phi4-"} {
				if got := w.chat(model, "What is 2+2 * (5-1)?"); got.status != 200 || !strings.HasPrefix(got.pod(), pods) {
					t.Errorf("%s: %v", model, got)
				}
			}
		})
	}
}

// promptly makes the pool's gauges follow what the picker knows.
var promptly = []string{"--refresh-prometheus-metrics-interval", "100ms"}

// shows waits until the picker's metrics have a line.
func (w *world) shows(line string) {
	w.t.Helper()
	eventually(w.t, line, func() bool { return strings.Contains(w.metrics(), line+"\n") })
}

func TestLoadDecidesTheReplica(t *testing.T) {
	w := newWorld(t, setting{args: promptly})
	const queue = `inference_pool_per_pod_queue_size{model_server_pod="%s",name="standalone"} `
	const cache = `inference_pool_average_kv_cache_utilization{name="standalone"} `
	tests := map[string]struct {
		load        vllmsim.Load
		full, empty string // what the metrics say then
	}{
		"a filled queue":    {vllmsim.Load{Waiting: 30, Running: 8}, queue + "30", queue + "0"},
		"a filled KV cache": {vllmsim.Load{KVCacheUsage: 0.95}, cache + "0.19", cache + "0"}, // on average of five
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			of := func(line, pod string) string { return strings.Replace(line, "%s", pod, 1) }
			for full, free := range map[string]string{"phi4-0": "phi4-1", "phi4-1": "phi4-0"} {
				w.servers[full].SetBehaviour(vllmsim.Behaviour{Load: &tc.load})
				w.shows(of(tc.full, full))
				if !w.allGoTo(free, 10) {
					t.Errorf("with %s on %s, requests still go there", name, full)
				}
				w.servers[full].SetBehaviour(vllmsim.Behaviour{})
				w.shows(of(tc.empty, full))
			}
		})
	}
}

func TestManyRequestsBetweenTwoScrapesSpread(t *testing.T) {
	w := newWorld(t, setting{tune: func(c *vllmsim.Config) { c.TTFT = 2 * time.Second }})
	const n = 20
	pods := make(chan string, n)
	for i := range n {
		go func() {
			got, err := w.send(http.MethodPost, "/v1/chat/completions", strings.NewReader(chatBody("phi4-mini", fmt.Sprint("question ", i))))
			if err != nil {
				t.Error(err)
			}
			pods <- got.pod()
		}()
	}
	counts := map[string]int{}
	for range n {
		counts[<-pods]++
	}
	if counts["phi4-0"] < n/4 || counts["phi4-1"] < n/4 || counts["phi4-0"]+counts["phi4-1"] != n {
		t.Errorf("requests at once did not spread: %v", counts)
	}
}

func TestBodiesArriveByteForByte(t *testing.T) {
	const odd = "{\n \"z\" : 1.0,\t\"seed\":9007199254740993, \"a\":[1e5,-0.0,{}],\r\n" +
		" \"model\" : \"auto\" , \"messages\":[{\"content\":\"prove by math: 1+1=2 <&> \\u2028 é 数\",\"role\":\"user\"}] }\n"
	want := strings.Replace(odd, `"auto"`, `"phi4-mini"`, 1)
	for name, mode := range modes {
		for protocol, h2 := range map[string]bool{"HTTP/1.1": false, "h2": true} {
			t.Run(name+" over "+protocol, func(t *testing.T) {
				w := newWorld(t, setting{extProc: mode, h2: h2, args: []string{"--allow-mode-override"},
					envoy: rig.EnvoyConfig{BufferLimitBytes: 32 << 20}})
				check := func(what string, r reply, err error, want string) {
					t.Helper()
					if err != nil || r.status != 200 {
						t.Fatalf("%s: %v %v", what, err, r)
					}
					if got := w.lastBody(r.pod()); got != want {
						t.Errorf("%s: the model server got %d bytes %.200q\nwant %d bytes %.200q", what, len(got), got, len(want), want)
					}
				}
				r, err := w.send(http.MethodPost, "/v1/chat/completions", strings.NewReader(odd))
				check("an odd body", r, err, want)

				r, err = w.send(http.MethodPost, "/v1/chat/completions", &dribble{rest: odd})
				check("a byte at a time", r, err, want)

				pad := strings.Repeat("x", 10<<20)
				long := strings.Replace(odd, `"z"`, `"pad":"`+pad+`","z"`, 1)
				r, err = w.send(http.MethodPost, "/v1/chat/completions", strings.NewReader(long))
				check("10 MiB", r, err, strings.Replace(long, `"auto"`, `"phi4-mini"`, 1))

				r, err = w.sendWithTrailers(odd)
				check("with trailers", r, err, want)

				var packed bytes.Buffer
				z := gzip.NewWriter(&packed)
				_, _ = z.Write([]byte(odd))
				_ = z.Close()
				r, err = w.send(http.MethodPost, "/v1/chat/completions", &packed, "Content-Encoding", "gzip")
				if err != nil || r.status != 400 || !strings.Contains(r.body, "content-encoding") && !strings.Contains(r.body, "compress") {
					t.Errorf("gzip: %v %v", err, r)
				}
			})
		}
	}
}

// dribble gives a body away byte by byte, of unknown length.
type dribble struct{ rest string }

func (d *dribble) Read(p []byte) (int, error) {
	if d.rest == "" {
		return 0, io.EOF
	}
	p[0], d.rest = d.rest[0], d.rest[1:]
	return 1, nil
}

func (w *world) sendWithTrailers(body string) (reply, error) {
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.envoy.URL()+"/v1/chat/completions", io.NopCloser(strings.NewReader(body)))
	if err != nil {
		return reply{}, err
	}
	req.Trailer = http.Header{"X-Checksum": {"abc"}}
	return w.do(req)
}

// A streamed reply must reach the client while the model server still writes.
// When the events came is logged, beside a reply straight from the server.
func TestStreamsAreNotHeldBack(t *testing.T) {
	const ask = `{"model":"phi4-mini","stream":true,"messages":[{"role":"user","content":"hi"}]}`
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, setting{extProc: mode, tune: func(c *vllmsim.Config) { c.TPOT = 150 * time.Millisecond; c.OutputTokens = 12 }})
			direct, _ := w.events(w.servers["phi4-0"].URL(), ask)
			through, early := w.events(w.envoy.URL(), ask)
			t.Logf("events after ms, straight from the server: %v; through Envoy and the picker: %v", direct, through)
			if len(through) != len(direct) {
				t.Errorf("%d events, %d straight from the server", len(through), len(direct))
			}
			if !early {
				t.Error("when the second event came, the model server had finished: the reply was held back")
			}
		})
	}
}

// events returns when each event of a streamed reply came, in ms, and whether
// a server was still at work when the second one did.
func (w *world) events(url, body string) (at []int64, early bool) {
	w.t.Helper()
	start := time.Now()
	resp, err := w.client.Post(url+"/v1/chat/completions", "application/json", strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if !strings.HasPrefix(lines.Text(), "data: ") {
			continue
		}
		at = append(at, time.Since(start).Milliseconds())
		if len(at) == 2 {
			early = w.running("phi4-0")+w.running("phi4-1") == 1
		}
	}
	if lines.Err() != nil {
		w.t.Errorf("the stream ended with %v", lines.Err())
	}
	return at, early
}

// running is how many requests a server says it is at work on.
func (w *world) running(server string) int {
	resp, err := http.Get(w.servers[server].URL() + "/metrics")
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	page, _ := io.ReadAll(resp.Body)
	n := 0
	for line := range strings.SplitSeq(string(page), "\n") {
		if strings.HasPrefix(line, "vllm:num_requests_running") {
			_, _ = fmt.Sscan(line[strings.LastIndexByte(line, ' ')+1:], &n)
		}
	}
	return n
}

func TestRefusals(t *testing.T) {
	w := newWorld(t, setting{args: []string{"--max-request-bytes", "100000"},
		text: strings.Replace(string(patientDefault(t)), "defaultModel:", "trustedHeaders: [x-gateway-inference-objective]\n    defaultModel:", 1)})
	tests := map[string]struct {
		got    func() reply
		status int
		says   string
	}{
		"a body that is no JSON": {func() reply { return w.post("/v1/chat/completions", `{"model":`) }, 400, "not valid JSON"},
		"two models":             {func() reply { return w.post("/v1/chat/completions", `{"model":"auto","model":"x","messages":[]}`) }, 400, "model"},
		"a body too large":       {func() reply { return w.chat("auto", strings.Repeat("x", 200_000)) }, 413, "error"},
		"in Anthropic's shape":   {func() reply { return w.post("/v1/messages", `{"model":"nobody","messages":[]}`) }, 404, `{"type":"error"`},
		"saturated and sheddable": {func() reply {
			for _, pod := range []string{"phi4-0", "phi4-1"} {
				w.servers[pod].SetBehaviour(vllmsim.Behaviour{Load: &vllmsim.Load{Waiting: 50}})
			}
			var got reply
			eventually(t, "429", func() bool {
				got = w.chat("phi4-mini", "hi", "x-gateway-inference-objective", "batch")
				return got.status == 429
			})
			return got
		}, 429, "saturated"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := tc.got()
			if got.status != tc.status || !strings.Contains(got.body, tc.says) || !json.Valid([]byte(got.body)) {
				t.Errorf("want %d and %q: %v", tc.status, tc.says, got)
			}
		})
	}
	if got := w.chat("llama3-8b", "hi", "x-gateway-inference-objective", "batch"); got.status != 200 {
		t.Errorf("another model is saturated, yet: %v", got)
	}
}

func TestASlowClassifierCostsTheDecisionNotTheRequest(t *testing.T) {
	w := newWorld(t, setting{text: strings.Replace(string(patientDefault(t)), "timeout: 10s", "timeout: 1us", 1)})
	got := w.chat("auto", "What is 2+2 * (5-1)?")
	if reason := got.header.Get("x-semantic-epp-reason"); got.status != 200 || got.model() != "llama3-8b" || reason != "timeout" {
		t.Errorf("reason %s: %v", reason, got)
	}
}

func TestWithoutONNXRuntimeTheLinearModelDecides(t *testing.T) {
	w := newWorld(t, setting{text: strings.Replace(string(patientDefault(t)), "model: builtin", "model: linear", 1)})
	if got := w.chat("auto", "What is the derivative of f(x) = x^3?"); got.status != 200 || got.model() != "phi4-mini" {
		t.Errorf("%v", got)
	}
}

func TestAReplicaThatDiesIsLeftOut(t *testing.T) {
	w := newWorld(t, setting{args: promptly})
	if err := w.servers["phi4-0"].Close(); err != nil {
		t.Fatal(err)
	}
	w.shows("semantic_epp_endpoints_down 1")
	if !w.allGoTo("phi4-1", 10) {
		t.Error("requests still go to the dead replica")
	}
}

func TestRequestsUnderWayOnADyingReplica(t *testing.T) {
	w := newWorld(t, setting{tune: func(c *vllmsim.Config) { c.TTFT = time.Minute }})
	got := make(chan reply, 1)
	go func() {
		r, err := w.send(http.MethodPost, "/v1/chat/completions", strings.NewReader(chatBody("phi4-mini", "hi")))
		if err != nil {
			t.Error(err)
		}
		got <- r
	}()
	var busy string
	eventually(t, "the request is under way", func() bool {
		for _, name := range []string{"phi4-0", "phi4-1"} {
			if w.servers[name].Received() > 0 {
				busy = name
			}
		}
		return busy != ""
	})
	if err := w.servers[busy].Close(); err != nil {
		t.Fatal(err)
	}
	if r := <-got; r.status != 503 {
		t.Errorf("want 503: %v", r)
	}
}

func TestThePickerIsKilledDuringAReply(t *testing.T) {
	w := newWorld(t, setting{tune: func(c *vllmsim.Config) { c.TPOT = 100 * time.Millisecond; c.OutputTokens = 50 }})
	lines := w.stream()
	w.picker.Kill()
	if last(lines) == "data: [DONE]" {
		t.Error("the reply was whole, which README.md does not promise")
	}
}

func (w *world) allGoTo(pod string, n int) bool {
	for i := range n {
		if got := w.chat("phi4-mini", fmt.Sprint(i, time.Now())); got.status != 200 || got.pod() != pod {
			return false
		}
	}
	return true
}

func TestTheEndpointsFileIsFollowed(t *testing.T) {
	w := newWorld(t, setting{})
	w.writeEndpoints("phi4-0")
	eventually(t, "phi4-0 is left out", func() bool { return w.allGoTo("phi4-1", 6) })
	w.writeEndpoints("phi4-0", "phi4-1")
	eventually(t, "503 without a replica", func() bool { return w.chat("phi4-mini", "hi").status == 503 })
	if got := w.chat("auto", "What is 2+2 * (5-1)?"); got.status != 200 || got.model() != "llama3-8b" || got.header.Get("x-semantic-epp-reason") != "spilled" {
		t.Errorf("the rule's second model does not step in: %v", got)
	}
	if err := os.WriteFile(w.endpoints, []byte("endpoints: nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the bad file is reported", func() bool {
		return strings.Contains(w.picker.Process().Output().String(), "keeping the last good version")
	})
	if got := w.chat("llama3-8b", "hi"); got.status != 200 {
		t.Errorf("after a bad file: %v", got)
	}
}

func TestThePickerIsKilledAndRestarted(t *testing.T) {
	w := newWorld(t, setting{})
	if got := w.chat("llama3-8b", "hi"); got.status != 200 {
		t.Fatal(got)
	}
	w.picker.Kill()
	<-w.picker.Process().Exited()
	if got := w.chat("llama3-8b", "hi"); got.status != 500 {
		t.Errorf("without a picker: %v", got)
	}
	if err := w.picker.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the restarted picker answers", func() bool { return w.chat("llama3-8b", "hi").status == 200 })
}

func TestSIGTERMLetsRepliesEnd(t *testing.T) {
	w := newWorld(t, setting{tune: func(c *vllmsim.Config) { c.TPOT = 100 * time.Millisecond; c.OutputTokens = 15 }})
	lines := w.stream()
	if err := syscall.Kill(w.picker.Process().Pid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got := last(lines); lines.Err() != nil || got != "data: [DONE]" {
		t.Errorf("the reply ended with %q, %v", got, lines.Err())
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	select {
	case <-w.picker.Process().Exited():
	case <-ctx.Done():
		t.Fatal("the picker did not stop")
	}
	if err := w.picker.Process().Err(); !strings.Contains(err.Error(), "exit status 0") {
		t.Errorf("the picker stopped with %v", err)
	}
}

func TestPlaintextBesideTLS(t *testing.T) {
	w := newWorld(t, setting{plain: true})
	if got := w.chat("auto", "What is 2+2 * (5-1)?"); got.status != 200 || got.model() != "phi4-mini" {
		t.Errorf("%v", got)
	}
}

func TestBodiesMayBeAskedFor(t *testing.T) {
	allowed := newWorld(t, setting{extProc: rig.ExtProc{RequestBody: rig.None, ResponseBody: rig.None, AllowModeOverride: true}, args: []string{"--allow-mode-override"}})
	if got := allowed.chat("auto", "What is 2+2 * (5-1)?"); got.status != 200 || got.model() != "phi4-mini" {
		t.Errorf("asked for the body: %v", got)
	}
	refused := newWorld(t, setting{extProc: rig.ExtProc{RequestBody: rig.None, ResponseBody: rig.None}})
	if got := refused.chat("auto", "What is 2+2 * (5-1)?"); got.status < 500 || !strings.Contains(got.body, "request_body_mode") {
		t.Errorf("no body and no way to ask for it: %v", got)
	}
}
