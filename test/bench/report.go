package main

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"time"
)

// Forms of the report.
const (
	formatTable = "table" // Markdown
	formatGo    = "go"    // Go's benchmark format, for benchstat
)

func (r *result) write(w io.Writer) error {
	if r.options.format == formatGo {
		return r.writeGo(w)
	}
	return r.writeTable(w)
}

// writeTable writes a row a server and size, then what the servers use when idle.
func (r *result) writeTable(w io.Writer) error {
	out := &errWriter{w: w}
	o := r.options
	out.printf("%d concurrent, %d endpoints, %d rounds of %s; %s, %s/%s\n\n", o.concurrency, o.endpoints, o.rounds, o.roundTime,
		runtime.Version(), runtime.GOOS, runtime.GOARCH)
	out.printf("| body KB | server | p50 ms | p99 ms | requests/s | CPU µs/request | × AH, median (min..max) | RSS MB | scrapes/s |\n")
	out.printf("|---|---|---|---|---|---|---|---|---|\n")
	for _, size := range o.sizes {
		for _, name := range o.servers {
			s := summarize(r.rounds[size][name])
			out.printf("| %d | %s | %.2f | %.2f | %.0f | %.0f | %s | %.0f | %.0f |\n", size, name,
				milliseconds(s.p50), milliseconds(s.p99), s.perSecond, median(s.cpu)/1e3,
				r.againstFloor(size, name), float64(s.resident)/1e6, s.scrapes)
		}
	}
	out.printf("\n| idle | cores used | scrapes/s |\n|---|---|---|\n")
	for _, name := range o.servers {
		s := r.idle[name]
		out.printf("| %s | %.4f | %.0f |\n", name, s.cpuShare(), float64(s.scrapes)/s.wall.Seconds())
	}
	return out.err
}

// againstFloor is the CPU per request as a ratio to the floor's, by round.
func (r *result) againstFloor(size int, name string) string {
	base, ok := r.rounds[size][serverFloor]
	if !ok || name == serverFloor {
		return "–"
	}
	x := pairedRatio(summarize(r.rounds[size][name]).cpu, summarize(base).cpu)
	return fmt.Sprintf("%.2f (%.2f..%.2f)", x.median, x.min, x.max)
}

// writeGo writes a line a round, as `go test -bench` would: benchstat takes the
// rounds as samples.
func (r *result) writeGo(w io.Writer) error {
	out := &errWriter{w: w}
	o := r.options
	out.printf("goos: %s\ngoarch: %s\npkg: semantic-epp/test/bench\n", runtime.GOOS, runtime.GOARCH)
	for _, size := range o.sizes {
		for _, name := range o.servers {
			for _, s := range r.rounds[size][name] {
				out.printf("BenchmarkExchange/body=%dKB/concurrency=%d/endpoints=%d/server=%s \t%d\t%.0f ns/op\t%.0f cpu-ns/op\t%d p50-ns\t%d p99-ns\t%.0f req/s\t%d rss-B\n",
					size, o.concurrency, o.endpoints, name, len(s.latencies), float64(s.wall)/float64(len(s.latencies)), s.cpuPerExchange(),
					percentile(s.latencies, 0.5), percentile(s.latencies, 0.99), s.perSecond(), s.resident)
			}
		}
	}
	return out.err
}

// summary puts the rounds of one server and size together.
type summary struct {
	p50, p99  time.Duration // over the exchanges of all rounds
	perSecond float64       // over the time of all rounds
	cpu       []float64     // nanoseconds an exchange, by round
	resident  int64         // the most that was held at a round's end, in bytes
	scrapes   float64       // a second
}

func summarize(rounds []sample) summary {
	var all sample
	var s summary
	for _, m := range rounds {
		all.wall += m.wall
		all.scrapes += m.scrapes
		all.latencies = append(all.latencies, m.latencies...)
		s.cpu = append(s.cpu, m.cpuPerExchange())
		s.resident = max(s.resident, m.resident)
	}
	slices.Sort(all.latencies)
	s.p50, s.p99 = percentile(all.latencies, 0.5), percentile(all.latencies, 0.99)
	s.perSecond = all.perSecond()
	s.scrapes = float64(all.scrapes) / all.wall.Seconds()
	return s
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// errWriter keeps the first error, so that a report is written without asking
// after each line.
type errWriter struct {
	w   io.Writer
	err error
}

func (e *errWriter) printf(format string, values ...any) {
	if e.err == nil {
		_, e.err = fmt.Fprintf(e.w, format, values...)
	}
}
