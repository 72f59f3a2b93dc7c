package choice

import (
	"math"
	"time"
)

// Report is what a server says of itself. A field that it does not report is
// negative, Uptime zero or less.
type Report struct {
	Utilization float64       // busy share of what it has, 0 and up
	InFlight    float64       // requests it is working on
	RPS         float64       // requests a second, over the window of Utilization
	EPS         float64       // errors a second, over the same window
	Uptime      time.Duration // since the server started
	Draining    bool          // it is about to go
}

// NoReport reports nothing.
func NoReport() Report {
	return Report{Utilization: -1, InFlight: -1, RPS: -1, EPS: -1}
}

// Reported takes in an out-of-band report. It counts as an answer: it proves
// that the server is there, but not that it is fast.
func (e *Endpoint) Reported(now int64, r Report) {
	e.mu.Lock()
	defer e.mu.Unlock()
	old := e.known
	e.report(now, &r)
	e.prove(now)
	if e.capacity.perRequest() > 0 {
		e.combine(now)
	}
	e.facts.store(&old, &e.known)
}

// report takes in a report. The caller holds e.mu, and publishes.
func (e *Endpoint) report(now int64, r *Report) {
	if r.Uptime > 0 {
		e.age(now, r.Uptime)
	}
	if e.draining.Load() != r.Draining {
		e.draining.Store(r.Draining)
	}
	k, view := &e.known, e.group.outlook(now)
	known := view.fade(k.reportedAt)
	if valid(r.Utilization) {
		k.utilization = r.Utilization
		if valid(r.RPS) {
			e.capacity.report(r.Utilization, r.RPS, known)
		}
	}
	if r.RPS > 0 && valid(r.EPS) {
		k.reportedErrorRate = min(r.EPS/r.RPS, 1)
	}
	if valid(r.InFlight) {
		n := min(r.InFlight, math.MaxFloat32)
		e.inFlightMean.add(n, known, enoughReports)
		k.inFlight, k.inFlightMean = float32(n), float32(e.inFlightMean.sure())
	}
	if valid(r.Utilization) || valid(r.InFlight) || r.RPS > 0 {
		// The server has seen what this client has begun until now.
		k.reportedAt, k.begunByThen = now, e.begun.Load()
	}
}

// enoughReports is over how many reports a server's in-flight count is averaged.
const enoughReports = 10

func valid(x float64) bool { return x >= 0 && !math.IsInf(x, 1) }

// reportIfWorse takes in a report that came with a failure, unless it would
// make the endpoint look better. The caller holds e.mu.
func (e *Endpoint) reportIfWorse(o *outlook, r *Report) {
	own := float64(e.inFlight())
	old, oldCapacity, oldMean, wasDraining := e.known, e.capacity, e.inFlightMean, e.draining.Load()
	started := e.startedAt.Load()
	before := e.cost(o, &e.known, own)

	e.report(o.now, r)
	if e.startedAt.Load() != started {
		return // a new server: nothing of the old one is left to compare with
	}
	if e.capacity.perRequest() > 0 {
		e.combine(o.now)
	}
	if e.cost(o, &e.known, own) < before || (wasDraining && !r.Draining) {
		e.known, e.capacity, e.inFlightMean = old, oldCapacity, oldMean
		e.draining.Store(wasDraining)
	}
}

// uptimeSlack is by how much reports may be late or out of order.
const uptimeSlack = 2 * time.Second

// age learns the server's age. A server that is younger than the one that was
// known is another one at the same address.
func (e *Endpoint) age(now int64, uptime time.Duration) {
	started := now - int64(uptime)
	younger := e.uptime > 0 && uptime < e.uptime-uptimeSlack
	replaced := e.uptime > 0 && e.reconnected && started > e.startedAt.Load()+int64(uptimeSlack)
	switch {
	case younger || replaced:
		e.forget(now, started)
		e.uptime = uptime
	case e.uptime == 0:
		e.startedAt.Store(started)
		e.uptime = uptime
	case uptime > e.uptime:
		e.uptime = uptime
		// A report that was held up makes the server look younger than it is.
		if started < e.startedAt.Load() {
			e.startedAt.Store(started)
		}
	}
	e.reconnected = false
}

// capacity is what a server says that it can do: rps/utilization requests a
// second, as gRFC A58 weighs it. Its inverse is the time that each request in
// the queue adds, up to a factor that is learned from the calls.
type capacity struct {
	perUnit   mean // ns of utilization that one request takes
	logFactor mean // of the observed latency over perUnit x queue
}

const (
	// minUtilization: below it the ratio is noise.
	minUtilization = 0.01
	// enoughCapacity and enoughFactors are over how many reports and calls the
	// two are taken. The factor is the server's nature, and changes slowly.
	enoughCapacity = 5
	enoughFactors  = 50
)

func (c *capacity) report(utilization, rps, known float64) {
	if utilization >= minUtilization && rps > 0 {
		c.perUnit.add(utilization/rps*1e9, known, enoughCapacity)
	}
}

func (c *capacity) calibrate(latency, queue float64) {
	if c.perUnit.samples > 0 && queue > 0 {
		c.logFactor.add(math.Log(max(latency, 1)/(c.perUnit.value*queue)), 1, enoughFactors)
	}
}

func (c *capacity) perRequest() float64 {
	if c.logFactor.samples == 0 {
		return 0
	}
	return c.perUnit.value * math.Exp(c.logFactor.value)
}
