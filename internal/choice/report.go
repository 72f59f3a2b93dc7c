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
	e.combine(now)
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
	if *r == e.lastReport && now-k.reportedAt < repeats {
		return
	}
	e.lastReport = *r
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
		k.inFlight, k.inFlightMean = float32(n), float32(e.inFlightMean.value)
	}
	if valid(r.Utilization) || valid(r.InFlight) || r.RPS > 0 {
		// The server has seen what this client has begun until now.
		k.reportedAt, k.begunByThen = now, e.begun.Load()
	}
}

// repeats is for how long a report that is the same, word for word, is the old
// one said again: a server may make its reports anew only now and then. What it
// says is then as old as when it was first heard.
const repeats = int64(5 * time.Second)

// enoughReports is over how many reports a server's in-flight count is averaged.
const enoughReports = 5

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
	e.combine(o.now)
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
// the queue adds, but for a factor that servers share.
type capacity struct {
	perUnit   mean // ns of utilization that one request takes
	requests  mean // that such a report is about
	deviation mean // of the logarithm of latencies from the group's curve
}

const (
	// minUtilization: below it the ratio is noise.
	minUtilization = 0.01
	// window is what a report is presumed to be about, in seconds.
	window = 1
	// enoughCapacity and enoughDeviations are over how many reports and calls
	// the two are taken.
	enoughCapacity   = 5
	enoughDeviations = 50
	// believable is the square of by how much, as a logarithm, a server's calls
	// deviate without its reports being wrong: half of such a deviation is heeded.
	believable = 0.1
)

func (c *capacity) report(utilization, rps, known float64) {
	if utilization >= minUtilization && rps > 0 {
		c.perUnit.add(utilization/rps*1e9, known, enoughCapacity)
		c.requests.add(rps*window, known, enoughCapacity)
	}
}

// observe takes in a call's latency and the queue that it was in.
func (c *capacity) observe(g *curve, latency, queue, known float64) {
	if c.perUnit.samples == 0 || queue <= 0 {
		return
	}
	trust := 1.0
	if n := c.deviation.samples; n > 0 {
		d := c.deviation.value
		trust = (believable + 1/n) / (d*d + believable + 1/n)
	}
	c.deviation.add(g.learn(math.Log(max(latency, 1)/c.perUnit.value), queue, trust), known, enoughDeviations)
}

// perRequest is the time in ns that each request in the queue adds, by the
// server's own account; 0 if it gives none. A server whose calls take much
// longer, or much less long, than what it says would have them take is not
// believed: its account is corrected by as much. A small deviation is chance.
func (c *capacity) perRequest(g *curve) float64 {
	if c.perUnit.samples == 0 || g.drain.count.Load() == 0 {
		return 0
	}
	if c.deviation.samples == 0 {
		return c.perUnit.value * math.Exp(g.drain.value())
	}
	d := c.deviation.value
	d *= d * d / (d*d + believable + 1/c.deviation.samples)
	return c.perUnit.value * math.Exp(g.drain.value()+d)
}
