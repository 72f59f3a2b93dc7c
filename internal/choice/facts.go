package choice

import (
	"math"
	"sync/atomic"
)

// facts are what the cost is computed from. A time of 0 says "never", and a
// negative number "unknown".
type facts struct {
	perRequest   float32 // ns that one queued request adds to the latency
	certain      float32 // the same, but what is typical as far as the difference may be chance
	logActual    float32 // the logarithm of what it is, whatever part of the difference from what is typical counts
	perRequestAt int64   // of all three
	inFlightMean float32 // how many are usually there

	// What the server said of itself, all at reportedAt.
	inFlight          float32
	ownThen           float32 // how many of the calls in flight were this client's
	utilization       float32
	rps               float32
	reportedErrorRate float32
	reportedAt        int64

	errorRate float32 // of this client's own calls, 0 to 1
	errorAt   int64
}

var nothingKnown = facts{utilization: -1, rps: -1, inFlight: -1}

// published holds facts for readers that take no lock. Words are read one by
// one, so a reader may see an update half done; each word is valid alone. An
// atomic store is not cheap, so what changes together shares a word: five of
// them are written by an answer, and read by a pick.
type published struct {
	pace       atomic.Uint64 // perRequest and inFlightMean
	paceAt     atomic.Int64
	certain    atomic.Uint64 // certain and logActual
	queue      atomic.Uint64 // inFlight and ownThen
	reportedAt atomic.Int64

	utilization atomic.Uint64 // utilization and rps
	errors      atomic.Uint64 // errorRate and reportedErrorRate
	errorAt     atomic.Int64
}

func twoFloats(a, b float32) uint64 {
	return uint64(math.Float32bits(a))<<32 | uint64(math.Float32bits(b))
}

func floats(word uint64) (a, b float32) {
	return math.Float32frombits(uint32(word >> 32)), math.Float32frombits(uint32(word))
}

// paceSlack is by how much perRequestAt may lag behind, a power of two of parts of
// the decay window: news that comes every moment is not worth a store each time.
const paceSlack = 10

// store publishes what differs from old. Window is the decay window.
func (p *published) store(old, f *facts, window int64) {
	if f.perRequest != old.perRequest || f.inFlightMean != old.inFlightMean {
		p.pace.Store(twoFloats(f.perRequest, f.inFlightMean))
	}
	if age := f.perRequestAt - p.paceAt.Load(); age < 0 || age > window>>paceSlack {
		p.paceAt.Store(f.perRequestAt)
	}
	if f.certain != old.certain || f.logActual != old.logActual {
		p.certain.Store(twoFloats(f.certain, f.logActual))
	}
	if f.inFlight != old.inFlight || f.ownThen != old.ownThen {
		p.queue.Store(twoFloats(f.inFlight, f.ownThen))
	}
	if f.reportedAt != old.reportedAt {
		p.reportedAt.Store(f.reportedAt)
	}
	if f.utilization != old.utilization || f.rps != old.rps {
		p.utilization.Store(twoFloats(f.utilization, f.rps))
	}
	if f.errorRate != old.errorRate || f.reportedErrorRate != old.reportedErrorRate {
		p.errors.Store(twoFloats(f.errorRate, f.reportedErrorRate))
	}
	if f.errorAt != old.errorAt {
		p.errorAt.Store(f.errorAt)
	}
}

// atLeast is the closest number that is not less: a failure that is rounded down
// would pay.
func atLeast(x float64) float32 {
	near := float32(x)
	if float64(near) < x {
		near = math.Nextafter32(near, math.MaxFloat32)
	}
	return near
}

// init publishes that nothing is known.
func (p *published) init() {
	p.store(&facts{}, &nothingKnown, 0)
}

// loadCost reads what the cost of an endpoint without errors is computed from.
func (p *published) loadCost(f *facts) {
	f.perRequest, f.inFlightMean = floats(p.pace.Load())
	f.certain, f.logActual = floats(p.certain.Load())
	f.perRequestAt = p.paceAt.Load()
	f.inFlight, f.ownThen = floats(p.queue.Load())
	f.reportedAt = p.reportedAt.Load()
	if f.inFlight < 0 {
		f.utilization, f.rps = floats(p.utilization.Load())
	}
}

// load reads all.
func (p *published) load(f *facts) {
	p.loadCost(f)
	f.utilization, f.rps = floats(p.utilization.Load())
	f.errorRate, f.reportedErrorRate = floats(p.errors.Load())
	f.errorAt = p.errorAt.Load()
}
