// Package stat has the statistics of simulations: a histogram of latencies,
// means over seeds and their confidence intervals.
package stat

import (
	"math"
	"math/bits"
)

const (
	sub    = 7 // bits within a doubling: buckets are 0.8 % wide at most
	lowest = 10
	// octaves from 2^10 ns (1 us) to 2^46 ns (19 hours)
	octaves = 36
	buckets = octaves << sub
)

// Histogram counts latencies in nanoseconds. Its quantiles are interpolated
// within a bucket, and off by some 0.4 % at most.
type Histogram struct {
	counts [buckets]uint32
	total  uint64
	sum    float64
	most   int64
}

// Add counts a latency.
func (h *Histogram) Add(ns int64) {
	h.counts[bucket(ns)]++
	h.total++
	h.sum += float64(ns)
	h.most = max(h.most, ns)
}

// Merge adds another's counts.
func (h *Histogram) Merge(other *Histogram) {
	for i, c := range other.counts {
		h.counts[i] += c
	}
	h.total += other.total
	h.sum += other.sum
	h.most = max(h.most, other.most)
}

// Count is how many latencies were added.
func (h *Histogram) Count() uint64 { return h.total }

// Mean is their mean; NaN if there are none.
func (h *Histogram) Mean() float64 { return h.sum / float64(h.total) }

// Quantile returns the latency, in nanoseconds, below which a share q lies;
// NaN if there are none.
func (h *Histogram) Quantile(q float64) float64 {
	if h.total == 0 {
		return math.NaN()
	}
	rank := q * float64(h.total)
	below := 0.0
	for i, c := range h.counts {
		if c == 0 {
			continue
		}
		if below+float64(c) >= rank {
			low, high := bounds(i)
			return min(low+(high-low)*max((rank-below)/float64(c), 0), float64(h.most))
		}
		below += float64(c)
	}
	return math.NaN()
}

func bucket(ns int64) int {
	v := uint64(max(ns, 1<<lowest))
	octave := bits.Len64(v) - 1
	i := (octave-lowest)<<sub | int(v>>(octave-sub)&(1<<sub-1))
	return min(i, buckets-1)
}

func bounds(i int) (low, high float64) {
	octave := lowest + i>>sub
	step := math.Ldexp(1, octave-sub)
	low = math.Ldexp(1, octave) + float64(i&(1<<sub-1))*step
	return low, low + step
}
