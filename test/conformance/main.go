package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	procv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
)

const usage = `conformance puts an endpoint picker to the test, as gateways meet it.

  conformance --address host:port [flags]      a picker that runs already
  conformance --start NAME=COMMAND [flags]     start model servers and the picker; more --start make more columns
  conformance gie [flags]                      be GIE v1.5.0's picker

COMMAND is a program with its arguments, without quotes; in it stand
{port} {health} {metrics}  free ports of 127.0.0.1: for ext_proc without TLS, the
                           gRPC health service, and whatever else
{endpoints}                a file: endpoints: [{name, namespace, address, port, labels}],
                           objectives: [{name, priority}]; an empty pool at times

`

// maxMessage is what this client takes in one message: as gateways, no limit
// that a picker could meet.
const maxMessage = 256 << 20

// errBroken says that a picker breaks a MUST.
var errBroken = errors.New("a MUST is broken")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errBroken):
		os.Exit(1)
	default:
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(2)
	}
}

// options are the flags.
type options struct {
	address, health     string
	secure, fixtures    bool
	model, objective    string
	endpoints, commands []string
	limit               int
	patience            time.Duration
	format, only        string
}

func run(ctx context.Context, arguments []string, stdout, stderr io.Writer) error {
	if len(arguments) > 0 && arguments[0] == "gie" {
		return runGIE(ctx, arguments[1:], stderr)
	}
	o, err := parse(arguments, stderr)
	if err != nil {
		return err
	}
	list := checks()
	if o.only != "" {
		if list = only(list, o.only); len(list) == 0 {
			return fmt.Errorf("--only %s matches no check", o.only)
		}
	}
	var names []string
	var columns [][]result
	if o.address != "" {
		t, done, err := o.dial(o.address, o.health)
		if err != nil {
			return err
		}
		defer done()
		names, columns = []string{o.address}, [][]result{runChecks(ctx, t, list)}
	}
	for _, command := range o.commands {
		name, text, _ := strings.Cut(command, "=")
		results, err := runStarted(ctx, o, text, list, stderr)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		names, columns = append(names, name), append(columns, results)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return o.report(stdout, names, columns)
}

// report writes the results and returns errBroken when a MUST is broken.
func (o *options) report(w io.Writer, names []string, columns [][]result) error {
	if o.format == "markdown" {
		if err := writeMarkdown(w, names, columns); err != nil {
			return err
		}
	}
	var broken bool
	for i, results := range columns {
		_, _, _, n := tally(results)
		broken = broken || n > 0
		var err error
		switch o.format {
		case "table":
			if len(columns) > 1 {
				fmt.Fprintf(w, "== %s\n", names[i])
			}
			err = writeTable(w, results)
		case "json":
			err = writeJSON(w, results)
		case "junit":
			err = writeJUnit(w, results)
		}
		if err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
	}
	if broken {
		return errBroken
	}
	return nil
}

func parse(arguments []string, stderr io.Writer) (*options, error) {
	o := &options{}
	flags := flag.NewFlagSet("conformance", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, usage)
		flags.PrintDefaults()
	}
	flags.StringVar(&o.address, "address", "", "`host:port` of the picker's ext_proc service")
	flags.BoolVar(&o.secure, "tls", false, "use TLS, without verification, as gateways do")
	flags.StringVar(&o.health, "health", "", "`host:port` of its gRPC health service, without TLS")
	flags.StringVar(&o.model, "model", "conformance-model", "a `model` that the endpoints serve")
	endpoints := flags.String("endpoints", "", "the whole pool: `ip:port,ip:port`")
	flags.StringVar(&o.objective, "objective", "sheddable", "the `name` of an InferenceObjective of negative priority")
	flags.IntVar(&o.limit, "body-limit", 0, "the picker's limit on request bodies in `bytes`; 0: unknown")
	flags.BoolVar(&o.fixtures, "fixtures", false, "GIE's test plugins are in the picker: every request then names the --endpoints it may go to")
	flags.DurationVar(&o.patience, "patience", 3*time.Second, "`time` for one answer")
	flags.Func("start", "`NAME=COMMAND` that starts a picker; may be repeated", func(text string) error {
		if name, command, ok := strings.Cut(text, "="); !ok || name == "" || command == "" {
			return errors.New("want NAME=COMMAND")
		}
		o.commands = append(o.commands, text)
		return nil
	})
	flags.StringVar(&o.format, "format", "table", "`form` of the report: table, json, junit, or markdown, which puts pickers side by side")
	flags.StringVar(&o.only, "only", "", "run checks whose id begins with one of these, comma-separated `ids`")
	if err := flags.Parse(arguments); err != nil {
		return nil, err
	}
	o.endpoints = fields(*endpoints)
	return o, o.faults(flags.Args())
}

func (o *options) faults(rest []string) error {
	var errs []error
	if len(rest) > 0 {
		errs = append(errs, fmt.Errorf("unknown argument %q", rest[0]))
	}
	if (o.address == "") == (len(o.commands) == 0) {
		errs = append(errs, errors.New("give either --address or --start"))
	}
	for flag, address := range map[string]string{"--address": o.address, "--health": o.health} {
		if _, _, err := net.SplitHostPort(address); address != "" && err != nil {
			errs = append(errs, fmt.Errorf("%s: %w; want host:port", flag, err))
		}
	}
	if len(o.commands) > 0 && (o.secure || len(o.endpoints) > 0 || o.health != "") {
		errs = append(errs, errors.New("--tls, --health and --endpoints go with --address: --start makes its own"))
	}
	if o.limit < 0 || (o.limit > 0 && o.limit < 1<<20) || o.limit > maxMessage {
		errs = append(errs, fmt.Errorf("--body-limit %d: want 0, or 1 MiB to 256 MiB", o.limit))
	}
	if o.patience <= 0 {
		errs = append(errs, fmt.Errorf("--patience %v: want a positive time", o.patience))
	}
	switch o.format {
	case "table", "markdown":
	case "json", "junit":
		if len(o.commands) > 1 {
			errs = append(errs, fmt.Errorf("--format %s holds one picker: give one --start", o.format))
		}
	default:
		errs = append(errs, fmt.Errorf("--format %q: want table, json, junit or markdown", o.format))
	}
	return errors.Join(errs...)
}

// dial makes a target of a picker's address; done closes its connections.
func (o *options) dial(address, health string) (t *target, done func(), err error) {
	transport := insecure.NewCredentials()
	if o.secure {
		// The protocol's gateways take any certificate of a picker.
		transport = credentials.NewTLS(&tls.Config{InsecureSkipVerify: true})
	}
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(transport),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)))
	if err != nil {
		return nil, nil, fmt.Errorf("reach the picker at %s: %w", address, err)
	}
	t = &target{client: procv3.NewExternalProcessorClient(conn), model: o.model, endpoints: o.endpoints,
		limit: o.limit, fixtures: o.fixtures, patience: o.patience}
	if o.fixtures {
		t.headers = []string{selectionHeader, strings.Join(o.endpoints, ",")}
	}
	done = func() { _ = conn.Close() }
	if health == "" {
		return t, done, nil
	}
	probe, err := grpc.NewClient("passthrough:///"+health, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		done()
		return nil, nil, fmt.Errorf("reach the health service at %s: %w", health, err)
	}
	t.health = healthv1.NewHealthClient(probe)
	return t, func() { _ = probe.Close(); _ = conn.Close() }, nil
}

// only keeps the checks whose ids begin with one of the prefixes.
func only(list []check, prefixes string) []check {
	var kept []check
	for _, c := range list {
		for _, prefix := range fields(prefixes) {
			if strings.HasPrefix(c.id, prefix) {
				kept = append(kept, c)
				break
			}
		}
	}
	return kept
}

// fields splits at commas and spaces; of an empty text nothing is left.
func fields(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}
