package main

import (
	"strings"
	"testing"
	"time"
)

// known is a result whose figures can be worked out by hand: two rounds of one
// second in which the floor's exchanges cost 50 and 100 µs, and GIE's four and
// six times that.
func known(format string) *result {
	round := func(cpu time.Duration, n int) sample {
		s := sample{wall: time.Second, cpu: cpu * time.Duration(n), resident: 20e6, scrapes: 200}
		for range n {
			s.latencies = append(s.latencies, 2*time.Millisecond)
		}
		return s
	}
	us := time.Microsecond
	return &result{
		options: options{rounds: 2, roundTime: time.Second, sizes: []int{1}, concurrency: 16, endpoints: 10,
			servers: []string{serverFloor, serverGIE}, format: format},
		idle: map[string]sample{serverFloor: round(0, 0), serverGIE: {wall: time.Second, cpu: 250 * time.Millisecond, scrapes: 200}},
		rounds: map[int]map[string][]sample{1: {
			serverFloor: {round(50*us, 1000), round(100*us, 1000)},
			serverGIE:   {round(200*us, 500), round(600*us, 100)},
		}},
	}
}

func TestReports(t *testing.T) {
	tests := map[string]struct {
		format string
		want   []string
	}{
		"a table": {formatTable, []string{
			"| 1 | ah | 2.00 | 2.00 | 1000 | 75 | – | 20 | 200 |",
			"| 1 | gie | 2.00 | 2.00 | 300 | 400 | 5.00 (4.00..6.00) | 20 | 200 |",
			"| gie | 0.2500 | 200 |",
		}},
		"lines for benchstat, one a round": {formatGo, []string{
			"BenchmarkExchange/body=1KB/concurrency=16/endpoints=10/server=gie \t500\t2000000 ns/op\t200000 cpu-ns/op\t2000000 p50-ns\t2000000 p99-ns\t500 req/s\t20000000 rss-B\n",
			"server=gie \t100\t10000000 ns/op\t600000 cpu-ns/op",
		}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			if err := known(tc.format).write(&out); err != nil {
				t.Fatal(err)
			}
			for _, want := range tc.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("the report lacks %q:\n%s", want, out.String())
				}
			}
		})
	}
}
