package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"semantic-epp/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// screen is a terminal for tests.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// build builds the picker; the build cache makes it quick the second time.
func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "semantic-epp")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "semantic-epp/cmd/semantic-epp").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

func TestSmokeRun(t *testing.T) {
	var out screen
	if err := run(t.Context(), settings{picker: build(t), smoke: true}, &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{
		"curl -sN http://127.0.0.1:",
		"→ phi4-mini         → phi4-mini-",
		"→ llama3-8b         → llama3-8b-",
		"llama3-8b   not classified",
		"→ math-expert       → base-model-0 127.0.0.1:",
		"All 6 requests got 200.",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

func TestCtrlCStopsEverything(t *testing.T) {
	ctx, ctrlC := context.WithCancel(t.Context())
	var out screen
	done := make(chan error)
	picker := build(t)
	go func() { done <- run(ctx, settings{picker: picker}, &out) }()
	for !strings.Contains(out.String(), "Ctrl-C stops all") {
		select {
		case err := <-done:
			t.Fatal(err)
		case <-time.After(10 * time.Millisecond):
		}
	}
	ctrlC()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestADyingPickerIsReported(t *testing.T) {
	err := run(t.Context(), settings{picker: script(t, "echo my last words; exit 7")}, &screen{})
	if err == nil || !strings.Contains(err.Error(), "picker ended (exit status 7)") || !strings.Contains(err.Error(), "my last words") {
		t.Errorf("got %v", err)
	}
}

// script writes a shell script.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestEnvoyMissing(t *testing.T) {
	t.Setenv("ENVOY_PATH", "")
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	err := run(t.Context(), settings{picker: "false"}, &screen{})
	if err == nil || !strings.Contains(err.Error(), "make deps") {
		t.Errorf("got %v, want it to name the remedy", err)
	}
}

func TestPortFallback(t *testing.T) {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", usualPort))
	if err == nil {
		defer l.Close()
	} // else another program has the port, which is as good
	var out screen
	envoy, err := startEnvoy(t.Context(), 0, "127.0.0.1:9", &out)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := envoy.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	if !strings.Contains(out.String(), "Port 8080 is in use: taking a free one.") {
		t.Errorf("it said %q", out.String())
	}
	if _, port, _ := net.SplitHostPort(envoy.Addr()); port == "8080" || port == "0" {
		t.Errorf("Envoy listens on %s", envoy.Addr())
	}
	if _, err := startEnvoy(t.Context(), usualPort, "127.0.0.1:9", &out); err == nil {
		t.Error("a port that was asked for was silently replaced")
	}
}

func TestCommandLine(t *testing.T) {
	tests := map[string]struct {
		args []string
		want []string // in the error
	}{
		"no picker":             {[]string{"--picker", "/nonexistent"}, []string{"make build"}},
		"every file is missing": {[]string{"--picker", os.Args[0], "--endpoints", "/no1", "--config", "/no2"}, []string{"--endpoints", "/no1", "--config", "/no2"}},
		"no port":               {[]string{"--picker", os.Args[0], "--port", "70000"}, []string{"70000"}},
		"a stray word":          {[]string{"--picker", os.Args[0], "start"}, []string{`"start"`, "--help"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := parse(tc.args, &screen{})
			for _, want := range tc.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want it to name %s", err, want)
				}
			}
		})
	}
	var out screen
	if _, err := parse([]string{"--help"}, &out); !errors.Is(err, flag.ErrHelp) || !strings.Contains(out.String(), "-smoke") {
		t.Errorf("--help gives %v and %q", err, out.String())
	}
}

func TestEndpointsFileOfTheSimulatedServers(t *testing.T) {
	var opened stack
	path, err := simulate(&opened)
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file, err := config.DecodeEndpoints(content)
	if err != nil {
		t.Fatalf("%v in\n%s", err, content)
	}
	if len(file.Endpoints) != len(simulated) {
		t.Errorf("%d endpoints, want %d", len(file.Endpoints), len(simulated))
	}
	if err := opened.stop(&screen{}); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the endpoints file is still there: %v", err)
	}
}

func TestFollowerTellsDecisions(t *testing.T) {
	const log = `{"level":"info","msg":"decision","requestId":"1","api":"chat","requestedModel":"auto","category":"math","confidence":0.973,"model":"phi4-mini","rule":"math","reason":"rule","endpoint":"phi4-mini-1 127.0.0.1:1","durationMs":3.21}
{"level":"info","msg":"something else"}
not JSON
{"level":"info","msg":"decision","requestedModel":"llama3-8b","category":"","confidence":0,"model":"llama3-8b","rule":"","reason":"explicit","endpoint":"","durationMs":0.1}
{"level":"error","msg":"broken"}
`
	const want = `auto        math 0.97              → phi4-mini         → phi4-mini-1 127.0.0.1:1      rule math             3.2 ms
llama3-8b   not classified         → llama3-8b         → no endpoint                  explicit              0.1 ms
picker: {"level":"error","msg":"broken"}
`
	for _, size := range []int{1, 7, len(log)} {
		var out screen
		f := &follower{out: &out}
		for rest := log; rest != ""; {
			n := min(size, len(rest))
			if _, err := f.Write([]byte(rest[:n])); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if out.String() != want {
			t.Errorf("in pieces of %d bytes:\n%s\nwant\n%s", size, out.String(), want)
		}
		if err := f.await(t.Context(), 2); err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := f.await(ctx, 3); err == nil || !strings.Contains(err.Error(), "2 decisions for 3 requests") {
			t.Errorf("got %v", err)
		}
	}
}

func TestCurlCommandsSurviveTheShell(t *testing.T) {
	e := chat("quotes", "auto", `It's "$HOME" \ and`+"`more`", false)
	out, err := exec.CommandContext(t.Context(), "sh", "-c", "curl() { for a; do last=$a; done; printf %s \"$last\"; }; "+e.curl("http://x")).Output()
	if err != nil {
		t.Fatal(err)
	}
	if string(out) != e.body {
		t.Errorf("the shell passes %s, want %s", out, e.body)
	}
}
