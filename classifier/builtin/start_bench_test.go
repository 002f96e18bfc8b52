//go:build linux

package builtin

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// startFile names the file to which a process that BenchmarkStart has started
// writes what it saw.
const startFile = "SEMANTIC_EPP_BENCH_START"

const startRuns = 1000

// A start is what a new process sees of a model.
type start struct {
	FirstAnswer float64 // milliseconds from Open to the first answer
	Opened      float64 // of that, Open
	Loaded      float64 // MB of memory that Open took (RSS)
	Used        float64 // MB that it is after startRuns runs of 128 tokens
	All         float64 // MB of the whole process then
}

// BenchmarkStart measures how a model starts and what memory it takes, in a
// new process each time.
func BenchmarkStart(b *testing.B) {
	for _, model := range []string{ONNX, Small, Linear} {
		b.Run("model="+model, func(b *testing.B) {
			if file := os.Getenv(startFile); file != "" {
				writeStart(b, model, file)
				return
			}
			if model != Linear {
				open(b, ONNX) // or skip: the linear model stands in for the small one
			}
			var seen []start
			for range b.N {
				seen = append(seen, startProcess(b, model))
			}
			median := func(unit string, of func(start) float64) {
				var all []float64
				for _, s := range seen {
					all = append(all, of(s))
				}
				slices.Sort(all)
				b.ReportMetric(all[len(all)/2], unit)
			}
			b.ReportMetric(0, "ns/op") // of all that the process did
			median("first-answer-ms", func(s start) float64 { return s.FirstAnswer })
			median("open-ms", func(s start) float64 { return s.Opened })
			median("loaded-MB", func(s start) float64 { return s.Loaded })
			median("used-MB", func(s start) float64 { return s.Used })
			median("process-MB", func(s start) float64 { return s.All })
		})
	}
}

// startProcess runs the benchmark once in a process of its own.
func startProcess(b *testing.B, model string) (s start) {
	b.Helper()
	file := filepath.Join(b.TempDir(), "start.json")
	c := exec.CommandContext(b.Context(), os.Args[0], "-test.run=^$", "-test.benchtime=1x", "-test.bench=^BenchmarkStart$/^model="+model+"$")
	c.Env = append(os.Environ(), startFile+"="+file)
	if out, err := c.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	written, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(written, &s)
	}
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func writeStart(b *testing.B, model, file string) {
	text := textOf(b, MaxTokens)
	before := residentMB(b)
	started := time.Now()
	m, err := Open(Options{Model: model, Device: "cpu"})
	if err != nil {
		b.Fatal(err)
	}
	opened := time.Since(started)
	loaded := residentMB(b)
	ask(b, m, text)
	s := start{FirstAnswer: time.Since(started).Seconds() * 1e3, Opened: opened.Seconds() * 1e3, Loaded: loaded - before}
	for range startRuns {
		ask(b, m, text)
	}
	s.All = residentMB(b)
	s.Used = s.All - before
	out, err := json.Marshal(s)
	if err == nil {
		err = os.WriteFile(file, out, 0o600)
	}
	if err != nil {
		b.Fatal(err)
	}
	if err := m.Close(); err != nil {
		b.Fatal(err)
	}
}

// residentMB is the memory of this process that is in RAM, in 10^6 bytes.
func residentMB(b *testing.B) float64 {
	b.Helper()
	line, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		b.Skip(err)
	}
	var total, resident int
	if _, err := fmt.Sscan(strings.TrimSpace(string(line)), &total, &resident); err != nil {
		b.Fatal(err)
	}
	return float64(resident) * float64(os.Getpagesize()) / 1e6
}
