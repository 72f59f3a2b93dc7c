package main

import (
	"math"
	"slices"
)

// An interval is a median and where the true one is, with a probability of
// 95 % or more.
type interval struct{ Low, Median, High float64 }

// medianOf returns the median of what was measured, with an interval that holds
// whatever the distribution. With less than six values that is all of them.
func medianOf(values []float64) interval {
	if len(values) == 0 {
		return interval{math.NaN(), math.NaN(), math.NaN()}
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	// The true median is below the k-th smallest with the probability that of n
	// tosses less than k come out heads; likewise above the k-th largest.
	k, below := 0, math.Pow(0.5, float64(n))
	for sum := below; k < n/2 && sum <= 0.025; k++ {
		below *= float64(n-k) / float64(k+1)
		sum += below
	}
	k = max(k, 1)
	return interval{Low: sorted[k-1], Median: (sorted[(n-1)/2] + sorted[n/2]) / 2, High: sorted[n-k]}
}
