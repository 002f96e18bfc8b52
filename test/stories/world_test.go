// Package stories tells what users see: requests through a real Envoy to the
// race-built picker and on to simulated model servers.
package stories

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"semantic-epp/test/rig"
	"semantic-epp/test/vllmsim"
)

// binary is the race-built picker.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "stories-*")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "semantic-epp")
		build := exec.Command("go", "build", "-race", "-o", binary, "semantic-epp/cmd/semantic-epp")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build the picker: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// servers of the demo's shape: two models with two replicas each, and a base
// model with LoRA experts.
var shape = []struct {
	name, app string
	cfg       vllmsim.Config
}{
	{"llama-0", "vllm-llama3-8b-instruct", vllmsim.Config{Model: "llama3-8b"}},
	{"llama-1", "vllm-llama3-8b-instruct", vllmsim.Config{Model: "llama3-8b"}},
	{"phi4-0", "phi4-mini", vllmsim.Config{Model: "phi4-mini"}},
	{"phi4-1", "phi4-mini", vllmsim.Config{Model: "phi4-mini"}},
	{"base-0", "base-model", vllmsim.Config{Model: "base-model", MaxLoras: 4, Adapters: []string{
		"math-expert", "science-expert", "social-expert", "humanities-expert", "law-expert", "general-expert"}}},
}

// A world is what a story happens in.
type world struct {
	t         *testing.T
	servers   map[string]*vllmsim.Server
	endpoints string // the endpoints file
	config    string // the configuration file
	picker    *rig.Picker
	envoy     *rig.Envoy
	client    *http.Client
}

// A setting is how a story's world differs from the usual one.
type setting struct {
	config   string                // file below config/examples; the embedded one by default
	text     string                // configuration text instead
	of       func(w *world) string // configuration text with endpoints of its own instead
	args     []string
	extProc  rig.ExtProc
	envoy    rig.EnvoyConfig
	tune     func(cfg *vllmsim.Config)
	h2       bool
	plain    bool // Envoy uses the plaintext port beside TLS
	override bool // override_host clusters and routes by model, in place of ORIGINAL_DST
}

// patient keeps a slow machine from failing stories that are not about
// time: the race detector makes a classification several times as long.
var patient = []string{"--decision-timeout", "20s"}

func newWorld(t *testing.T, s setting) *world {
	t.Helper()
	w := &world{t: t, servers: map[string]*vllmsim.Server{}}
	for _, server := range shape {
		cfg := server.cfg
		cfg.Name = server.name
		if s.tune != nil {
			s.tune(&cfg)
		}
		sim, err := vllmsim.Start(cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = sim.Close() })
		w.servers[server.name] = sim
	}
	dir := t.TempDir()
	w.endpoints = filepath.Join(dir, "endpoints.yaml")
	w.writeEndpoints()
	cfg := rig.PickerConfig{Binary: binary, EndpointsFile: w.endpoints, Verbosity: 5, Plaintext: s.plain, Args: append(patient, s.args...)}
	if s.of != nil {
		s.text, cfg.EndpointsFile = s.of(w), ""
	}
	switch {
	case s.config != "":
		cfg.ConfigFile = filepath.Join("..", "..", "config", "examples", s.config)
	case s.text != "":
		cfg.ConfigFile = filepath.Join(dir, "config.yaml")
		if err := os.WriteFile(cfg.ConfigFile, []byte(s.text), 0o600); err != nil {
			t.Fatal(err)
		}
	default:
		cfg.ConfigFile = filepath.Join(dir, "default.yaml")
		if err := os.WriteFile(cfg.ConfigFile, patientDefault(t), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.config = cfg.ConfigFile
	var err error
	if w.picker, err = rig.StartPicker(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the picker said:\n%s", w.picker.Process().Output().Tail(15))
		}
		_ = w.picker.Stop(context.Background())
	})
	s.extProc.Address, s.extProc.TLS = w.picker.Addr(), true
	if s.plain {
		s.extProc.Address, s.extProc.TLS = w.picker.PlaintextAddr(), false
	}
	if s.extProc.MessageTimeout == 0 {
		s.extProc.MessageTimeout = 20 * time.Second
	}
	s.envoy.ExtProc = &s.extProc
	if s.override {
		s.envoy.Pools = []rig.Pool{
			{Model: "llama3-8b", Endpoints: []string{w.servers["llama-0"].Addr(), w.servers["llama-1"].Addr()}},
			{Model: "phi4-mini", Endpoints: []string{w.servers["phi4-0"].Addr(), w.servers["phi4-1"].Addr()}},
		}
		s.envoy.DefaultPool, s.envoy.PickOnly = "llama3-8b", true
	}
	if w.envoy, err = rig.StartEnvoy(t.Context(), s.envoy); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.envoy.Stop(context.Background()) })
	transport := &http.Transport{DisableCompression: true}
	if s.h2 {
		transport.Protocols = new(http.Protocols)
		transport.Protocols.SetUnencryptedHTTP2(true)
	}
	t.Cleanup(transport.CloseIdleConnections)
	w.client = &http.Client{Transport: transport, Timeout: time.Minute}
	return w
}

// patientDefault is the embedded configuration with a classifier that may take
// its time under the race detector.
func patientDefault(t *testing.T) []byte {
	t.Helper()
	out, err := exec.Command(binary, "config", "default").Output()
	if err != nil {
		t.Fatal(err)
	}
	const was = "classifier: {model: builtin, minConfidence: 0.5}"
	if !bytes.Contains(out, []byte(was)) {
		t.Fatal("the embedded configuration has no classifier to be patient with")
	}
	return bytes.Replace(out, []byte(was), []byte("classifier: {model: builtin, minConfidence: 0.5, timeout: 10s}"), 1)
}

// writeEndpoints writes the file anew, without the servers named.
func (w *world) writeEndpoints(without ...string) {
	w.t.Helper()
	var b strings.Builder
	b.WriteString("endpoints:\n")
	for _, server := range shape {
		if strings.Contains(strings.Join(without, " "), server.name) {
			continue
		}
		fmt.Fprintf(&b, "- {name: %s, address: 127.0.0.1, port: %d, labels: {app: %s}}\n", server.name, w.servers[server.name].Port(), server.app)
	}
	b.WriteString("objectives: [{name: batch, priority: -1}]\n")
	if err := os.WriteFile(w.endpoints+".new", []byte(b.String()), 0o600); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Rename(w.endpoints+".new", w.endpoints); err != nil {
		w.t.Fatal(err)
	}
}

// A reply is what a client got.
type reply struct {
	status int
	header http.Header
	body   string
}

func (r reply) pod() string { return r.header.Get("X-Inference-Pod") }

// model is the model that the reply's body names.
func (r reply) model() string {
	var body struct{ Model string }
	_ = json.Unmarshal([]byte(r.body), &body)
	return body.Model
}

func (r reply) String() string {
	return fmt.Sprintf("status %d from %q, headers %v: %.300s", r.status, r.pod(), r.header, r.body)
}

// send sends a request and reads the whole reply.
func (w *world) send(method, path string, body io.Reader, headers ...string) (reply, error) {
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.envoy.URL()+path, body)
	if err != nil {
		return reply{}, err
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return w.do(req)
}

func (w *world) do(req *http.Request) (reply, error) {
	req.Header.Set("Content-Type", "application/json")
	resp, err := w.client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, string(text)}, err
}

// stream asks for a streamed reply and returns the lines of it, the first of
// which has come.
func (w *world) stream() *bufio.Scanner {
	w.t.Helper()
	resp, err := w.client.Post(w.envoy.URL()+"/v1/chat/completions", "application/json",
		strings.NewReader(`{"model":"phi4-mini","stream":true,"messages":[{"role":"user","content":"hi"}]}`))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = resp.Body.Close() })
	lines := bufio.NewScanner(resp.Body)
	lines.Scan()
	return lines
}

// last reads lines to their end and returns the last one that is not empty.
func last(lines *bufio.Scanner) string {
	text := ""
	for lines.Scan() {
		if lines.Text() != "" {
			text = lines.Text()
		}
	}
	return text
}

// post sends a body that must get a whole reply.
func (w *world) post(path, body string, headers ...string) reply {
	w.t.Helper()
	r, err := w.send(http.MethodPost, path, strings.NewReader(body), headers...)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// chat asks a model something.
func (w *world) chat(model, prompt string, headers ...string) reply {
	w.t.Helper()
	return w.post("/v1/chat/completions", chatBody(model, prompt), headers...)
}

func chatBody(model, prompt string) string {
	text, _ := json.Marshal(prompt)
	return fmt.Sprintf(`{"model": %q, "messages": [{"role": "user", "content": %s}]}`, model, text)
}

// lastBody is the body of the last request that a server got.
func (w *world) lastBody(server string) string {
	w.t.Helper()
	requests := w.servers[server].Requests()
	if len(requests) == 0 {
		w.t.Fatalf("%s got no request", server)
	}
	return string(requests[len(requests)-1].Body)
}

// eventually waits for what polling or a reload brings about.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("never happened: %s", what)
}

// metrics is the picker's metrics page.
func (w *world) metrics() string {
	w.t.Helper()
	resp, err := http.Get(w.picker.MetricsURL())
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(page)
}
