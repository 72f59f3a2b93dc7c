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

	// Written by every pick and every finished call.
	inFlight     atomic.Int32
	waiting      atomic.Int32 // calls that owe an answer: all but streams
	waitingSince atomic.Int64 // since when nothing was answered, while waiting > 0
	streams      atomic.Int32
	streamSince  atomic.Int64 // since when a stream is open, while streams > 0
	sentSince    atomic.Int32 // calls picked since the last report

	// Totals, for whoever watches.
	picks, successes, failures, cancels atomic.Uint64
	latency                             *Histogram

	// Written under mu, read by every pick.
	facts         published
	firstSeen     atomic.Int64
	startedAt     atomic.Int64 // when the server started; firstSeen until it says so
	provenAt      atomic.Int64 // when it left probation; notProven while in it
	pushbackUntil atomic.Int64
	draining      atomic.Bool

	mu sync.Mutex
	// The rest is guarded by mu.
	known       facts
	window      errorWindow
	observed    observation
	capacity    capacity
	unanswered  int           // failures in a row without an answer
	uptime      time.Duration // the last one reported; 0 if none was
	reconnected bool          // since the last report that had an uptime
}

const notProven = math.MinInt64

// NewEndpoint returns an endpoint of which nothing is known: it is in probation.
func (g *Group) NewEndpoint(now int64) *Endpoint {
	e := &Endpoint{group: g}
	if g.histograms {
		e.latency = new(Histogram)
	}
	e.firstSeen.Store(now)
	e.startedAt.Store(now)
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
	if e.provenAt.CompareAndSwap(notProven, now) {
		e.group.anyProven.Store(true)
	}
}

// forget drops what was learned of a server that is gone. Calls in flight are
// still counted: they have yet to end. The caller holds e.mu.
func (e *Endpoint) forget(now, startedAt int64) {
	e.known = facts{}
	e.window = errorWindow{}
	e.observed = observation{}
	e.capacity = capacity{}
	e.unanswered = 0
	e.facts.store(&e.known)
	e.pushbackUntil.Store(0)
	e.draining.Store(false)
	e.startedAt.Store(startedAt)
	e.provenAt.Store(notProven)
}

// facts are what the cost is computed from. A time of 0 says "never".
type facts struct {
	perRequest   float64 // ns that one queued request adds to the latency
	perRequestAt int64

	errorRate float64 // of this client's own calls, 0 to 1
	errorAt   int64

	reportedErrorRate float64 // by the server's own account, 0 to 1
	utilization       float64
	utilizationAt     int64

	inFlight     float64 // the server's, by its last report
	inFlightMean float64
	inFlightAt   int64
}

// published holds facts for readers that take no lock. Fields are read one by
// one, so a reader may see an update half done; each field is valid alone.
type published struct {
	perRequest        atomic.Uint64
	perRequestAt      atomic.Int64
	errorRate         atomic.Uint64
	errorAt           atomic.Int64
	reportedErrorRate atomic.Uint64
	utilization       atomic.Uint64
	utilizationAt     atomic.Int64
	inFlight          atomic.Uint64
	inFlightMean      atomic.Uint64
	inFlightAt        atomic.Int64
}

func (p *published) store(f *facts) {
	p.perRequest.Store(math.Float64bits(f.perRequest))
	p.perRequestAt.Store(f.perRequestAt)
	p.errorRate.Store(math.Float64bits(f.errorRate))
	p.errorAt.Store(f.errorAt)
	p.reportedErrorRate.Store(math.Float64bits(f.reportedErrorRate))
	p.utilization.Store(math.Float64bits(f.utilization))
	p.utilizationAt.Store(f.utilizationAt)
	p.inFlight.Store(math.Float64bits(f.inFlight))
	p.inFlightMean.Store(math.Float64bits(f.inFlightMean))
	p.inFlightAt.Store(f.inFlightAt)
}

func (p *published) load() facts {
	return facts{
		perRequest:        math.Float64frombits(p.perRequest.Load()),
		perRequestAt:      p.perRequestAt.Load(),
		errorRate:         math.Float64frombits(p.errorRate.Load()),
		errorAt:           p.errorAt.Load(),
		reportedErrorRate: math.Float64frombits(p.reportedErrorRate.Load()),
		utilization:       math.Float64frombits(p.utilization.Load()),
		utilizationAt:     p.utilizationAt.Load(),
		inFlight:          math.Float64frombits(p.inFlight.Load()),
		inFlightMean:      math.Float64frombits(p.inFlightMean.Load()),
		inFlightAt:        p.inFlightAt.Load(),
	}
}
