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
	group    *Group
	index    atomic.Int32 // in the newest fleet that was picked from
	draining atomic.Bool

	// Written by every pick and every finished call. One more atomic operation
	// here is one more in every call, so two counts share a word.
	calls        callCounts
	streams      atomic.Int64 // of the calls in flight, those that owe no answer
	streamSince  atomic.Int64 // since when a stream is open, while streams > 0
	waitingSince atomic.Int64 // since when nothing was answered, while others are in flight

	// Written under mu, read by every pick.
	// plain are the parameters by which nothing but its cost is to be said of the
	// endpoint: it is out of probation, its weight is 1, it has no errors, and no
	// filter bars it. Picks need not find out again.
	plain         atomic.Pointer[Params]
	facts         published
	firstSeen     atomic.Int64
	startedAt     atomic.Int64 // when the server started; until it says so, when it was first seen
	provenAt      atomic.Int64 // when it left probation; notProven while in it
	pushbackUntil atomic.Int64
	distance      atomic.Int64 // ns there and back
	probeAfter    atomic.Int64 // when it may be probed again

	latency *Histogram // of the successful calls; nil if nobody watches

	mu sync.Mutex
	// The rest is guarded by mu.
	*knowledge                   // nil until there is something to learn: take it by lock
	uptime         time.Duration // the last one reported; 0 if none was
	unanswered     int32         // failures in a row without an answer
	reconnected    bool          // since the last report that had an uptime
	perRequestFrom Source        // what known.perRequest is made from, for explanations

	begun, successes, failures, cancels uint64 // totals, for whoever watches
}

// knowledge is what was learned of the server that is there now. Of many endpoints most
// may never be called; they do without.
type knowledge struct {
	known          facts
	window         errorWindow
	lesson         lesson
	observed       observation
	capacity       capacity
	claim          claim
	inFlightMean   mean
	pace           pace
	lastReport     Report
	lastProbe      Report // what a probe was answered last
	ownUtilization bool   // it has reported one that is not the CPU's
	counts         bool   // its in-flight counts are of the moment, however old the rest is
	probedAt       int64  // when a report came that a probe asked for
}

func nothingLearned() knowledge { return knowledge{known: nothingKnown, lesson: lesson{at: longAgo}} }

// lock locks e.mu for whoever learns.
func (e *Endpoint) lock() {
	e.mu.Lock()
	if e.knowledge == nil {
		nothing := nothingLearned()
		e.knowledge = &nothing
	}
}

// callCounts is how many calls were begun, modulo 2^32, in the upper half, and
// how many of them are in flight, in the lower.
type callCounts struct{ word atomic.Uint64 }

func (c *callCounts) begin() (inFlight uint32) { return uint32(c.word.Add(1<<32 | 1)) }
func (c *callCounts) end()                     { c.word.Add(math.MaxUint64) }

func (c *callCounts) load() (begun, inFlight uint32) {
	word := c.word.Load()
	return uint32(word >> 32), uint32(word)
}

const (
	notProven = math.MinInt64
	longAgo   = math.MinInt64 / 2
)

// NewEndpoint returns an endpoint of which nothing is known: it is in probation.
func (g *Group) NewEndpoint(now int64) *Endpoint {
	e := &Endpoint{group: g}
	e.facts.init()
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
	e.draining.Store(false) // who takes new connections does not go
	e.probeAfter.CompareAndSwap(probeUnanswered, 0)
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

// settle notes that there is nothing to be said of the endpoint but its cost, if
// so. Whatever makes this untrue clears the note. The caller holds e.mu.
func (e *Endpoint) settle(o *outlook) {
	if e.plain.Load() == o.params {
		return
	}
	if !e.InProbation() && e.weight(o) == 1 && o.errorRate(&e.known) == 0 && e.filtered(o, &e.known, 0) == 0 {
		e.plain.Store(o.params)
	}
}

// unsettle makes picks look for what is to be said of the endpoint.
func (e *Endpoint) unsettle() {
	if e.plain.Load() != nil {
		e.plain.Store(nil)
	}
}

// inFlight is how many calls of this client are in flight.
func (e *Endpoint) inFlight() int64 {
	_, n := e.calls.load()
	return int64(n)
}

// forget drops what was learned of a server that is gone. Calls in flight are
// still counted: they have yet to end. The caller holds e.mu.
func (e *Endpoint) forget(now, startedAt int64) {
	*e.knowledge = nothingLearned()
	e.unanswered = 0
	e.pushbackUntil.Store(0)
	e.draining.Store(false)
	e.startedAt.Store(startedAt)
	e.provenAt.Store(notProven)
	e.unsettle()
}
