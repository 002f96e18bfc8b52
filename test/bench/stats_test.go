package main

import (
	"math"
	"slices"
	"testing"
	"time"
)

func TestPercentile(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(i + 1)
	}
	tests := map[string]struct {
		sorted []time.Duration
		q      float64
		want   time.Duration
	}{
		"of none it is zero":                        {nil, 0.5, 0},
		"of one it is that one":                     {[]time.Duration{7}, 0.99, 7},
		"the median of an even number is the low":   {[]time.Duration{1, 2, 3, 4}, 0.5, 2},
		"the median of an odd number is the middle": {[]time.Duration{1, 2, 9}, 0.5, 2},
		"p99 of a hundred leaves one above":         {hundred, 0.99, 99},
		"p0 is the least":                           {hundred, 0, 1},
		"p100 is the most":                          {hundred, 1, 100},
		"p99 of few is the most":                    {[]time.Duration{1, 2, 3}, 0.99, 3},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := percentile(tc.sorted, tc.q); got != tc.want {
				t.Errorf("percentile(%v) = %v, want %v", tc.q, got, tc.want)
			}
		})
	}
}

func TestMedian(t *testing.T) {
	values := []float64{9, 1, 4}
	if got := median(values); got != 4 {
		t.Errorf("median = %v, want 4", got)
	}
	if !slices.Equal(values, []float64{9, 1, 4}) {
		t.Errorf("median sorted its argument: %v", values)
	}
	if got := median([]float64{8, 2, 4, 100}); got != 6 {
		t.Errorf("median of an even number = %v, want 6, the mean of the middle two", got)
	}
	if got := median(nil); !math.IsNaN(got) {
		t.Errorf("median of none = %v, want NaN", got)
	}
}

func TestPairedRatio(t *testing.T) {
	// The machine is ten times slower in the second round; the ratio stays.
	got := pairedRatio([]float64{30, 280, 33}, []float64{10, 100, 10})
	if want := (ratio{median: 3, min: 2.8, max: 3.3}); math.Abs(got.median-want.median)+math.Abs(got.min-want.min)+math.Abs(got.max-want.max) > 1e-9 {
		t.Errorf("pairedRatio = %+v, want %+v", got, want)
	}
	if got := pairedRatio([]float64{1, 2}, []float64{1}); !math.IsNaN(got.median) {
		t.Errorf("pairedRatio of lists that do not pair = %+v, want NaN", got)
	}
}

func TestWithinCountsWhatEndsInTheRound(t *testing.T) {
	start := time.Now()
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	got := within([][]finished{
		{{at(-1), 5}, {at(0), 4}, {at(99), 2}},
		{{at(50), 3}, {at(100), 1}},
	}, start, at(100))
	if want := []time.Duration{2, 3, 4}; !slices.Equal(got, want) {
		t.Errorf("within = %v, want %v: from the start, to before the end, sorted", got, want)
	}
}
