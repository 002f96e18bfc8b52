package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// asProgram makes the test's binary the program, for what takes a process of its
// own: metrics are registered once in each.
const asProgram = "SEMANTIC_EPP_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// freePorts are ports that were free a moment ago.
func freePorts(t *testing.T, n int) []string {
	t.Helper()
	var ports []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // after all: none is given twice
		ports = append(ports, strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	}
	return ports
}

// served starts serve with the API and returns the root of that and a function
// that stops it and returns the log.
func served(t *testing.T, args ...string) (url string, stop func() string) {
	t.Helper()
	ports := freePorts(t, 2)
	cmd := exec.Command(os.Args[0], append([]string{"serve", "--grpc-port", ports[0], "--grpc-health-port", "0", "--metrics-port", "0", "--api-port", ports[1]}, args...)...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	stop = sync.OnceValue(func() string {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-exited:
			if err != nil {
				t.Errorf("serve ended with %v", err)
			}
		case <-time.After(20 * time.Second):
			_ = cmd.Process.Kill()
			<-exited
			t.Error("serve did not stop")
		}
		return log.String()
	})
	t.Cleanup(func() { stop() })
	url = "http://127.0.0.1:" + ports[1]
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if resp, err := http.Get(url + "/ready"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return url, stop
			}
		}
		if time.Now().After(end) {
			t.Fatalf("the API is never ready:\n%s", stop())
		}
	}
}

// ask sends a request to the API and returns the reply.
func ask(t *testing.T, url, body string) (status int, reply map[string]any) {
	t.Helper()
	resp, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &reply); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return resp.StatusCode, reply
}

func TestServeTheAPI(t *testing.T) {
	path := filepath.Join(t.TempDir(), "endpoints.yaml")
	if err := os.WriteFile(path, []byte("endpoints: [{name: a, address: 127.0.0.1, port: 9, labels: {app: phi4-mini}}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	url, stop := served(t, "-v", "5", "--endpoints-file", path, "--config-text", strings.Replace(linear(), "minConfidence: 0.5", "minConfidence: 0.5, timeout: 10s", 1))
	status, reply := ask(t, url+"/api/v1/classify/intent", `{"text": "`+equation+`"}`)
	found, _ := reply["classification"].(map[string]any)
	if status != 200 || found["category"] != "math" || reply["recommended_model"] != "phi4-mini" || reply["routing_decision"] != "math" {
		t.Errorf("status %d: %v", status, reply)
	}
	status, reply = ask(t, url+"/api/v1/explain", `{"text": "`+equation+`"}`)
	if status != 200 || reply["model"] != "phi4-mini" || reply["rule"] != "math" || reply["reason"] != "rule" {
		t.Errorf("status %d: %v", status, reply)
	}
	if status, reply = ask(t, url+"/api/v1/classify/intent", `{"text": 5, "`+equation+`": 1`); status != 400 {
		t.Errorf("status %d: %v", status, reply)
	}
	resp, err := http.Get(url + "/v1/models")
	if err != nil {
		t.Fatal(err)
	}
	models, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	for _, name := range []string{`"auto"`, `"phi4-mini"`, `"math-expert"`} {
		if !strings.Contains(string(models), name) {
			t.Errorf("no %s in %s", name, models)
		}
	}
	if log := stop(); !strings.Contains(log, `"msg":"serving"`) || !strings.Contains(log, `"msg":"stopped"`) || strings.Contains(log, "Solve") {
		t.Errorf("the log is\n%s", log)
	}
}
