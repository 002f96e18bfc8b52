package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"semantic-epp/test/rig"
)

// usualPort is where people expect a gateway.
const usualPort = 8080

// run starts everything, waits until ctx ends or a process does, or sends the
// example requests in a smoke run, and stops everything.
func run(ctx context.Context, s settings, out io.Writer) (err error) {
	if _, err := rig.FindEnvoy(); err != nil { // before anything else is started
		return err
	}
	var opened stack
	defer func() { err = errors.Join(err, opened.stop(out)) }()

	endpoints := s.endpoints
	if endpoints == "" {
		if endpoints, err = simulate(&opened); err != nil {
			return err
		}
	}

	seen := &follower{out: out}
	picker, err := rig.StartPicker(ctx, rig.PickerConfig{
		Binary: s.picker, ConfigFile: s.config, EndpointsFile: endpoints, Output: seen,
	})
	if err != nil {
		return err
	}
	opened.push("picker", picker.Stop)

	envoy, err := startEnvoy(ctx, s.port, picker.Addr(), out)
	if err != nil {
		return err
	}
	opened.push("Envoy", envoy.Stop)

	examples := examplesFor(s)
	printGuide(out, envoy.URL(), picker.MetricsURL(), endpoints, examples)
	if s.smoke {
		err := smoke(ctx, envoy.URL(), examples, seen, out)
		return errors.Join(err, envoy.Err(), picker.Process().Err())
	}
	select {
	case <-ctx.Done():
		fmt.Fprintln(out, "\nstopping")
		return nil
	case <-envoy.Exited():
		return envoy.Err()
	case <-picker.Process().Exited():
		return picker.Process().Err()
	}
}

// startEnvoy starts Envoy in front of the picker. The port is 0 when any will
// do.
func startEnvoy(ctx context.Context, port int, picker string, out io.Writer) (*rig.Envoy, error) {
	cfg := rig.EnvoyConfig{Port: port, ExtProc: &rig.ExtProc{Address: picker, TLS: true}}
	if port != 0 {
		return rig.StartEnvoy(ctx, cfg)
	}
	cfg.Port = usualPort
	envoy, err := rig.StartEnvoy(ctx, cfg)
	if errors.Is(err, rig.ErrPortInUse) {
		fmt.Fprintf(out, "Port %d is in use: taking a free one.\n", usualPort)
		cfg.Port = 0
		envoy, err = rig.StartEnvoy(ctx, cfg)
	}
	return envoy, err
}

// A stack stops what was started, the last first: Envoy lets no new requests
// in, then the picker, then the model servers.
type stack []opened

type opened struct {
	name string
	stop func(context.Context) error
}

func (s *stack) push(name string, stop func(context.Context) error) {
	*s = append(*s, opened{name, stop})
}

func (s *stack) stop(out io.Writer) error {
	var errs []error
	for i := len(*s) - 1; i >= 0; i-- {
		o := (*s)[i]
		begin := time.Now()
		errs = append(errs, o.stop(context.Background()))
		if took := time.Since(begin); took > time.Second {
			fmt.Fprintf(out, "%s took %v to stop\n", o.name, took.Round(100*time.Millisecond))
		}
	}
	return errors.Join(errs...)
}

// scratch makes a folder that is removed in the end.
func scratch(opened *stack) (string, error) {
	dir, err := os.MkdirTemp("", "semantic-epp-demo-")
	if err != nil {
		return "", fmt.Errorf("make a folder for the endpoints file: %w", err)
	}
	opened.push("folder "+filepath.Base(dir), func(context.Context) error { return os.RemoveAll(dir) })
	return dir, nil
}
