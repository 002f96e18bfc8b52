package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	extproc "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// configs holds pickerConfig, the configuration that semantic-epp is measured
// with unless a flag names another.
//
//go:embed picker.yaml
var configs embed.FS

const pickerConfig = "picker.yaml"

// Names of the servers under test, as flags and tables have them.
const (
	serverFloor  = "ah"
	serverGIE    = "gie"
	serverPicker = "ours"
)

const (
	startDeadline = 60 * time.Second // for a server to answer rightly
	stopDeadline  = 3 * time.Second  // from SIGTERM to SIGKILL
	provingRuns   = 10               // right answers in a row before a server counts as ready
	shownWords    = 2000             // bytes of a failed server's last words to show
)

// A server is a process that answers ext_proc, with one connection to it: Envoy
// has one a worker.
type server struct {
	name   string
	cmd    *exec.Cmd
	exited chan struct{} // closed when the process has ended
	words  string        // file with what it wrote on stderr and stdout
	conn   *grpc.ClientConn
	client extproc.ExternalProcessorClient
	pool   []*exchange // those that the size under test has, used in turn
}

// startServer starts cmd pinned to cpus and connects to its ext_proc port.
// What it writes goes to a file in dir.
func startServer(name string, cmd *exec.Cmd, port int, cpus []int, dir string) (*server, error) {
	s := &server{name: name, cmd: cmd, exited: make(chan struct{}), words: filepath.Join(dir, name+".log")}
	log, err := os.Create(s.words)
	if err != nil {
		return nil, fmt.Errorf("start server %s: %w", name, err)
	}
	defer log.Close() // the child has its own
	cmd.Stdout, cmd.Stderr = log, log
	if err := startPinned(cmd, cpus); err != nil {
		return nil, fmt.Errorf("start server %s: %w", name, err)
	}
	go func() {
		cmd.Wait() // its exit status is in cmd.ProcessState
		close(s.exited)
	}()
	s.conn, err = grpc.NewClient("passthrough:///"+loopback(port), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("connect to server %s: %w", name, err), s.stop())
	}
	s.client = extproc.NewExternalProcessorClient(s.conn)
	return s, nil
}

// awaitReady waits until e succeeds provingRuns times in a row: the server
// listens, knows its endpoints, and answers as e demands, not by chance.
func (s *server) awaitReady(ctx context.Context, e *exchange) error {
	ctx, cancel := context.WithTimeout(ctx, startDeadline)
	defer cancel()
	for good := 0; good < provingRuns; {
		err := e.run(ctx, s.client)
		if err == nil {
			good++
			continue
		}
		good = 0
		select {
		case <-s.exited:
			return fmt.Errorf("server %s ended at its start, %s%s", s.name, s.cmd.ProcessState, s.lastWords())
		case <-ctx.Done():
			return fmt.Errorf("server %s has not answered rightly within %s: %w%s", s.name, startDeadline, err, s.lastWords())
		case <-time.After(50 * time.Millisecond):
			s.conn.ResetConnectBackoff()
		}
	}
	return nil
}

// lastWords is the end of what the server wrote, as a part of an error's text;
// nothing if it wrote nothing.
func (s *server) lastWords() string {
	text, err := os.ReadFile(s.words)
	if err != nil || len(text) == 0 {
		return ""
	}
	return "; it said:\n" + strings.TrimSpace(string(text[max(0, len(text)-shownWords):]))
}

// stop ends the process, kindly at first, and the connection.
func (s *server) stop() error {
	var errs []error
	if s.conn != nil {
		errs = append(errs, s.conn.Close())
	}
	resume(s.cmd.Process) // a process that stands still does not see SIGTERM
	s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.exited:
	case <-time.After(stopDeadline):
		errs = append(errs, fmt.Errorf("server %s did not end within %s of SIGTERM and was killed", s.name, stopDeadline), s.cmd.Process.Kill())
		<-s.exited
	}
	return errors.Join(errs...)
}

// floorCommand and gieCommand are this program as a server.
func floorCommand(self string, port int) *exec.Cmd {
	return exec.Command(self, "floor", "-listen", loopback(port))
}

func gieCommand(self string, port int, endpointsFile string, scrape time.Duration, verbosity int) *exec.Cmd {
	return exec.Command(self, "gie", "-listen", loopback(port), "-endpoints-file", endpointsFile,
		"-metrics-interval", scrape.String(), "-v", strconv.Itoa(verbosity))
}

// pickerCommand is semantic-epp as an operator without Kubernetes starts it.
func pickerCommand(binary string, port, health, metrics int, configFile, endpointsFile string, verbosity int, more []string) *exec.Cmd {
	arguments := []string{"serve", "--config-file", configFile, "--endpoints-file", endpointsFile,
		"--grpc-port", strconv.Itoa(port), "--grpc-health-port", strconv.Itoa(health), "--metrics-port", strconv.Itoa(metrics),
		"--secure-serving=false", "-v", strconv.Itoa(verbosity)}
	return exec.Command(binary, append(arguments, more...)...)
}

// freePorts finds n ports of loopback that nothing listens on now.
func freePorts(n int) ([]int, error) {
	ports := make([]int, n)
	for i := range ports {
		listener, err := net.Listen("tcp", loopback(0))
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer listener.Close() // after all are found, so that they differ
		ports[i] = listener.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
