package choice

import (
	"math/bits"
	"sync/atomic"
	"time"
)

const (
	histogramSub     = 8 // buckets in each doubling: 9 % apart at most
	histogramLowest  = 16
	histogramOctaves = 22
	// HistogramBuckets is the number of buckets: from 2^16 ns (65 us) to
	// 2^38 ns (275 s), and one for what is longer.
	HistogramBuckets = histogramSub*histogramOctaves + 1
)

// Histogram counts durations in buckets that grow with them. Adding is one
// atomic addition.
type Histogram struct {
	counts [HistogramBuckets]atomic.Uint32
}

// Add counts one duration.
func (h *Histogram) Add(d time.Duration) { h.counts[bucket(d)].Add(1) }

// Counts returns a copy of the counts. They wrap at 2^32.
func (h *Histogram) Counts() (c [HistogramBuckets]uint32) {
	for i := range h.counts {
		c[i] = h.counts[i].Load()
	}
	return c
}

func bucket(d time.Duration) int {
	v := uint64(max(d, 0))
	if v < 1<<histogramLowest {
		return 0
	}
	exp := bits.Len64(v) - 1
	i := (exp-histogramLowest)*histogramSub + int(v>>(exp-3)&(histogramSub-1))
	return min(i, HistogramBuckets-1)
}

// BucketCeiling is the duration below which bucket i counts.
func BucketCeiling(i int) time.Duration {
	exp := histogramLowest + i/histogramSub
	return time.Duration(uint64(1)<<exp + uint64(i%histogramSub+1)<<(exp-3))
}
