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

	// Latency is what its requests took of late that came when about InFlight were there;
	// zero or less if it does not say. It is heeded of reports that do not come with a call.
	Latency time.Duration
}

// NoReport reports nothing.
func NoReport() Report {
	return Report{Utilization: -1, InFlight: -1, RPS: -1, EPS: -1}
}

// Reported takes in an out-of-band report. It counts as an answer: it proves
// that the server is there, but not that it is fast.
func (e *Endpoint) Reported(now int64, r Report) {
	e.lock()
	defer e.mu.Unlock()
	old, view := e.known, e.group.outlook(now)
	e.group.outOfBandAt.Store(now)
	e.meet(now, &r) // first: what was learned of another server says nothing of this one
	reports := float64(steady) / float64(max(now-e.known.reportedAt, 1))
	known := view.fade(e.known.perRequestAt)
	e.hearClaim(&view, &r)
	if e.hear(&view, &r, max(reports, enoughReports)) {
		e.capacity.report(now, r.Utilization, r.RPS, known)
		e.combine(&view)
	} else {
		e.combineByClaim(&view)
	}
	e.expectQueue(&view)
	e.prove(now)
	e.settle(&view)
	e.facts.store(&old, &e.known, view.window)
}

// report takes in a report that came with a call, and tells whether it says anything new of
// how long requests take. The caller holds e.mu, and publishes.
func (e *Endpoint) report(o *outlook, r *Report) (news bool) {
	e.meet(o.now, r)
	return e.hear(o, r, enoughReports)
}

// hear does so once the server was met. The in-flight count is averaged over enough reports.
func (e *Endpoint) hear(o *outlook, r *Report, enough float64) (news bool) {
	if *r == e.lastReport && o.now-e.known.reportedAt < repeated && !e.counts {
		return false
	}
	if last := &e.lastReport; r.Uptime > 0 && r.Uptime == last.Uptime && r.InFlight != last.InFlight {
		e.counts = true
	}
	e.lastReport = *r
	return e.believe(o, r, enough)
}

// meet takes in what a report says of the server that is there, old news or not.
func (e *Endpoint) meet(now int64, r *Report) {
	if r.Uptime > 0 {
		e.age(now, r.Uptime)
	}
	if e.draining.Load() != r.Draining {
		e.draining.Store(r.Draining)
		e.unsettle()
	}
}

// believe takes in what a report says that is news, and tells whether that is anything of
// how long requests take.
func (e *Endpoint) believe(o *outlook, r *Report, enough float64) (news bool) {
	now, k := o.now, &e.known
	known := o.fade(k.reportedAt)
	if valid(r.Utilization) {
		k.utilization = float32(min(r.Utilization, mostSaid))
		if threshold := o.params.UtilizationThreshold; threshold > 0 && r.Utilization > threshold {
			e.unsettle()
		}
		news = r.Utilization >= minUtilization && valid(r.RPS) && r.RPS > 0
	}
	if valid(r.RPS) {
		k.rps = float32(min(r.RPS, mostSaid))
	}
	if k.reportedErrorRate = r.errorRate(k.reportedErrorRate, known); k.reportedErrorRate > 0 {
		e.unsettle()
	}
	if valid(r.InFlight) {
		n := min(r.InFlight, mostSaid)
		e.inFlightMean.add(n, known, enough)
		k.inFlight = float32(n)
	} else if valid(r.Utilization) && k.inFlight < 0 {
		e.inFlightMean.add(utilizationQueue(r.Utilization), known, enough)
	}
	if valid(r.Utilization) || valid(r.InFlight) || r.RPS > 0 {
		k.reportedAt, k.ownThen = now, float32(float64(e.inFlight())*(1-o.news.onTheWay))
	}
	return news
}

// errorRate is the part of its calls that the server says it fails, where was is what it said
// before, of which a part is known still. A report that is about less than one request says
// as much less: else a server that gets no calls, for what it said once, would say it for ever.
func (r *Report) errorRate(was float32, known float64) float32 {
	rate := float64(was) * known
	if r.RPS > 0 && valid(r.EPS) {
		rate += (min(r.EPS/r.RPS, 1) - rate) * min(r.RPS*window, 1)
	}
	if rate < noErrors {
		rate = 0
	}
	return float32(rate)
}

// repeated is for how long a report that is the same, word for word, is the old
// one said again: a server may make its reports anew only now and then. What it
// says is then as old as when it was first heard. Not so where the in-flight count was
// seen to change while the age did not: all else is made anew now and then, but the
// calls are counted each time, and as many as before is news.
const repeated = int64(5 * time.Second)

const (
	// enoughReports is over how many reports a server's in-flight count is averaged.
	enoughReports = 5
	// steady is for how long at least, if they come out of band: then all clients hear
	// the same ups and downs at about the same time, and would all follow them.
	steady = int64(10 * time.Second)
)

func valid(x float64) bool { return x >= 0 && !math.IsInf(x, 1) }

// mostSaid is what nothing exceeds that a server can say of itself. What says more is broken,
// or lies; what is made of it, also for others, is to remain a number.
const mostSaid = 1e12

// reportIfWorse takes in a report that came with a failure, unless it would
// make the endpoint look better. The caller holds e.mu.
func (e *Endpoint) reportIfWorse(o *outlook, r *Report) {
	if r.Uptime > 0 && e.age(o.now, r.Uptime) {
		e.report(o, r)
		return // another server: nothing of the old one is left to compare with
	}
	old, oldCapacity, oldMean, wasDraining := e.known, e.capacity, e.inFlightMean, e.draining.Load()
	oldPace, oldReport := e.pace, e.lastReport
	before := e.cost(o, &e.known)

	if e.report(o, r) {
		e.capacity.report(o.now, r.Utilization, r.RPS, o.fade(e.known.perRequestAt))
		e.combine(o)
	}
	e.expectQueue(o)
	if e.cost(o, &e.known) < before || (wasDraining && !r.Draining) {
		e.known, e.capacity, e.inFlightMean, e.pace = old, oldCapacity, oldMean, oldPace
		e.lastReport = oldReport // else an answer that says the same would be no news
		e.draining.Store(wasDraining)
		e.unsettle()
	}
}

// uptimeSlack is by how much reports may be late or out of order.
const uptimeSlack = 2 * time.Second

// age learns the server's age. A server that is younger than the one that was
// known is another one at the same address.
func (e *Endpoint) age(now int64, uptime time.Duration) (another bool) {
	started := now - int64(uptime)
	younger := e.uptime > 0 && uptime < e.uptime-uptimeSlack
	replaced := e.uptime > 0 && e.reconnected && started > e.startedAt.Load()+int64(uptimeSlack)
	another = younger || replaced
	switch {
	case another:
		e.forget(now, started)
		e.uptime = uptime
	case e.uptime == 0:
		e.startedAt.Store(started)
		e.unsettle()
		e.uptime = uptime
	case uptime > e.uptime:
		e.uptime = uptime
		// A report that was held up makes the server look younger than it is.
		if started < e.startedAt.Load() {
			e.startedAt.Store(started)
		}
	}
	e.reconnected = false
	return another
}

// capacity is what a server says that it can do: rps/utilization requests a
// second, as gRFC A58 weighs it. Its inverse is the time that each request in
// the queue adds, but for a factor that servers share.
type capacity struct {
	utilization, rps mean
	perUnit          float64 // ns of utilization that one request takes: the one over the other
	logPerUnit       float64
	at               int64   // when it said so last
	scale            float64 // the factor that servers share, a logarithm, that was last reckoned with

	checkedAt int64
	deviation mean // of the logarithm of latencies from the group's curve
}

const (
	// minUtilization: below it the ratio is noise.
	minUtilization = 0.01
	// longest, in ns, is what nothing takes, and 1/longest what all takes: they bound
	// what can be made of what is said.
	longest    = 1e18
	logLongest = 18 * math.Ln10
	// window is what a report is presumed to be about, in seconds.
	window = 1
	// enoughCapacity and enoughDeviations are over how many reports and calls
	// the two are taken.
	enoughCapacity   = 5
	enoughDeviations = 50
	// rescaleFrom is by how much the factor that servers share, a logarithm, must have changed.
	rescaleFrom = 0.05
	// believable is the square of by how much, as a logarithm, a server's calls
	// deviate without its reports being wrong: half of such a deviation is heeded.
	believable = 0.1
)

// report takes in what a server says of a time in which it was not idle.
func (c *capacity) report(now int64, utilization, rps, known float64) {
	c.at = now
	// The means are taken before the ratio: where requests are few, some of the
	// shortest times have hardly any, and would look like those of a slow server.
	c.utilization.add(min(utilization, mostSaid), known, enoughCapacity)
	c.rps.add(min(rps, mostSaid), known, enoughCapacity)
	c.perUnit = min(c.utilization.value/c.rps.value*1e9, longest)
	c.logPerUnit = log(c.perUnit)
}

// holds tells whether the server gives an account that has not been forgotten.
func (c *capacity) holds(o *outlook) bool { return c.perUnit != 0 && o.fade(c.at) > 0 }

// requests is how many an account is about, less as it is forgotten.
func (c *capacity) requests(o *outlook) float64 { return c.rps.value * window * o.fade(c.at) }

// observe takes in n calls: the mean logarithms of their latencies and of the queues
// that they were in, themselves included.
func (c *capacity) observe(g *curve, o *outlook, logLatency, logQueue, n float64) {
	if c.perUnit == 0 {
		return
	}
	_, square, chance := c.doubt(o)
	trust := chance / (square + chance)
	c.deviation.addMany(g.learn(logLatency-c.logPerUnit, logQueue, trust, int64(n)), n, o.fade(c.checkedAt), enoughDeviations)
	c.checkedAt = o.now
}

// logPerRequest is the logarithm of the time in ns that each request in the queue
// adds, by the server's own account, if it gives one. A server whose calls take much
// longer, or much less long, than what it says would have them take is not
// believed: its account is corrected by as much. A small deviation is chance.
func (c *capacity) logPerRequest(g *curve, o *outlook) (float64, bool) {
	if !c.holds(o) || g.drain.count.Load() == 0 {
		return 0, false
	}
	d, square, chance := c.doubt(o)
	c.scale = g.drain.value()
	return c.logPerUnit + c.scale + d*square/(square+chance), true
}

// rescale has an account that was given some time ago reckon with the factor that servers
// share as it is now. Else, where that has changed since, the endpoints that get calls would be
// compared with the others by another measure. The caller holds e.mu.
func (e *Endpoint) rescale(o *outlook) {
	if e.knowledge == nil || e.capacity.scale == 0 {
		return
	}
	moved := e.group.curve.drain.value() - e.capacity.scale
	if math.Abs(moved) < rescaleFrom || math.Abs(e.pace.log+moved) > logLongest {
		return
	}
	old, k, factor := e.known, &e.known, exp(moved)
	e.capacity.scale += moved
	e.pace.log += moved
	e.pace.usual += moved
	k.logActual = float32(e.pace.log)
	k.perRequest = float32(min(float64(k.perRequest)*factor, longest))
	k.certain = float32(min(float64(k.certain)*factor, longest))
	e.facts.store(&old, k, o.window)
}

// doubt is by how much the calls of late deviate from what the server's account
// would have them take. Its square is to be compared with what chance can make
// of that, both being multiples of the same.
func (c *capacity) doubt(o *outlook) (deviation, square, chance float64) {
	known := o.fade(c.checkedAt)
	if known == 0 {
		return 0, 0, 1
	}
	deviation = known * c.deviation.value
	return deviation, deviation * deviation * c.deviation.samples, believable*c.deviation.samples + 1
}
