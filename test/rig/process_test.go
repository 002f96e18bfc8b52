package rig

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// The test binary plays other programs as well: what this variable says.
const role = "RIG_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "picker":
		playPicker()
	case "parent":
		playParent()
	default:
		goleak.VerifyTestMain(m)
	}
}

// playPicker is a picker that is healthy and does nothing else. It refuses the
// ports that are named in RIG_TEST_REFUSE as if they were in use, once.
func playPicker() {
	fmt.Fprintln(os.Stderr, "picker starts with", os.Args[1:])
	if once := os.Getenv("RIG_TEST_REFUSE"); once != "" {
		if f, err := os.OpenFile(once, os.O_CREATE|os.O_EXCL, 0o600); err == nil {
			f.Close()
			fmt.Fprintln(os.Stderr, "listen tcp: bind: address already in use")
			os.Exit(1)
		}
	}
	for i, arg := range os.Args {
		if arg != "--grpc-health-port" {
			continue
		}
		l, err := net.Listen("tcp", "127.0.0.1:"+os.Args[i+1])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		s := grpc.NewServer()
		healthpb.RegisterHealthServer(s, health.NewServer())
		_ = s.Serve(l)
	}
}

// playParent starts a child, says its ID and waits to be killed.
func playParent() {
	p, err := startProcess("sleep", "sleep", []string{"600"}, nil, nil)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(p.Pid())
	<-p.Exited()
}

func alive(pid int) bool {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(content), ") Z ")
}

func TestStopReapsTheProcess(t *testing.T) {
	p, err := startProcess("sleep", "sleep", []string{"600"}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Err(); err != nil {
		t.Errorf("while it runs: %v", err)
	}
	if err := p.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if syscall.Kill(p.Pid(), 0) == nil {
		t.Error("the process is still there")
	}
	if err := p.Stop(t.Context()); err != nil {
		t.Errorf("second Stop: %v", err)
	}
	p.Kill() // harmless
}

func TestStopKillsWhoDoesNotListen(t *testing.T) {
	p, err := startProcess("deaf", "sh", []string{"-c", "trap '' TERM; echo deaf; while :; do sleep 0.01; done"}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	for !strings.Contains(p.Output().String(), "deaf") {
		time.Sleep(time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.Stop(ctx); err == nil || !strings.Contains(err.Error(), "stop deaf: it had to be killed") {
		t.Errorf("got %v", err)
	}
	if alive(p.Pid()) {
		t.Error("the process lives")
	}
}

func TestErrTellsTheLastWords(t *testing.T) {
	var tee strings.Builder
	p, err := startProcess("crasher", "sh", []string{"-c", "echo $WORD; exit 3"}, []string{"WORD=goodbye"}, &tee)
	if err != nil {
		t.Fatal(err)
	}
	<-p.Exited()
	if err := p.Err(); err == nil || err.Error() != "crasher ended (exit status 3); its last words:\ngoodbye" {
		t.Errorf("got %v", err)
	}
	if tee.String() != "goodbye\n" {
		t.Errorf("tee got %q", tee.String())
	}
}

func TestStartOfNothing(t *testing.T) {
	if _, err := startProcess("ghost", "/nonexistent", nil, nil, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestChildrenDieWithTheirParent(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux can do this")
	}
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), role+"=parent")
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond)
	if !alive(child) {
		t.Fatal("the child did not live as long as its parent")
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait() // killed
	for deadline := time.Now().Add(5 * time.Second); alive(child); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the child outlived its parent by 5 s")
		}
	}
}

func TestPicker(t *testing.T) {
	refused := filepath.Join(t.TempDir(), "refused")
	p, err := StartPicker(t.Context(), PickerConfig{
		Binary: os.Args[0], ConfigFile: "c.yaml", EndpointsFile: "e.yaml", Insecure: true, Plaintext: true,
		Args: []string{"--more"}, Env: []string{role + "=picker", "RIG_TEST_REFUSE=" + refused},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	if _, err := os.Stat(refused); err != nil {
		t.Errorf("the first ports were not refused: %v", err)
	}
	port := func(address string) string { _, port, _ := net.SplitHostPort(address); return port }
	want := fmt.Sprintf("[serve --grpc-port %s --grpc-health-port %s --metrics-port %d --secure-serving=false -v 2 "+
		"--config-file c.yaml --endpoints-file e.yaml --plaintext-port %s --more]",
		port(p.Addr()), port(p.HealthAddr()), p.ports.metrics, port(p.PlaintextAddr()))
	if got := p.Process().Output().String(); !strings.Contains(got, want) {
		t.Errorf("started with %s, want %s", got, want)
	}
	first := p.Process().Pid()
	p.Kill()
	if alive(first) {
		t.Error("the killed picker lives")
	}
	address := p.HealthAddr()
	if err := p.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p.HealthAddr() != address || p.Process().Pid() == first {
		t.Error("the restarted picker is not a new one at the same address")
	}
}

func TestPickerThatCannotStart(t *testing.T) {
	if _, err := StartPicker(t.Context(), PickerConfig{}); err == nil || !strings.Contains(err.Error(), "make build") {
		t.Errorf("got %v, want it to name the remedy", err)
	}
	_, err := StartPicker(t.Context(), PickerConfig{Binary: "false"})
	if err == nil || !strings.Contains(err.Error(), "picker ended (exit status 1)") {
		t.Errorf("got %v", err)
	}
}
