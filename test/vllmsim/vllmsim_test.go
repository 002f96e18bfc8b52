package vllmsim_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"semantic-epp/test/vllmsim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start starts a server that is closed before the test ends.
func start(t *testing.T, cfg vllmsim.Config) *vllmsim.Server {
	t.Helper()
	if cfg.Model == "" {
		cfg.Model = "llama3-8b"
	}
	s, err := vllmsim.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// client is an HTTP client of a test's own, whose connections end with it.
func client(t *testing.T) *http.Client {
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

type answer struct {
	status int
	header http.Header
	body   []byte
	err    error // of the body
}

func send(t *testing.T, c *http.Client, method, url, body string) answer {
	t.Helper()
	a, err := try(t.Context(), c, method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func try(ctx context.Context, c *http.Client, method, url, body string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	resp, err := c.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, content, err}, nil
}

// at reads a value out of JSON by a path such as "choices.0.text".
func at(t *testing.T, body []byte, path string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatalf("%v in %q", err, body)
	}
	for _, step := range strings.Split(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[step]
		case []any:
			var i int
			if _, err := fmt.Sscan(step, &i); err != nil || i >= len(x) {
				t.Fatalf("no %s in %s", path, body)
			}
			v = x[i]
		default:
			t.Fatalf("no %s in %s", path, body)
		}
	}
	return v
}

// data returns the data of the server-sent events in body.
func data(body []byte) []string {
	var all []string
	for line := range strings.Lines(string(body)) {
		if d, ok := strings.CutPrefix(line, "data: "); ok {
			all = append(all, strings.TrimSpace(d))
		}
	}
	return all
}

func TestReplies(t *testing.T) {
	s := start(t, vllmsim.Config{Name: "pod-1", OutputTokens: 3})
	c := client(t)
	const words = "the model says."
	tests := map[string]struct {
		path, body string
		want       map[string]any
	}{
		"chat": {
			"/v1/chat/completions", `{"model":"llama3-8b","messages":[{"role":"user","content":"12345678"}]}`,
			map[string]any{"object": "chat.completion", "model": "llama3-8b", "choices.0.message.content": words,
				"choices.0.finish_reason": "stop", "usage.prompt_tokens": 2.0, "usage.completion_tokens": 3.0, "usage.total_tokens": 5.0},
		},
		"chat of content parts, cut short": {
			"/v1/chat/completions", `{"model":"llama3-8b","max_completion_tokens":1,"messages":[{"role":"user","content":[{"type":"text","text":"1234"},{"type":"text","text":"5"}]}]}`,
			map[string]any{"choices.0.finish_reason": "length", "usage.prompt_tokens": 2.0, "usage.completion_tokens": 1.0},
		},
		"completion": {
			"/v1/completions", `{"model":"llama3-8b","prompt":"1234"}`,
			map[string]any{"object": "text_completion", "choices.0.text": words, "usage.total_tokens": 4.0},
		},
		"completion of token ids": {
			"/v1/completions", `{"model":"llama3-8b","prompt":[1,2,3,4,5]}`,
			map[string]any{"usage.prompt_tokens": 5.0},
		},
		"response": {
			"/v1/responses", `{"model":"llama3-8b","input":"1234","instructions":"1234"}`,
			map[string]any{"object": "response", "status": "completed", "output.0.content.0.text": words, "usage.input_tokens": 2.0, "usage.output_tokens": 3.0},
		},
		"response of messages, cut short": {
			"/v1/responses", `{"model":"llama3-8b","max_output_tokens":2,"input":[{"role":"user","content":[{"type":"input_text","text":"1234"}]}]}`,
			map[string]any{"status": "incomplete", "usage.input_tokens": 1.0, "usage.output_tokens": 2.0},
		},
		"message": {
			"/v1/messages", `{"model":"llama3-8b","max_tokens":9,"system":"1234","messages":[{"role":"user","content":"1234"}]}`,
			map[string]any{"type": "message", "content.0.text": words, "stop_reason": "end_turn", "usage.input_tokens": 2.0, "usage.output_tokens": 3.0},
		},
		"embeddings": {
			"/v1/embeddings", `{"model":"llama3-8b","input":["1234","1234"]}`,
			map[string]any{"object": "list", "data.1.index": 1.0, "data.1.object": "embedding", "usage.prompt_tokens": 2.0, "usage.total_tokens": 2.0},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			a := send(t, c, "POST", s.URL()+tc.path, tc.body)
			if a.status != 200 || a.header.Get("X-Inference-Pod") != "pod-1" {
				t.Fatalf("status %d, header %v: %s", a.status, a.header, a.body)
			}
			for path, want := range tc.want {
				if got := at(t, a.body, path); got != want {
					t.Errorf("%s is %v, want %v, in %s", path, got, want, a.body)
				}
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	s := start(t, vllmsim.Config{MaxModelLen: 20})
	c := client(t)
	const chat, messages = "/v1/chat/completions", "/v1/messages"
	tests := map[string]struct {
		method, path, body string
		status             int
		want               map[string]any
	}{
		"unknown model": {"POST", chat, `{"model":"auto","messages":[{"role":"user","content":"x"}]}`, 404, map[string]any{
			"error.message": "The model `auto` does not exist.", "error.type": "NotFoundError", "error.param": nil, "error.code": 404.0}},
		"unknown model, Anthropic": {"POST", messages, `{"model":"auto","max_tokens":1,"messages":[{"role":"user","content":"x"}]}`, 404, map[string]any{
			"type": "error", "error.type": "not_found_error"}},
		"unknown model, embeddings": {"POST", "/v1/embeddings", `{"model":"auto","input":"x"}`, 404, map[string]any{"error.code": 404.0}},
		"no JSON":                   {"POST", chat, `{`, 400, map[string]any{"error.type": "BadRequestError"}},
		"no messages":               {"POST", chat, `{"model":"llama3-8b"}`, 400, map[string]any{"error.code": 400.0}},
		"no max_tokens, Anthropic":  {"POST", messages, `{"model":"llama3-8b","messages":[{"role":"user","content":"x"}]}`, 400, map[string]any{"error.type": "invalid_request_error"}},
		"prompt too long":           {"POST", "/v1/completions", `{"model":"llama3-8b","prompt":"` + strings.Repeat("1234", 5) + `"}`, 400, map[string]any{"error.type": "BadRequestError"}},
		"unknown path":              {"GET", "/v2", ``, 404, map[string]any{"detail": "Not Found"}},
		"LoRA off":                  {"POST", "/v1/load_lora_adapter", `{"lora_name":"x"}`, 404, map[string]any{"detail": "Not Found"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			a := send(t, c, tc.method, s.URL()+tc.path, tc.body)
			if a.status != tc.status {
				t.Errorf("status %d, want %d", a.status, tc.status)
			}
			for path, want := range tc.want {
				if got := at(t, a.body, path); got != want {
					t.Errorf("%s is %v, want %v, in %s", path, got, want, a.body)
				}
			}
		})
	}
}

func TestStreams(t *testing.T) {
	s := start(t, vllmsim.Config{OutputTokens: 3})
	c := client(t)
	tests := map[string]struct {
		path, body string
		piece      string // where the text is in an event
		want       string
		lastType   string
		events     int
	}{
		"chat": {"/v1/chat/completions", `{"model":"llama3-8b","stream":true,"messages":[{"role":"user","content":"x"}]}`,
			`"delta":{"content":"`, "the model says.", "[DONE]", 1 + 3 + 1 + 1},
		"chat with usage": {"/v1/chat/completions", `{"model":"llama3-8b","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"x"}]}`,
			`"delta":{"content":"`, "the model says.", "[DONE]", 1 + 3 + 1 + 1 + 1},
		"completion": {"/v1/completions", `{"model":"llama3-8b","stream":true,"prompt":"x"}`,
			`"text":"`, "the model says.", "[DONE]", 3 + 1 + 1},
		"response": {"/v1/responses", `{"model":"llama3-8b","stream":true,"input":"x"}`,
			`"delta":"`, "the model says.", "response.completed", 3 + 3 + 2},
		"message": {"/v1/messages", `{"model":"llama3-8b","max_tokens":2,"stream":true,"messages":[{"role":"user","content":"x"}]}`,
			`"delta":{"text":"`, "the model ", "message_stop", 2 + 2 + 3},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			a := send(t, c, "POST", s.URL()+tc.path, tc.body)
			if a.status != 200 || !strings.HasPrefix(a.header.Get("Content-Type"), "text/event-stream") {
				t.Fatalf("status %d, header %v: %s", a.status, a.header, a.body)
			}
			events := data(a.body)
			if len(events) != tc.events {
				t.Errorf("%d events, want %d: %s", len(events), tc.events, a.body)
			}
			if !strings.Contains(events[len(events)-1], tc.lastType) {
				t.Errorf("the last event is %s, want %s", events[len(events)-1], tc.lastType)
			}
			var text strings.Builder
			for _, e := range events {
				if _, rest, ok := strings.Cut(e, tc.piece); ok {
					piece, _, _ := strings.Cut(rest, `"`)
					text.WriteString(piece)
				}
			}
			if text.String() != tc.want {
				t.Errorf("text %q, want %q", text.String(), tc.want)
			}
		})
	}
	a := send(t, c, "POST", s.URL()+"/v1/chat/completions", tests["chat with usage"].body)
	events := data(a.body)
	if got := at(t, []byte(events[len(events)-2]), "usage.completion_tokens"); got != 3.0 {
		t.Errorf("usage says %v output tokens, want 3", got)
	}
}

func TestTokensAppearInTime(t *testing.T) {
	const tpot = 30 * time.Millisecond
	s := start(t, vllmsim.Config{TPOT: tpot, OutputTokens: 4})
	req, err := http.NewRequestWithContext(t.Context(), "POST", s.URL()+"/v1/completions",
		strings.NewReader(`{"model":"llama3-8b","stream":true,"prompt":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	resp, err := client(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	one := make([]byte, 1)
	if _, err := io.ReadFull(resp.Body, one); err != nil {
		t.Fatal(err)
	}
	first := time.Now()
	if _, err := io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	// Later than planned says nothing on a busy machine; earlier, or all at
	// once, is wrong.
	if whole := time.Since(begin); whole < 3*tpot {
		t.Errorf("the whole reply took %v, want at least %v", whole, 3*tpot)
	}
	if rest := time.Since(first); rest < tpot {
		t.Errorf("the first byte came %v before the end, want at least %v", rest, tpot)
	}
}

func TestEcho(t *testing.T) {
	s := start(t, vllmsim.Config{})
	s.SetBehaviour(vllmsim.Behaviour{Echo: true})
	const prompt = "Grüße, 世界! <&>"
	for name, stream := range map[string]string{"whole": "false", "stream": "true"} {
		t.Run(name, func(t *testing.T) {
			a := send(t, client(t), "POST", s.URL()+"/v1/chat/completions",
				`{"model":"llama3-8b","stream":`+stream+`,"messages":[{"role":"user","content":"old"},{"role":"assistant","content":"x"},{"role":"user","content":"`+prompt+`"}]}`)
			got := ""
			if stream == "false" {
				got = at(t, a.body, "choices.0.message.content").(string)
			} else {
				for _, e := range data(a.body) {
					if e != "[DONE]" {
						piece, _ := at(t, []byte(e), "choices.0.delta.content").(string)
						got += piece
					}
				}
			}
			if got != prompt {
				t.Errorf("echo is %q, want %q", got, prompt)
			}
		})
	}
}

func TestGzip(t *testing.T) {
	s := start(t, vllmsim.Config{})
	s.SetBehaviour(vllmsim.Behaviour{Gzip: true})
	for name, stream := range map[string]string{"whole": "false", "stream": "true"} {
		t.Run(name, func(t *testing.T) {
			a := send(t, client(t), "POST", s.URL()+"/v1/completions", `{"model":"llama3-8b","stream":`+stream+`,"prompt":"x"}`)
			if a.header.Get("Content-Encoding") != "gzip" {
				t.Fatalf("not compressed: %v", a.header)
			}
			z, err := gzip.NewReader(bytes.NewReader(a.body))
			if err != nil {
				t.Fatal(err)
			}
			plain, err := io.ReadAll(z)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Contains(plain, []byte("text_completion")) {
				t.Errorf("got %q", plain)
			}
		})
	}
}

func TestRequestsAreKeptByteForByte(t *testing.T) {
	s := start(t, vllmsim.Config{KeepRequests: 2})
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	h2 := &http.Transport{Protocols: &protocols}
	t.Cleanup(h2.CloseIdleConnections)

	const body = "{ \"model\" : \"llama3-8b\",\n\"prompt\":\"\\u0041\", \"seed\": 9007199254740993 }"
	req, err := http.NewRequestWithContext(t.Context(), "POST", s.URL()+"/v1/completions?a=b", io.NopCloser(strings.NewReader(body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Test", "1")
	req.Trailer = http.Header{"X-Checksum": {"abc"}}
	resp, err := h2.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()

	got := s.Requests()[0]
	if string(got.Body) != body || got.Path != "/v1/completions?a=b" || got.Proto != "HTTP/2.0" ||
		got.Header.Get("X-Test") != "1" || got.Trailer.Get("X-Checksum") != "abc" {
		t.Errorf("kept %+v, body %q", got, got.Body)
	}

	for range 3 {
		send(t, client(t), "GET", s.URL()+"/v1/models", "")
	}
	send(t, client(t), "GET", s.URL()+"/metrics", "")
	if kept := s.Requests(); len(kept) != 2 || kept[1].Path != "/v1/models" || s.Received() != 4 {
		t.Errorf("kept %d of %d requests, want 2 of 4", len(kept), s.Received())
	}
}

func TestFaults(t *testing.T) {
	const stream = `{"model":"llama3-8b","stream":true,"prompt":"x"}`
	const whole = `{"model":"llama3-8b","prompt":"x"}`
	tests := map[string]struct {
		behaviour vllmsim.Behaviour
		body      string
		status    int // 0: the connection is cut before a head
		cut       bool
	}{
		"fails":                        {vllmsim.Behaviour{Fail: 503}, whole, 503, false},
		"cut before headers":           {vllmsim.Behaviour{Drop: vllmsim.DropBeforeHeaders}, whole, 0, true},
		"cut after headers":            {vllmsim.Behaviour{Drop: vllmsim.DropAfterHeaders}, whole, 200, true},
		"stream cut":                   {vllmsim.Behaviour{Drop: vllmsim.DropAfterHeaders}, stream, 200, true},
		"compressed stream cut":        {vllmsim.Behaviour{Drop: vllmsim.DropAfterHeaders, Gzip: true}, stream, 200, true},
		"healthy again after a change": {vllmsim.Behaviour{}, stream, 200, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := start(t, vllmsim.Config{})
			s.SetBehaviour(vllmsim.Behaviour{Fail: 500})
			s.SetBehaviour(tc.behaviour)
			a, err := try(t.Context(), client(t), "POST", s.URL()+"/v1/completions", tc.body)
			if (err != nil) != (tc.status == 0) || a.status != tc.status {
				t.Fatalf("status %d, error %v", a.status, err)
			}
			if tc.status != 0 && (a.err != nil) != tc.cut {
				t.Errorf("body ends with %v, want cut %v", a.err, tc.cut)
			}
			if tc.cut && tc.status == 200 && len(a.body) == 0 {
				t.Error("nothing came before the cut")
			}
		})
	}
}

func TestCloseEndsHangingRequests(t *testing.T) {
	s, err := vllmsim.Start(vllmsim.Config{Model: "m"})
	if err != nil {
		t.Fatal(err)
	}
	s.SetBehaviour(vllmsim.Behaviour{Hang: true})
	c := client(t)
	ended := make(chan error)
	go func() {
		_, err := try(context.WithoutCancel(t.Context()), c, "POST", s.URL()+"/v1/completions", `{"model":"m","prompt":"x"}`)
		ended <- err
	}()
	await(t, s, `vllm:num_requests_running{engine="0",model_name="m"} 1.0`)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err == nil {
		t.Error("a hanging request got an answer")
	}
	if err := s.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func TestStartRefusesNonsense(t *testing.T) {
	tests := map[string]struct {
		cfg  vllmsim.Config
		want []string
	}{
		"nothing":                {vllmsim.Config{}, []string{"Model"}},
		"several faults at once": {vllmsim.Config{MaxNumSeqs: -1, TPOT: -1}, []string{"Model", "MaxNumSeqs is -1", "TPOT"}},
		"LoRA off":               {vllmsim.Config{Model: "m", Adapters: []string{"a"}}, []string{"MaxLoras"}},
		"adapter twice":          {vllmsim.Config{Model: "m", MaxLoras: 1, Adapters: []string{"a", "a"}}, []string{`"a"`}},
		"cache too small":        {vllmsim.Config{Model: "m", MaxModelLen: 100, NumGPUBlocks: 2}, []string{"needs 7 blocks of 16"}},
		"no address":             {vllmsim.Config{Model: "m", Address: "nowhere"}, []string{"start simulated vLLM server m", "nowhere"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := vllmsim.Start(tc.cfg)
			for _, want := range tc.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want it to name %s", err, want)
				}
			}
		})
	}
}

func ExampleStart() {
	server, err := vllmsim.Start(vllmsim.Config{Name: "pod-1", Model: "llama3-8b"})
	if err != nil {
		panic(err)
	}
	defer server.Close()
	resp, err := http.Post(server.URL()+"/v1/completions", "application/json", strings.NewReader(`{"model":"auto","prompt":"hi"}`))
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	body, _ := io.ReadAll(resp.Body)
	fmt.Println(resp.Header.Get("X-Inference-Pod"), string(body))
	// Output: pod-1 {"error":{"code":404,"message":"The model `auto` does not exist.","param":null,"type":"NotFoundError"}}
}
