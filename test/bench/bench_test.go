package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"sigs.k8s.io/yaml"

	"semantic-epp/config"
)

// TestMain lets the test binary be the servers that it starts: with a command
// for its first argument it is one of them.
func TestMain(m *testing.M) {
	if len(os.Args) < 2 || !slices.Contains([]string{"floor", "gie", "serve"}, os.Args[1]) {
		goleak.VerifyTestMain(m)
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	arguments := os.Args[1:]
	if arguments[0] == "serve" {
		arguments = actAsPicker(arguments[1:])
	}
	if err := run(ctx, arguments, os.Stdout, os.Stderr); err != nil {
		fmt.Fprint(os.Stderr, err)
		os.Exit(1)
	}
}

// actAsPicker turns semantic-epp's command line into that of GIE's picker, so
// that a run with three servers can be tested without the binary. It understands
// no more than what the benchmark says to semantic-epp.
func actAsPicker(arguments []string) []string {
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	config := flags.String("config-file", "", "")
	endpoints := flags.String("endpoints-file", "", "")
	port := flags.Int("grpc-port", 0, "")
	flags.Int("grpc-health-port", 0, "")
	flags.Int("metrics-port", 0, "")
	secure := flags.Bool("secure-serving", true, "")
	verbosity := flags.String("v", "", "")
	flags.Parse(arguments)
	if text, err := os.ReadFile(*config); err != nil || !strings.Contains(string(text), "EndpointPickerConfig") || *secure {
		fmt.Fprintf(os.Stderr, "semantic-epp was started wrongly: %q", arguments)
		os.Exit(2)
	}
	return []string{"gie", "-listen", loopback(*port), "-endpoints-file", *endpoints, "-v", *verbosity}
}

// short are options for a run of a moment.
func short(t *testing.T) options {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return options{rounds: 2, roundTime: 300 * time.Millisecond, sizes: []int{1, 8}, concurrency: 2, endpoints: 3,
		servers: []string{serverFloor, serverGIE, serverPicker}, picker: self, pickerModel: benchModel,
		scrape: 20 * time.Millisecond, format: formatTable, self: self}
}

func TestBenchMeasuresEveryServer(t *testing.T) {
	o := short(t)
	got, err := bench(t.Context(), o, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range o.sizes {
		for _, name := range o.servers {
			rounds := got.rounds[size][name]
			if len(rounds) != o.rounds {
				t.Fatalf("%s has %d rounds at %d KB, want %d", name, len(rounds), size, o.rounds)
			}
			for _, s := range rounds {
				if s.cpu <= 0 || s.cpu > 2*s.wall || s.wall < o.roundTime || s.resident <= 0 || percentile(s.latencies, 0.5) <= 0 {
					t.Errorf("%s at %d KB: a round that cannot be: cpu %s in %s, %d bytes, p50 %s",
						name, size, s.cpu, s.wall, s.resident, percentile(s.latencies, 0.5))
				}
				if reads := s.scrapes > 0; reads != (name != serverFloor) {
					t.Errorf("%s at %d KB read %d metrics pages", name, size, s.scrapes)
				}
			}
		}
	}
	if err := got.write(io.Discard); err != nil {
		t.Error(err)
	}
}

func TestBenchWithoutThePickerSaysSoAndMeasuresTheRest(t *testing.T) {
	o := short(t)
	o.picker = filepath.Join(t.TempDir(), "semantic-epp")
	o.servers, o.sizes, o.rounds = []string{serverFloor, serverPicker}, []int{1}, 1
	var said strings.Builder
	got, err := bench(t.Context(), o, &said)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said.String(), "left out: ours") || len(got.rounds[1][serverFloor]) != 1 || got.rounds[1][serverPicker] != nil {
		t.Errorf("it said %q and measured %d rounds of the floor, %d of the picker", said.String(),
			len(got.rounds[1][serverFloor]), len(got.rounds[1][serverPicker]))
	}
}

func TestBenchSaysWhyAServerDidNotStart(t *testing.T) {
	o := short(t)
	o.servers, o.pickerArgs = []string{serverPicker}, []string{"--no-such-flag"}
	_, err := bench(t.Context(), o, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "server ours ended at its start") || !strings.Contains(err.Error(), "no-such-flag") {
		t.Errorf("got error %v, want one with what the server said", err)
	}
}

// interrupt ends the run, as Ctrl-C would, when the first size is under way.
type interrupt struct {
	cancel context.CancelFunc
	once   bool
}

func (i *interrupt) Write(text []byte) (int, error) {
	if !i.once {
		i.once = true
		time.AfterFunc(300*time.Millisecond, i.cancel)
	}
	return len(text), nil
}

func TestInterruptLeavesNoProcessAndNoFile(t *testing.T) {
	scratch := t.TempDir()
	t.Setenv("TMPDIR", scratch)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o := short(t)
	o.rounds, o.roundTime = 1, time.Minute
	begin := time.Now()
	if _, err := bench(ctx, o, &interrupt{cancel: cancel}); err == nil {
		t.Error("an interrupted run returned no error")
	}
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("it took %s to end", took)
	}
	if left, _ := os.ReadDir(scratch); len(left) > 0 {
		t.Errorf("files are left: %v", left)
	}
	if children, err := os.ReadFile("/proc/self/task/" + strconv.Itoa(os.Getpid()) + "/children"); err == nil && len(children) > 0 {
		t.Errorf("processes are left: %s", children)
	}
}

func TestOptionsNameEveryFault(t *testing.T) {
	tests := map[string]struct {
		arguments string
		want      []string // parts of the error; none if the options are right
	}{
		"the defaults":       {"", nil},
		"more sizes":         {"-sizes 1,8,64,220 -concurrency 100 -endpoints 2 -format go", nil},
		"a size of nothing":  {"-sizes 1,0", []string{`-sizes names "0"`}},
		"a size with a unit": {"-sizes 64KB", []string{`-sizes names "64KB"`}},
		"an unknown server":  {"-servers ah,envoy", []string{`-servers names "envoy"`}},
		"a server twice":     {"-servers ah,ah", []string{`-servers names "ah" twice`}},
		"an unknown command": {"flor", []string{`unknown command "flor"`}},
		"many faults at once": {"-rounds 0 -concurrency 0 -endpoints 0 -round-time 1ms -format xml -servers , -sizes , -metrics-interval 0",
			[]string{"-rounds", "-concurrency", "-endpoints", "-round-time", "-format", "-servers", "-sizes", "-metrics-interval"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := parseOptions(strings.Fields(tc.arguments), io.Discard)
			if len(tc.want) == 0 && err != nil {
				t.Errorf("got error %v", err)
			}
			for _, part := range tc.want {
				if err == nil || !strings.Contains(err.Error(), part) {
					t.Errorf("got error %v, want one with %q", err, part)
				}
			}
		})
	}
}

func TestDefaultRunStaysWithinThreeMinutes(t *testing.T) {
	o, err := parseOptions(nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if planned := o.planned(); planned > 160*time.Second {
		t.Errorf("the default run is planned to take %s; with the start it should stay within 3 minutes", planned)
	}
}

func TestFilesForThePickerAreValid(t *testing.T) {
	var file struct {
		Plugins []struct {
			Type       string          `json:"type"`
			Parameters json.RawMessage `json:"parameters"`
		} `json:"plugins"`
	}
	text, err := configs.ReadFile(pickerConfig)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Plugins) == 0 || file.Plugins[0].Type != "semantic-router" {
		t.Fatalf("picker.yaml begins with the plugins %v, want semantic-router first", file.Plugins)
	}
	router, err := config.DecodeRouter(file.Plugins[0].Parameters)
	if err != nil {
		t.Fatalf("picker.yaml: %v", err)
	}
	if router.Model(benchModel) == nil {
		t.Errorf("picker.yaml has no model %s", benchModel)
	}

	want := []endpoint{{Name: "a", Namespace: benchNamespace, Address: "127.0.0.1", Port: 8000, Labels: map[string]string{"app": benchModel}}}
	path := filepath.Join(t.TempDir(), "endpoints.yaml")
	if err := writeEndpoints(path, want); err != nil {
		t.Fatal(err)
	}
	if got, err := readEndpoints(path); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v back, error %v, want %+v", got, err, want)
	}
	text, err = os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := config.DecodeEndpoints(text); err != nil || len(got.Endpoints) != 1 || got.Endpoints[0].Port != 8000 {
		t.Errorf("semantic-epp reads %+v, error %v", got, err)
	}
}
