package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const usage = `bench measures what an endpoint picker costs per request.

  bench [flags]        compare the servers; see bench -h
  bench floor [flags]  serve ext_proc as the floor (AH) does
  bench gie [flags]    serve ext_proc as GIE v1.5.0's picker does

`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "bench: interrupted")
		os.Exit(130)
	default:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run does what the arguments say.
func run(ctx context.Context, arguments []string, stdout, stderr io.Writer) error {
	if len(arguments) > 0 {
		switch arguments[0] {
		case "floor":
			return runFloor(ctx, arguments[1:], stderr)
		case "gie":
			return runGIE(ctx, arguments[1:], stderr)
		}
	}
	o, err := parseOptions(arguments, stderr)
	if err != nil {
		return err
	}
	got, err := bench(ctx, o, stderr)
	if err != nil {
		return err
	}
	return got.write(stdout)
}

func parseOptions(arguments []string, stderr io.Writer) (options, error) {
	self, err := os.Executable()
	if err != nil {
		return options{}, fmt.Errorf("find this program, to start it as a server: %w", err)
	}
	o := options{self: self}
	flags := newFlags("bench", stderr)
	flags.IntVar(&o.rounds, "rounds", 9, "measured `rounds` for each server and size")
	flags.DurationVar(&o.roundTime, "round-time", 2*time.Second, "length of a round")
	sizes := flags.String("sizes", "1,64", "sizes of request bodies in `KB`, comma-separated")
	flags.IntVar(&o.concurrency, "concurrency", 16, "exchanges under way at once")
	flags.IntVar(&o.endpoints, "endpoints", 10, "fake model servers to choose among")
	servers := flags.String("servers", "ah,gie,ours", "`servers` to compare: ah is the floor, gie is GIE v1.5.0, ours is -picker")
	flags.StringVar(&o.picker, "picker", "bin/semantic-epp", "`path` of semantic-epp; it is left out if not there")
	flags.StringVar(&o.pickerConfig, "picker-config", "", "configuration `file` for semantic-epp (default: keyword rules only)")
	flags.StringVar(&o.pickerModel, "picker-model", "auto", "`model` that semantic-epp's clients ask for: auto lets the rules decide, "+benchModel+" is explicit")
	more := flags.String("picker-args", "", "more `arguments` for semantic-epp, separated by spaces")
	flags.DurationVar(&o.scrape, "metrics-interval", 50*time.Millisecond, "how often GIE reads the metrics of an endpoint (its default: 50ms)")
	flags.IntVar(&o.verbosity, "v", 0, "log `level` of the pickers (GIE's own default is 2: three lines a request)")
	flags.StringVar(&o.format, "format", formatTable, "report `form`: table, or go for benchstat")
	if err := flags.Parse(arguments); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unknown command %q: use floor, gie, or none", flags.Arg(0))
	}
	for _, size := range list(*sizes) {
		kb, err := strconv.Atoi(size)
		if err != nil || kb < 1 {
			return o, fmt.Errorf("-sizes names %q: use whole KB from 1 on, such as 1,64", size)
		}
		o.sizes = append(o.sizes, kb)
	}
	o.servers, o.pickerArgs = list(*servers), strings.Fields(*more)
	return o, o.faults()
}

func runFloor(ctx context.Context, arguments []string, stderr io.Writer) error {
	flags := newFlags("bench floor", stderr)
	address := flags.String("listen", "127.0.0.1:9002", "`address` to serve on")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		return fmt.Errorf("serve the floor: %w", err)
	}
	return serveFloor(ctx, listener)
}

func runGIE(ctx context.Context, arguments []string, stderr io.Writer) error {
	flags := newFlags("bench gie", stderr)
	address := flags.String("listen", "127.0.0.1:9002", "`address` to serve on")
	file := flags.String("endpoints-file", "", "YAML `file` that lists the endpoints")
	scrape := flags.Duration("metrics-interval", 50*time.Millisecond, "how often to read the metrics of an endpoint")
	verbosity := flags.Int("v", 0, "log `level`")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	eps, err := readEndpoints(*file)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		return fmt.Errorf("serve GIE's picker: %w", err)
	}
	return serveGIE(ctx, listener, eps, *scrape, *verbosity)
}

func newFlags(name string, stderr io.Writer) *flag.FlagSet {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, usage)
		flags.PrintDefaults()
	}
	return flags
}

// list splits at commas; of an empty text nothing is left.
func list(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}
