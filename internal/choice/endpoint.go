package choice

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Endpoint is what is known of one endpoint. It outlives connections, fleets
// and changes of the parameters.
//
// Its methods may be called concurrently. A pick reads atomics and takes no
// lock; what a finished call or a report teaches is written under a lock that
// this endpoint alone has.
type Endpoint struct {
	group *Group
	index atomic.Int32 // in the newest fleet that was picked from

	// Written by every pick and every finished call. One more atomic operation
	// here is one more in every call, so what can be derived is: the calls in
	// flight are those begun less those ended.
	begun        atomic.Uint64
	ended        atomic.Uint64
	streams      atomic.Int64 // of the calls in flight, those that owe no answer
	streamSince  atomic.Int64 // since when a stream is open, while streams > 0
	waitingSince atomic.Int64 // since when nothing was answered, while others are in flight

	// Written under mu, read by every pick.
	// settled are the parameters by which the endpoint is out of probation and
	// its weight is 1, so that picks need not find out again.
	settled       atomic.Pointer[Params]
	facts         published
	firstSeen     atomic.Int64
	startedAt     atomic.Int64 // when the server started; until it says so, when it was first seen
	provenAt      atomic.Int64 // when it left probation; notProven while in it
	pushbackUntil atomic.Int64
	draining      atomic.Bool

	latency *Histogram // of the successful calls; nil if nobody watches

	mu sync.Mutex
	// The rest is guarded by mu.
	known         facts
	window        errorWindow
	observed      observation
	capacity      capacity
	inFlightMean  mean
	logPerRequest float64 // of known.perRequest
	unanswered    int     // failures in a row without an answer
	lastReport    Report
	uptime        time.Duration // the last one reported; 0 if none was
	reconnected   bool          // since the last report that had an uptime

	perRequestFrom Source // what known.perRequest is made from, for explanations

	successes, failures, cancels uint64 // totals, for whoever watches
}

const (
	notProven = math.MinInt64
	longAgo   = math.MinInt64 / 2
)

// NewEndpoint returns an endpoint of which nothing is known: it is in probation.
func (g *Group) NewEndpoint(now int64) *Endpoint {
	e := &Endpoint{group: g, known: nothingKnown}
	e.facts.store(&facts{}, &e.known)
	if g.histograms {
		e.latency = new(Histogram)
	}
	e.firstSeen.Store(now)
	e.startedAt.Store(now)
	if !g.anyProven.Load() {
		// It was there when this client began, and need not be new.
		e.startedAt.Store(longAgo)
	}
	e.provenAt.Store(notProven)
	return e
}

// Reconnected says that a new connection to the endpoint is ready. What was
// learned is kept: most reconnects lead to the same server. If the next report
// shows a younger server, it is forgotten then.
func (e *Endpoint) Reconnected() {
	e.mu.Lock()
	e.reconnected = true
	e.mu.Unlock()
}

// InProbation tells whether the endpoint has yet to answer.
func (e *Endpoint) InProbation() bool { return e.provenAt.Load() == notProven }

// prove takes the endpoint out of probation. e.mu may be held or not.
func (e *Endpoint) prove(now int64) {
	if e.provenAt.Load() == notProven && e.provenAt.CompareAndSwap(notProven, now) {
		e.group.anyProven.Store(true)
	}
}

// settle notes that nothing holds the endpoint back, if so. The caller holds e.mu.
func (e *Endpoint) settle(o *outlook) {
	if e.settled.Load() != o.params && !e.InProbation() && e.weight(o) == 1 {
		e.settled.Store(o.params)
	}
}

// inFlight is how many calls of this client are in flight. Each of the two
// counts is exact; in between a call may begin and end.
func (e *Endpoint) inFlight() int64 {
	ended := e.ended.Load()
	return int64(e.begun.Load() - ended)
}

// forget drops what was learned of a server that is gone. Calls in flight are
// still counted: they have yet to end. The caller holds e.mu.
func (e *Endpoint) forget(now, startedAt int64) {
	e.known = nothingKnown
	e.window = errorWindow{}
	e.observed = observation{}
	e.capacity = capacity{}
	e.inFlightMean = mean{}
	e.lastReport = Report{}
	e.unanswered = 0
	e.pushbackUntil.Store(0)
	e.draining.Store(false)
	e.startedAt.Store(startedAt)
	e.provenAt.Store(notProven)
	e.settled.Store(nil)
}

// facts are what the cost is computed from. A time of 0 says "never", and a
// negative number "unknown".
type facts struct {
	perRequest   float64 // ns that one queued request adds to the latency
	perRequestAt int64

	errorRate float64 // of this client's own calls, 0 to 1
	errorAt   int64

	// What the server said of itself, all at reportedAt.
	utilization       float64
	reportedErrorRate float64
	inFlight          float32
	inFlightMean      float32
	begunByThen       uint64 // how many calls this client had begun
	reportedAt        int64
}

var nothingKnown = facts{utilization: -1, inFlight: -1}

// published holds facts for readers that take no lock. Fields are read one by
// one, so a reader may see an update half done; each field is valid alone.
type published struct {
	perRequest        atomic.Uint64
	perRequestAt      atomic.Int64
	errorRate         atomic.Uint64
	errorAt           atomic.Int64
	utilization       atomic.Uint64
	reportedErrorRate atomic.Uint64
	inFlight          atomic.Uint64 // the last and the mean, 32 bits each
	begunByThen       atomic.Uint64
	reportedAt        atomic.Int64
}

// store publishes what differs from old: an atomic store is not cheap, and
// most fields rarely change.
func (p *published) store(old, f *facts) {
	if f.perRequest != old.perRequest {
		p.perRequest.Store(math.Float64bits(f.perRequest))
	}
	if f.perRequestAt != old.perRequestAt {
		p.perRequestAt.Store(f.perRequestAt)
	}
	if f.errorRate != old.errorRate {
		p.errorRate.Store(math.Float64bits(f.errorRate))
	}
	if f.errorAt != old.errorAt {
		p.errorAt.Store(f.errorAt)
	}
	if f.utilization != old.utilization {
		p.utilization.Store(math.Float64bits(f.utilization))
	}
	if f.reportedErrorRate != old.reportedErrorRate {
		p.reportedErrorRate.Store(math.Float64bits(f.reportedErrorRate))
	}
	if f.inFlight != old.inFlight || f.inFlightMean != old.inFlightMean {
		p.inFlight.Store(uint64(math.Float32bits(f.inFlight))<<32 | uint64(math.Float32bits(f.inFlightMean)))
	}
	if f.begunByThen != old.begunByThen {
		p.begunByThen.Store(f.begunByThen)
	}
	if f.reportedAt != old.reportedAt {
		p.reportedAt.Store(f.reportedAt)
	}
}

func (p *published) load() facts {
	inFlight := p.inFlight.Load()
	return facts{
		perRequest:        math.Float64frombits(p.perRequest.Load()),
		perRequestAt:      p.perRequestAt.Load(),
		errorRate:         math.Float64frombits(p.errorRate.Load()),
		errorAt:           p.errorAt.Load(),
		utilization:       math.Float64frombits(p.utilization.Load()),
		reportedErrorRate: math.Float64frombits(p.reportedErrorRate.Load()),
		inFlight:          math.Float32frombits(uint32(inFlight >> 32)),
		inFlightMean:      math.Float32frombits(uint32(inFlight)),
		begunByThen:       p.begunByThen.Load(),
		reportedAt:        p.reportedAt.Load(),
	}
}
