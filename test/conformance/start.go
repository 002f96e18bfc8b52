package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"sigs.k8s.io/yaml"

	"semantic-epp/test/vllmsim"
)

// hosts are where the model servers listen: two share an IP address, which some
// pickers tell apart by its ports, and some do not.
var hosts = []string{"127.0.0.1", "127.0.0.2", "127.0.0.1", "127.0.0.3"}

const (
	startTime  = 60 * time.Second // for a picker to answer
	stopTime   = 5 * time.Second  // from SIGTERM to SIGKILL
	wordsShown = 2000             // bytes of a picker's last words to show
)

// An endpoint is a line of the endpoints file.
type endpoint struct {
	Name      string            `json:"name"`
	Namespace string            `json:"namespace"`
	Address   string            `json:"address"`
	Port      int               `json:"port"`
	Labels    map[string]string `json:"labels,omitempty"`
}

// An objective is a line of the endpoints file.
type objective struct {
	Name     string `json:"name"`
	Priority int    `json:"priority"`
}

// An endpointsFile is what a started picker reads.
type endpointsFile struct {
	Endpoints  []endpoint  `json:"endpoints"`
	Objectives []objective `json:"objectives"`
}

// A fleet are the model servers of a picker under test.
type fleet struct {
	servers []*vllmsim.Server
	file    endpointsFile
}

// startFleet starts model servers that serve a model.
func startFleet(model, shed string) (*fleet, error) {
	f := &fleet{file: endpointsFile{Endpoints: []endpoint{}, Objectives: []objective{{Name: shed, Priority: -1}}}}
	for i, host := range hosts {
		name := "vllm-" + strconv.Itoa(i)
		server, err := vllmsim.Start(vllmsim.Config{Name: name, Model: model, Address: net.JoinHostPort(host, "0")})
		if err != nil && host != "127.0.0.1" { // not every system has more than this one
			host = "127.0.0.1"
			server, err = vllmsim.Start(vllmsim.Config{Name: name, Model: model})
		}
		if err != nil {
			return nil, errors.Join(err, f.close())
		}
		f.servers = append(f.servers, server)
		f.file.Endpoints = append(f.file.Endpoints, endpoint{Name: name, Namespace: "default", Address: host,
			Port: server.Port(), Labels: map[string]string{"app": model}})
	}
	return f, nil
}

func (f *fleet) close() error {
	var errs []error
	for _, server := range f.servers {
		errs = append(errs, server.Close())
	}
	return errors.Join(errs...)
}

// addresses are the endpoints as pickers name them.
func (f *fleet) addresses() []string {
	var list []string
	for _, server := range f.servers {
		list = append(list, server.Addr())
	}
	return list
}

// saturate makes every server's metrics show a full queue and cache, or the
// truth again.
func (f *fleet) saturate(full bool) {
	var behaviour vllmsim.Behaviour
	if full {
		behaviour.Load = &vllmsim.Load{Running: 256, Waiting: 1000, KVCacheUsage: 0.99}
	}
	for _, server := range f.servers {
		server.SetBehaviour(behaviour)
	}
}

// write writes the endpoints file; without endpoints when empty.
func (f *fleet) write(path string, empty bool) error {
	file := f.file
	if empty {
		file.Endpoints = []endpoint{}
	}
	text, err := yaml.Marshal(file)
	if err != nil {
		return fmt.Errorf("encode the endpoints file: %w", err)
	}
	return os.WriteFile(path, text, 0o600)
}

// runStarted runs the checks against a picker that a command starts, with model
// servers of its own and a second picker whose pool is empty.
func runStarted(ctx context.Context, o *options, command string, list []check, stderr io.Writer) ([]result, error) {
	f, err := startFleet(o.model, o.objective)
	if err != nil {
		return nil, fmt.Errorf("start model servers: %w", err)
	}
	defer f.close()
	dir, err := os.MkdirTemp("", "conformance-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)

	var targets [2]*target
	var picker *process
	for i, name := range []string{"pool", "empty"} {
		file := filepath.Join(dir, name+".yaml")
		if err := f.write(file, name == "empty"); err != nil {
			return nil, err
		}
		p, ports, err := startProcess(command, file)
		if err != nil {
			return nil, err
		}
		defer p.stop()
		if i == 0 {
			picker = p
		}
		at := *o
		at.endpoints = f.addresses()
		health := ""
		if strings.Contains(command, "{health}") {
			health = loopback(ports["{health}"])
		}
		t, done, err := at.dial(loopback(ports["{port}"]), health)
		if err != nil {
			return nil, err
		}
		defer done()
		if err := p.ready(ctx, t, name == "pool"); err != nil {
			return nil, err
		}
		targets[i] = t
	}
	t := targets[0]
	t.bystander, t.saturate, t.objective = targets[1], f.saturate, o.objective
	results := runChecks(ctx, t, list)
	if picker.ended() {
		fmt.Fprintf(stderr, "conformance: the picker did not live to the end, %v%s\n", picker.cmd.ProcessState, picker.lastWords())
	}
	return results, nil
}

// ready waits until a picker answers, and picks where it has endpoints.
func (p *process) ready(ctx context.Context, t *target, picks bool) error {
	for end := time.Now().Add(startTime); ; {
		o, err := t.settle(ctx, t.chat(fullDuplex, 0))
		if err == nil && picks {
			_, err = o.picked()
		}
		switch {
		case err == nil:
			return nil
		case p.ended():
			return fmt.Errorf("the picker ended at its start, %v%s", p.cmd.ProcessState, p.lastWords())
		case time.Now().After(end):
			return fmt.Errorf("the picker does not serve after %v: %w%s", startTime, err, p.lastWords())
		case ctx.Err() != nil:
			return ctx.Err()
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// A process is a started picker.
type process struct {
	cmd    *exec.Cmd
	words  string        // the file with what it wrote
	exited chan struct{} // closed when it ended
}

// startProcess starts a command with its placeholders filled in.
func startProcess(command, endpoints string) (*process, map[string]int, error) {
	ports := map[string]int{}
	replace := []string{"{endpoints}", endpoints}
	for _, name := range []string{"{port}", "{health}", "{metrics}"} {
		listener, err := net.Listen("tcp", loopback(0))
		if err != nil {
			return nil, nil, fmt.Errorf("find a free port: %w", err)
		}
		defer listener.Close() // after all are found, so that they differ
		ports[name] = listener.Addr().(*net.TCPAddr).Port
		replace = append(replace, name, strconv.Itoa(ports[name]))
	}
	words := strings.Fields(strings.NewReplacer(replace...).Replace(command))
	p := &process{cmd: exec.Command(words[0], words[1:]...), words: endpoints + ".log", exited: make(chan struct{})}
	log, err := os.Create(p.words)
	if err != nil {
		return nil, nil, err
	}
	defer log.Close() // the child has its own
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		return nil, nil, fmt.Errorf("start the picker: %w", err)
	}
	go func() {
		_ = p.cmd.Wait() // its exit status is in cmd.ProcessState
		close(p.exited)
	}()
	return p, ports, nil
}

func (p *process) ended() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// stop ends the process, kindly at first.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // an error when it has ended, which is as good
	select {
	case <-p.exited:
	case <-time.After(stopTime):
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
}

// lastWords is the end of what the process wrote, as a part of an error's text.
func (p *process) lastWords() string {
	text, err := os.ReadFile(p.words)
	if err != nil || len(text) == 0 {
		return ""
	}
	return "; it said:\n" + strings.TrimSpace(string(text[max(0, len(text)-wordsShown):]))
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
