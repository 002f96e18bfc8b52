package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// PickerConfig describes a picker: the binary semantic-epp, in standalone mode.
type PickerConfig struct {
	// Binary is the path of semantic-epp.
	Binary string
	// ConfigFile is its --config-file; default the configuration inside it.
	ConfigFile string
	// EndpointsFile is its --endpoints-file.
	EndpointsFile string
	// Insecure switches TLS off on the main port.
	Insecure bool
	// Plaintext adds a listener without TLS.
	Plaintext bool
	// Verbosity is its -v; default 2.
	Verbosity int
	// Args are more arguments.
	Args []string
	// Env are more environment variables, "NAME=value".
	Env []string
	// Output gets everything that the picker writes, line by line or not, as
	// well as Process.Output.
	Output io.Writer
}

// A Picker is a running picker, or one that was killed and can be restarted.
type Picker struct {
	cfg   PickerConfig
	ports pickerPorts

	mu      sync.Mutex
	process *Process
}

type pickerPorts struct{ grpc, health, metrics, plaintext int }

// StartPicker starts a picker and returns when its health service says SERVING.
// Where another program took one of the free ports in the meantime, it tries
// again with others.
func StartPicker(ctx context.Context, cfg PickerConfig) (*Picker, error) {
	if cfg.Binary == "" {
		return nil, errors.New("start picker: no binary given; `make build` makes bin/semantic-epp")
	}
	if cfg.Verbosity == 0 {
		cfg.Verbosity = 2
	}
	for attempt := 1; ; attempt++ {
		p := &Picker{cfg: cfg}
		for _, port := range []*int{&p.ports.grpc, &p.ports.health, &p.ports.metrics, &p.ports.plaintext} {
			var err error
			if *port, err = freePort(); err != nil {
				return nil, fmt.Errorf("start picker: %w", err)
			}
		}
		err := p.Restart(ctx)
		if err == nil {
			return p, nil
		}
		if attempt == 3 || !strings.Contains(err.Error(), "address already in use") {
			return nil, err
		}
	}
}

func (p *Picker) args() []string {
	args := []string{
		"serve",
		"--grpc-port", strconv.Itoa(p.ports.grpc),
		"--grpc-health-port", strconv.Itoa(p.ports.health),
		"--metrics-port", strconv.Itoa(p.ports.metrics),
		"--secure-serving=" + strconv.FormatBool(!p.cfg.Insecure),
		"-v", strconv.Itoa(p.cfg.Verbosity),
	}
	if p.cfg.ConfigFile != "" {
		args = append(args, "--config-file", p.cfg.ConfigFile)
	}
	if p.cfg.EndpointsFile != "" {
		args = append(args, "--endpoints-file", p.cfg.EndpointsFile)
	}
	if p.cfg.Plaintext {
		args = append(args, "--plaintext-port", strconv.Itoa(p.ports.plaintext))
	}
	return append(args, p.cfg.Args...)
}

// Restart kills the picker if it runs and starts it again on the same ports.
func (p *Picker) Restart(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.process != nil {
		p.process.Kill()
	}
	process, err := startProcess("picker", p.cfg.Binary, p.args(), p.cfg.Env, p.cfg.Output)
	if err != nil {
		return err
	}
	p.process = process
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	if err := process.serving(ctx, loopback(p.ports.health)); err != nil {
		process.Kill()
		return err
	}
	return nil
}

// serving waits until the health service at an address says so.
func (p *Process) serving(ctx context.Context, address string) error {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("reach the picker's health service: %w", err)
	}
	defer conn.Close()
	health := healthpb.NewHealthClient(conn)
	return p.poll(ctx, func(ctx context.Context) error {
		conn.ResetConnectBackoff() // a start takes less than its first pause
		reply, err := health.Check(ctx, &healthpb.HealthCheckRequest{})
		if err != nil {
			return err
		}
		if reply.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			return fmt.Errorf("its health is %v", reply.GetStatus())
		}
		return nil
	})
}

// Process is the picker's process; after Restart a new one.
func (p *Picker) Process() *Process {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.process
}

// Kill ends the picker without a warning; Restart brings it back.
func (p *Picker) Kill() { p.Process().Kill() }

// Stop ends the picker, as Process.Stop does.
func (p *Picker) Stop(ctx context.Context) error { return p.Process().Stop(ctx) }

// Addr is where the picker listens for Envoy: with TLS unless Insecure.
func (p *Picker) Addr() string { return loopback(p.ports.grpc) }

// PlaintextAddr is where the picker listens without TLS, when Plaintext.
func (p *Picker) PlaintextAddr() string { return loopback(p.ports.plaintext) }

// HealthAddr is where the picker's gRPC health service listens.
func (p *Picker) HealthAddr() string { return loopback(p.ports.health) }

// MetricsURL is the picker's metrics page.
func (p *Picker) MetricsURL() string { return "http://" + loopback(p.ports.metrics) + "/metrics" }

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
