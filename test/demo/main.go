package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

const usage = `Starts simulated vLLM servers, the picker and Envoy, and shows each decision.

usage: make run [ENDPOINTS=FILE] [CONFIG=FILE] [RUN_FLAGS="--port N --smoke"]
       go run ./test/demo [flags]

Without --endpoints there are llama3-8b and phi4-mini with two replicas each,
and base-model with the LoRA adapters math-expert, science-expert,
social-expert, humanities-expert, law-expert and general-expert. They answer
made-up words, but queue, fill their KV cache and take their time as vLLM does.
Ctrl-C stops everything.

`

// settings are what the command line says.
type settings struct {
	picker    string
	endpoints string
	config    string
	port      int // 0: 8080 if it is free
	smoke     bool
}

func parse(args []string, out io.Writer) (settings, error) {
	var s settings
	f := flag.NewFlagSet("demo", flag.ContinueOnError)
	f.SetOutput(out)
	f.Usage = func() {
		fmt.Fprint(out, usage)
		f.PrintDefaults()
	}
	f.StringVar(&s.picker, "picker", "bin/semantic-epp", "the picker's `binary`; make build makes it")
	f.StringVar(&s.endpoints, "endpoints", "", "`file` with your own vLLM servers, in place of the simulated ones")
	f.StringVar(&s.config, "config", "", "`file` with the picker's configuration (default: the one inside the picker)")
	f.IntVar(&s.port, "port", 0, "`port` for clients (default: 8080, or a free one if that is in use)")
	f.BoolVar(&s.smoke, "smoke", false, "send the requests that are printed, check that all get 200, and end")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	if f.NArg() > 0 {
		return s, fmt.Errorf("unexpected argument %q; see --help", f.Arg(0))
	}
	return s, s.check()
}

// check reports every file that is not there, before anything is started.
func (s settings) check() error {
	var errs []error
	if _, err := os.Stat(s.picker); err != nil {
		errs = append(errs, fmt.Errorf("find the picker: %w; run `make build`", err))
	}
	for flag, path := range map[string]string{"endpoints": s.endpoints, "config": s.config} {
		if path == "" {
			continue
		}
		if _, err := os.Stat(path); err != nil {
			errs = append(errs, fmt.Errorf("read --%s: %w", flag, err))
		}
	}
	if s.port < 0 || s.port > 65535 {
		errs = append(errs, fmt.Errorf("--port %d is no port", s.port))
	}
	return errors.Join(errs...)
}

func main() {
	signal.Ignore(syscall.SIGPIPE) // a reader that leaves must not keep us from stopping all
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends us at once, and the children with us
	s, err := parse(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err == nil:
		err = run(ctx, s, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}
