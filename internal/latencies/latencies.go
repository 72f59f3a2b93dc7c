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
// that end at the same moment with as many in flight, one may be lost. Times are since
// whatever moment the caller likes, which is always the same.
type History struct {
	means [buckets]mean
}

const (
	buckets = 24 // the last is of 2,895 calls and more, and the call that comes
	// stays is for how long after the last of its calls a mean is told: a server that was slow
	// once and is idle since need not be slow still, and who hears it every second could not
	// know how old it is.
	stays = 30 * time.Second
	// about is how many halves of a doubling away the calls in flight are about as many.
	about = 2
	// recent is over how many calls a mean is.
	recent = 32
	// enough is of how many calls a mean must be not to ask the neighbours for more.
	enough = 4
)

// mean is two numbers in a word, so that they are read and written together, and when the
// last call of it ended.
type mean struct {
	word atomic.Uint64
	at   atomic.Int64
}

// load returns the mean and of how many calls it is, 0 if it is too old.
func (m *mean) load(now time.Duration) (log float32, calls uint32) {
	w := m.word.Load()
	if int64(now)-m.at.Load() > int64(stays) {
		return 0, 0
	}
	return math.Float32frombits(uint32(w >> 32)), uint32(w)
}

func (m *mean) add(now time.Duration, log float32) {
	was := m.word.Load()
	old, calls := m.load(now)
	calls = min(calls+1, recent)
	old += (log - old) / float32(calls)
	if m.word.CompareAndSwap(was, uint64(math.Float32bits(old))<<32|uint64(calls)) {
		m.at.Store(int64(now))
	}
}

// Add takes in a call that succeeded and has just ended: how many were in flight when it came,
// and what it took.
func (h *History) Add(now time.Duration, inFlight int, latency time.Duration) {
	h.means[bucket(inFlight)].add(now, float32(math.Log(float64(max(latency, 1)))))
}

// Typical is the geometric mean of what calls took of late that came when about as many were in
// flight; 0 if there were none.
func (h *History) Typical(now time.Duration, inFlight int) time.Duration {
	at := bucket(inFlight)
	var best float32
	var most uint32
	for away := 0; away <= about && most < enough; away++ {
		for _, i := range [2]int{at - away, at + away} {
			if i < 0 || i >= buckets {
				continue
			}
			if log, calls := h.means[i].load(now); calls > most {
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
