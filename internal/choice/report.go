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
	OfCPU       bool          // Utilization is the CPU's, since the server gave none of its own
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
	e.translate(r)
	return e.believe(o, r, enough)
}

// translate takes the CPU's utilization for none at all where the server has given one of its
// own before: that was 0 this time, which it cannot say, and the two are not the same measure.
func (e *Endpoint) translate(r *Report) {
	if !valid(r.Utilization) {
		return
	}
	if !r.OfCPU {
		e.ownUtilization = true
	} else if e.ownUtilization {
		r.Utilization = 0
	}
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
	return e.capacity.tells(r.Utilization, r.RPS)
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

// window is what a report is presumed to be about, in seconds.
const window = 1

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
