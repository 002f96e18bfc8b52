package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// stopPatience is how long a process may take to end after SIGTERM; then it is
// killed: somewhat longer than the picker drains by default.
const stopPatience = 35 * time.Second

// A Process is a child process with its output.
type Process struct {
	name   string
	child  *os.Process
	output *Output
	exited chan struct{}
	err    error // valid once exited is closed
}

// startProcess runs a program in a process group of its own, so that Ctrl-C at
// the terminal reaches it only through Stop. Its output goes to the returned
// process and, when tee is not nil, to tee as well.
func startProcess(name, path string, args []string, env []string, tee io.Writer) (*Process, error) {
	p := &Process{name: name, output: &Output{tee: tee}, exited: make(chan struct{})}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = p.output, p.output
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = childAttributes()

	started := make(chan error)
	go func() {
		// The kernel ties a child's death signal to the thread that made it:
		// keep that thread until the child is gone.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.exited)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p.child = cmd.Process
	return p, nil
}

// Pid is the process ID.
func (p *Process) Pid() int { return p.child.Pid }

// Output is what the process has written so far.
func (p *Process) Output() *Output { return p.output }

// Exited is closed when the process has ended and all its output is here.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Err says how a process ended that nobody stopped, with its last words. It is
// nil while the process runs.
func (p *Process) Err() error {
	select {
	case <-p.exited:
	default:
		return nil
	}
	how := "exit status 0"
	if p.err != nil {
		how = p.err.Error()
	}
	return fmt.Errorf("%s ended (%s); its last words:\n%s", p.name, how, p.output.Tail(20))
}

// Stop asks the process to end, waits, and kills it when it takes too long or
// ctx ends. Stopping an ended process is not an error; having to kill it is.
func (p *Process) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopPatience)
	defer cancel()
	_ = p.signal(syscall.SIGTERM) // false when it has ended, which is as good
	select {
	case <-p.exited:
		return nil
	case <-ctx.Done():
		p.Kill()
		return fmt.Errorf("stop %s: it had to be killed; its last words:\n%s", p.name, p.output.Tail(20))
	}
}

// Kill ends the process without a warning and waits until it is gone.
func (p *Process) Kill() {
	_ = p.signal(syscall.SIGKILL) // false when it has ended, which is as good
	<-p.exited
}

// signal reports whether the process still ran. Once it has been reaped its ID
// may belong to another: os.Process knows and sends nothing.
func (p *Process) signal(s syscall.Signal) bool { return p.child.Signal(s) == nil }

// An Output collects what a process writes. It is safe for concurrent use.
type Output struct {
	mu   sync.Mutex
	text []byte
	tee  io.Writer
}

// maxOutput bounds what is kept of a process; the oldest half goes first.
const maxOutput = 8 << 20

// Write keeps p and passes it on.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	o.text = append(o.text, p...)
	if len(o.text) > maxOutput {
		o.text = append(o.text[:0], o.text[len(o.text)/2:]...)
	}
	o.mu.Unlock()
	if o.tee != nil {
		return o.tee.Write(p)
	}
	return len(p), nil
}

// String is all that is kept, at least the last 4 MiB.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.text)
}

// Tail returns the last n lines.
func (o *Output) Tail(n int) string {
	lines := strings.Split(strings.TrimRight(o.String(), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// poll asks ready until it says nil, p ends or ctx ends; the error then tells
// what ready said last.
func (p *Process) poll(ctx context.Context, ready func(context.Context) error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.exited:
			return p.Err()
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready in time: %w; its last words:\n%s", p.name, err, p.output.Tail(20))
		case <-tick.C:
		}
	}
}

// freePort returns a port that was free a moment ago and that no other call of
// this process got.
func freePort() (int, error) {
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return 0, fmt.Errorf("find a free port: %w", err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		if err := l.Close(); err != nil {
			return 0, fmt.Errorf("find a free port: %w", err)
		}
		if _, taken := portsGiven.LoadOrStore(port, true); !taken {
			return port, nil
		}
	}
	return 0, errors.New("find a free port: every port offered was given out before")
}

var portsGiven sync.Map
