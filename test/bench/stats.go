package main

import (
	"math"
	"slices"
	"time"
)

// percentile is the smallest of the sorted values that at least the share q (0
// to 1) of them does not exceed: the nearest-rank method. Zero of none.
func percentile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(q * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// median is the middle of the values, the mean of the two middle ones if their
// number is even, and NaN of none. It does not change values.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// A ratio is how one server compares with another over many rounds.
type ratio struct{ median, min, max float64 }

// pairedRatio divides what was measured in round i of one server by what was
// measured in round i of the other. The two lists are of one length; a machine
// that is slow in one round is slow for both, so the ratio stays.
func pairedRatio(one, other []float64) ratio {
	if len(one) == 0 || len(one) != len(other) {
		return ratio{math.NaN(), math.NaN(), math.NaN()}
	}
	ratios := make([]float64, len(one))
	for i := range one {
		ratios[i] = one[i] / other[i]
	}
	return ratio{median(ratios), slices.Min(ratios), slices.Max(ratios)}
}
