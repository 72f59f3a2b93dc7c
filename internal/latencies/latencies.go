// Package latencies keeps what a server's calls took of late, by how many were in flight
// when they came.
//
// It is what a server can say of itself that its utilization and its rate do not tell: how
// slow it is while it is idle, and so has neither. Package orca reports it, and the simulator's
// servers do by the same code. The idea is that of Prequal's servers (Wydrowski et al. 2024).
package latencies

import (
	"math"
	"sync/atomic"
	"time"
)

// History is a mean of the logarithms of latencies for each half of a doubling of the calls
// in flight. Its zero value is ready, and its methods may be called concurrently: of two calls
// that end at the same moment with as many in flight, one may be lost.
type History struct {
	means [buckets]mean
}

const (
	buckets = 24 // the last is of 2,895 calls and more
	// recent is over how many calls a mean is.
	recent = 32
	// enough is of how many calls a mean must be not to ask the neighbours for more.
	enough = 4
)

// mean is two numbers in a word, so that they are read and written together.
type mean struct{ word atomic.Uint64 }

func (m *mean) load() (log float32, calls uint32) {
	w := m.word.Load()
	return math.Float32frombits(uint32(w >> 32)), uint32(w)
}

func (m *mean) add(log float32) {
	was := m.word.Load()
	old, calls := math.Float32frombits(uint32(was>>32)), uint32(was)
	calls = min(calls+1, recent)
	old += (log - old) / float32(calls)
	m.word.CompareAndSwap(was, uint64(math.Float32bits(old))<<32|uint64(calls))
}

// Add takes in a call that succeeded: how many were in flight when it came, and what it took.
func (h *History) Add(inFlight int, latency time.Duration) {
	h.means[bucket(inFlight)].add(float32(math.Log(float64(max(latency, 1)))))
}

// Typical is the geometric mean of what calls took that came when about as many were in
// flight; 0 while there were none at all.
func (h *History) Typical(inFlight int) time.Duration {
	at := bucket(inFlight)
	var best float32
	var most uint32
	for away := 0; away < buckets && most < enough; away++ {
		for _, i := range [2]int{at - away, at + away} {
			if i < 0 || i >= buckets {
				continue
			}
			if log, calls := h.means[i].load(); calls > most {
				best, most = log, calls
			}
		}
	}
	if most == 0 {
		return 0
	}
	return time.Duration(math.Exp(float64(best)))
}

func bucket(inFlight int) int {
	return min(int(2*math.Log2(float64(max(inFlight, 0)+1))+1e-9), buckets-1)
}
