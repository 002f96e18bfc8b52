package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// variants is how many different conversations the clients send in turn, so
// that prefix caches see old prompts and new ones.
const variants = 64

// options are what the flags say.
type options struct {
	rounds       int
	roundTime    time.Duration
	sizes        []int // of request bodies, in KB of 1024 bytes
	concurrency  int
	endpoints    int
	servers      []string
	picker       string   // path of semantic-epp
	pickerConfig string   // file, or "" for picker.yaml
	pickerModel  string   // the model that clients of semantic-epp ask for
	pickerArgs   []string // more arguments for semantic-epp
	scrape       time.Duration
	verbosity    int
	format       string // table or go
	self         string // path of this program
}

// faults are all that is wrong with the options.
func (o options) faults() error {
	var errs []error
	add := func(bad bool, text string, values ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(text, values...))
		}
	}
	add(o.rounds < 1, "-rounds %d: at least 1", o.rounds)
	add(o.roundTime < 10*time.Millisecond, "-round-time %s: at least 10ms", o.roundTime)
	add(len(o.sizes) == 0, "-sizes is empty: name at least one")
	add(o.concurrency < 1, "-concurrency %d: at least 1", o.concurrency)
	add(o.endpoints < 1, "-endpoints %d: at least 1", o.endpoints)
	add(o.scrape < time.Millisecond, "-metrics-interval %s: at least 1ms", o.scrape)
	add(len(o.servers) == 0, "-servers is empty: name at least one")
	add(o.format != formatTable && o.format != formatGo, "-format %q: %s or %s", o.format, formatTable, formatGo)
	for i, name := range o.servers {
		add(!slices.Contains([]string{serverFloor, serverGIE, serverPicker}, name),
			"-servers names %q: use %s, %s and %s", name, serverFloor, serverGIE, serverPicker)
		add(slices.Contains(o.servers[:i], name), "-servers names %q twice", name)
	}
	return errors.Join(errs...)
}

// planned is about how long the run takes once the servers are up.
func (o options) planned() time.Duration {
	turns := len(o.servers) * (len(o.sizes)*o.rounds + 1) // one more for the idle round
	return time.Duration(turns) * (o.roundTime + settle)
}

// result is what all rounds gave.
type result struct {
	options options
	idle    map[string]sample
	rounds  map[int]map[string][]sample // by size in KB, by server
}

// bench runs the whole benchmark. It says on progress what it is about, and
// leaves no process and no file behind, however it ends.
func bench(ctx context.Context, o options, progress io.Writer) (*result, error) {
	if slices.Contains(o.servers, serverPicker) {
		if _, err := os.Stat(o.picker); err != nil {
			fmt.Fprintf(progress, "left out: %s (%v); build it with make build, or name it with -picker\n", serverPicker, err)
			o.servers = slices.DeleteFunc(slices.Clone(o.servers), func(name string) bool { return name == serverPicker })
		}
	}
	if len(o.servers) == 0 {
		return nil, errors.New("no server is left to measure")
	}
	limit := o.planned() + time.Duration(len(o.servers))*startDeadline
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("the run took longer than %s", limit))
	defer cancel()
	f, err := newField(ctx, o)
	if err != nil {
		return nil, err
	}
	got, err := f.measure(ctx, progress)
	return got, errors.Join(err, f.close())
}

// field is everything that runs during a benchmark.
type field struct {
	options options
	dir     string // scratch files
	models  *modelServers
	servers []*server
	clients []int // CPUs of the client
	cpus    []int // CPUs of the servers
}

// newField starts the fake model servers and the servers under test, waits
// until each of these answers rightly, and halts them.
func newField(ctx context.Context, o options) (f *field, err error) {
	f = &field{options: o}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.close())
		}
	}()
	if err := f.divideCores(); err != nil {
		return f, err
	}
	if f.dir, err = os.MkdirTemp("", "bench-"); err != nil {
		return f, fmt.Errorf("make a scratch folder: %w", err)
	}
	if f.models, err = startModelServers(o.endpoints); err != nil {
		return f, err
	}
	if err := writeEndpoints(f.endpointsFile(), f.models.list); err != nil {
		return f, err
	}
	for _, name := range o.servers {
		if err := f.start(ctx, name); err != nil {
			return f, err
		}
	}
	return f, nil
}

func (f *field) endpointsFile() string { return filepath.Join(f.dir, "endpoints.yaml") }

// divideCores gives the servers the last core that this process may use, and
// the client and the fake model servers the others. With one core all share it.
func (f *field) divideCores() error {
	all, err := cores()
	if err != nil {
		return err
	}
	f.clients, f.cpus = all, all
	if len(all) < 2 {
		return nil
	}
	f.clients, f.cpus = all[:len(all)-1], all[len(all)-1:]
	return pinSelf(f.clients)
}

// start adds one server, ready and halted.
func (f *field) start(ctx context.Context, name string) error {
	ports, err := freePorts(3)
	if err != nil {
		return err
	}
	o := f.options
	cmd := floorCommand(o.self, ports[0])
	switch name {
	case serverGIE:
		cmd = gieCommand(o.self, ports[0], f.endpointsFile(), o.scrape, o.verbosity)
	case serverPicker:
		config := o.pickerConfig
		if config == "" {
			config = filepath.Join(f.dir, pickerConfig)
			if err := os.CopyFS(f.dir, configs); err != nil {
				return fmt.Errorf("write the picker's configuration: %w", err)
			}
		}
		cmd = pickerCommand(o.picker, ports[0], ports[1], ports[2], config, f.endpointsFile(), o.verbosity, o.pickerArgs)
	}
	s, err := startServer(name, cmd, ports[0], f.cpus, f.dir)
	if err != nil {
		return err
	}
	f.servers = append(f.servers, s)
	if err := f.prove(ctx, s); err != nil {
		return err
	}
	return pause(s.cmd.Process)
}

// prove waits until s answers, and lets a picker show that it reads metrics:
// while one endpoint alone is free, it must be chosen; first one, then another.
func (f *field) prove(ctx context.Context, s *server) error {
	defer f.models.free.Store(noneFree)
	for seed, free := range []int{0, len(f.models.list) - 1} {
		f.models.free.Store(int64(free))
		probe, err := f.exchange(s.name, smallestChat, uint64(seed), f.models.list[free:free+1])
		if err != nil {
			return err
		}
		if err := s.awaitReady(ctx, probe); err != nil {
			return err
		}
	}
	return nil
}

// exchange makes what clients ask of the named server, which may choose among
// allowed if it is a picker.
func (f *field) exchange(name string, size int, seed uint64, allowed []endpoint) (*exchange, error) {
	switch name {
	case serverFloor:
		return newExchange(benchModel, size, seed, nil)
	case serverPicker:
		return newExchange(f.options.pickerModel, size, seed, allowed)
	default:
		return newExchange(benchModel, size, seed, allowed)
	}
}

// measure runs all rounds. The servers take turns within a round, and another
// one is first in each.
func (f *field) measure(ctx context.Context, progress io.Writer) (*result, error) {
	o := f.options
	fmt.Fprintf(progress, "%s: %d rounds of %s for bodies of %v KB, about %s; servers on CPU %v, clients on %v\n",
		strings.Join(o.servers, ", "), o.rounds, o.roundTime, o.sizes, o.planned().Round(time.Second), f.cpus, f.clients)
	got := &result{options: o, idle: map[string]sample{}, rounds: map[int]map[string][]sample{}}
	for _, s := range f.servers {
		var err error
		if got.idle[s.name], err = measureIdle(ctx, s, o.roundTime, f.models.scrapes.Load); err != nil {
			return nil, err
		}
	}
	for _, size := range o.sizes {
		got.rounds[size] = map[string][]sample{}
		if err := f.fillPools(size << 10); err != nil {
			return nil, err
		}
		for round := range o.rounds {
			for i := range f.servers {
				s := f.servers[(round+i)%len(f.servers)]
				m, err := measureRound(ctx, s, o.concurrency, o.roundTime, f.models.scrapes.Load)
				if err != nil {
					return nil, fmt.Errorf("round %d with bodies of %d KB: %w", round+1, size, err)
				}
				got.rounds[size][s.name] = append(got.rounds[size][s.name], m)
			}
		}
		fmt.Fprintf(progress, "measured bodies of %d KB\n", size)
	}
	return got, nil
}

// fillPools gives every server's clients requests of size bytes.
func (f *field) fillPools(size int) error {
	for _, s := range f.servers {
		s.pool = make([]*exchange, variants)
		for i := range s.pool {
			var err error
			if s.pool[i], err = f.exchange(s.name, size, uint64(i), f.models.list); err != nil {
				return err
			}
		}
	}
	return nil
}

// close ends all processes and removes the scratch files.
func (f *field) close() error {
	var errs []error
	for _, s := range f.servers {
		errs = append(errs, s.stop())
	}
	if f.models != nil {
		errs = append(errs, f.models.Close())
	}
	if f.dir != "" {
		errs = append(errs, os.RemoveAll(f.dir))
	}
	return errors.Join(errs...)
}
