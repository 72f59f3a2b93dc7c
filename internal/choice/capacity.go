package choice

import (
	"math"
	"time"
)

// capacity is what a server says that it can do: rps/utilization requests a
// second, as gRFC A58 weighs it. Its inverse is the time that each request in
// the queue adds, but for a factor that servers share.
type capacity struct {
	utilization, rps mean
	perUnit          float64 // ns of utilization that one request takes: the one over the other; 0 if not known
	logPerUnit       float64
	at               int64   // when it said so last
	scale            float64 // the factor that servers share, a logarithm, that was last reckoned with

	// checked is what perUnit would be for the calls to have taken as long as they did, by the
	// group's curve, as a logarithm. It is compared with what the server says now: said wrong
	// for a moment, as in the first one of a server that has just started, it would be right
	// by what was said before.
	checked   mean
	checkedAt int64
}

const (
	// minUtilization: below it the ratio is noise.
	minUtilization = 0.01
	// longest, in ns, is what nothing takes, and 1/longest what all takes: they bound
	// what can be made of what is said.
	longest    = 1e18
	logLongest = 18 * math.Ln10
	// enoughCapacity and enoughChecks are over how many reports and calls the two
	// are taken.
	enoughCapacity = 5
	enoughChecks   = 50
	// rescaleFrom is by how much the factor that servers share, a logarithm, must have changed.
	rescaleFrom = 0.05
	// believable is the square of by how much, as a logarithm, a server's calls
	// deviate without its reports being wrong: half of such a deviation is heeded.
	believable = 0.1
)

// tells tells whether a report says anything that is to be taken in. Of a server whose utilization
// was heard of before, an idle time counts, too: else, of the few requests that it has, those
// would count that were there when it looked.
func (c *capacity) tells(utilization, rps float64) bool {
	return valid(utilization) && valid(rps) && rps > 0 && (utilization >= minUtilization || c.utilization.samples > 0)
}

// report takes in what a server says.
func (c *capacity) report(now int64, utilization, rps, known float64) {
	c.at = now
	// The means are taken before the ratio: where requests are few, some of the
	// shortest times have hardly any, and would look like those of a slow server.
	c.utilization.add(min(utilization, mostSaid), known, enoughCapacity)
	c.rps.add(min(rps, mostSaid), known, enoughCapacity)
	if c.utilization.value < minUtilization {
		c.perUnit = 0
		return
	}
	c.perUnit = min(c.utilization.value/c.rps.value*1e9, longest)
	c.logPerUnit = log(c.perUnit)
}

// holds tells whether the server gives an account that has not been forgotten.
func (c *capacity) holds(o *outlook) bool { return c.perUnit != 0 && o.fade(c.at) > 0 }

// requests is how many an account is about, less as it is forgotten, of a server of that age;
// 0 if that is not known.
func (c *capacity) requests(o *outlook, age time.Duration) float64 {
	span := 1.0 * window
	if age > 0 {
		span = min(span, age.Seconds())
	}
	return c.rps.value * span * o.fade(c.at)
}

// observe takes in n calls: the mean logarithms of their latencies and of the queues
// that they were in, themselves included.
func (c *capacity) observe(g *curve, o *outlook, logLatency, logQueue, n float64) {
	if c.perUnit == 0 {
		return
	}
	_, square, chance := c.doubt(o)
	trust := chance / (square + chance)
	deviation := g.learn(logLatency-c.logPerUnit, logQueue, trust, int64(n))
	c.checked.addMany(c.logPerUnit+deviation, n, o.fade(c.checkedAt), enoughChecks)
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
	if e.knowledge == nil || e.perRequestFrom != FromCapacity || e.capacity.scale == 0 {
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
	deviation = known * (c.checked.value - c.logPerUnit)
	return deviation, deviation * deviation * c.checked.samples, believable*c.checked.samples + 1
}
