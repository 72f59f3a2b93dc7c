package overload

import (
	"math"
	"time"
)

const (
	// fewSamples is the least that a change of the limit is based on, and
	// manySamples what lets it be changed in full.
	fewSamples, manySamples = 10, 40
	// smoothing is how much of a change is made at once.
	smoothing = 0.2
	// maxRatio bounds what one call can say: a call that hung for a minute
	// does not mean that all took so long.
	maxRatio = 10
	// minGradient and maxGradient bound how far one window can change the limit.
	minGradient, maxGradient = 0.5, 2
	// clearly is the gradient below which there is no doubt, and its inverse
	// that above which there is none.
	clearly = 0.7
	// headroom bounds how far the limit goes beyond what was in flight.
	headroom = 1.5
	// chance is how many roots of the limit are kept free besides: critical
	// calls do not come evenly, which matters more the fewer fit.
	chance = 0.7
	// lightPart is what part of the calls that can run without waiting is taken
	// for light load.
	lightPart = 0.5
)

// control decides how many calls may be in flight. It knows no clock and no
// lock: times are handed in, measured from any point.
type control struct {
	config Config
	limit  float64
	// settled is set once calls were found to take too long. Until then the
	// limit is changed in full, to find its range quickly.
	settled bool
	// tested is how many calls were in flight lately, and pressure how many
	// times as long as at light load they took.
	tested, pressure float64
	// peak is that of the window before.
	peak    int
	descent descent

	// usual is how long calls took in the window before.
	usual time.Duration

	inFlight int
	window   window
	probe    probe
	known    baselines
}

// window is what was measured since the limit was last changed.
type window struct {
	start   time.Duration
	ratios  float64       // the sum
	took    time.Duration // the sum
	samples int
	failed  int // of these
	peak    int // of calls in flight
}

// complete says whether enough was seen: for as long as calls take, at least,
// since what ended before was let in by another limit.
func (w *window) complete(now, least time.Duration) bool {
	if w.samples < fewSamples {
		return false
	}
	return now-w.start >= max(least, w.took/time.Duration(w.samples))
}

func newControl(config Config, now time.Duration) *control {
	c := &control{config: config, limit: float64(config.InitialLimit), pressure: 1, probe: newProbe(config, now)}
	c.window.start = now
	return c
}

// admit decides about a call and counts it, if it is let in. load is what it
// starts under.
func (c *control) admit(now time.Duration, class Priority) (load load, ok bool) {
	if c.refuses(now, class) {
		return heavy, false
	}
	c.inFlight++
	return c.loadNow(), true
}

// refuses decides about a call that is to be made.
func (c *control) refuses(now time.Duration, class Priority) bool {
	c.tend(now)
	c.window.peak = max(c.window.peak, c.inFlight+1)
	if !c.full(class) {
		return false
	}
	c.heldBack(class)
	return true
}

func (c *control) full(class Priority) bool { return c.inFlight+1 > c.room(class) }

// room is how many calls may be in flight for one of a class to be among them.
func (c *control) room(class Priority) int {
	share := c.config.DefaultShare
	switch class {
	case Critical:
		if c.probe.holds() && c.probe.all {
			return c.lightLoad()
		}
		return int(c.limit) // a probe does not hold it back
	case Sheddable:
		share = c.config.SheddableShare
	}
	if c.probe.holds() {
		return max(int(share*float64(c.lightLoad())), 1)
	}
	return max(int(share*c.limit-chance*math.Sqrt(c.limit)), 1)
}

// lightLoad is how many calls can be in flight without waiting for each other:
// by Little's law, as many fewer as they take longer now than they need to, and
// some fewer still.
func (c *control) lightLoad() int {
	part := lightPart / max(c.pressure, 1)
	if c.probe.holds() && c.probe.first {
		part = 0.1 // what was measured before may have been under load
	}
	return max(int(part*c.tested), c.config.MinLimit)
}

// done counts a call that ended, and changes the limit if enough was seen.
func (c *control) done(now, took time.Duration, method *baseline, load load, outcome Outcome) {
	c.inFlight--
	// Neither what a probe looks at nor what is left while it runs, which are
	// the long ones, says anything about the limit.
	if outcome != Ignored && load >= heavy && load <= opening && !c.probe.holds() && now >= c.window.start {
		c.measure(took, method, outcome)
	}
	c.learn(now, took, method, load, outcome)
	if c.window.complete(now, c.config.Window) {
		c.change(now)
	}
}

// measure compares a call's time with that of its method.
func (c *control) measure(took time.Duration, method *baseline, outcome Outcome) {
	ratio, ok := method.ratio(took)
	if !ok {
		if outcome == Succeeded || c.known.typical > 0 {
			return
		}
		// Not one call has succeeded yet.
		ratio = 2 * c.config.Tolerance
	}
	switch outcome {
	case Dropped:
		ratio = max(ratio, 2*c.config.Tolerance)
	case TimedOut:
		// It would have taken longer. One whose caller gave it less than it
		// needs at light load says nothing.
		if ratio < 1 {
			return
		}
	}
	if outcome != Succeeded {
		c.window.failed++
	}
	c.window.ratios += min(ratio, maxRatio)
	c.window.took += took
	c.window.samples++
}

// slowness is how many times as long as at light load calls take now.
func (c *control) slowness() float64 {
	if c.window.samples >= fewSamples {
		return max(c.window.ratios/float64(c.window.samples), 1)
	}
	return max(c.pressure, 1)
}

// change changes the limit by what the window shows, and begins another.
func (c *control) change(now time.Duration) {
	w := c.window
	c.window = window{start: now, peak: c.inFlight}
	c.usual = w.took / time.Duration(w.samples)
	gradient := c.config.Tolerance * float64(w.samples) / w.ratios
	gradient = min(max(gradient, minGradient), maxGradient)
	// What ended was let in during the window before.
	c.tested += (float64(c.peak) - c.tested) * smoothing
	c.pressure += (w.ratios/float64(w.samples) - c.pressure) * smoothing
	c.peak = w.peak
	if c.wrong(w, gradient) {
		c.known.scale(w.ratios / float64(w.samples))
		return
	}
	if gradient > clearly && float64(w.peak) < c.limit/2 {
		return // the limit was not put to the test
	}
	next := c.limit + c.weight(gradient, w.samples)*(gradient-1)*c.limit
	if next > c.limit {
		// Not far beyond what was tried.
		next = max(c.limit, min(next, headroom*float64(w.peak)))
	}
	c.limit = min(max(next, float64(c.config.MinLimit)), float64(c.config.MaxLimit))
}

// descent is where the limit came down from.
type descent struct {
	limit float64
	usual time.Duration // the longest on the way
	lower int           // windows since it is a quarter of that
}

// wrong says whether what is taken for light load cannot be right: the limit
// came down to a quarter, and yet calls take far more than a quarter as long. That
// is not for the load, then.
func (c *control) wrong(w window, gradient float64) bool {
	d := &c.descent
	switch {
	case gradient < 1 && d.limit == 0:
		d.limit = c.limit
	case c.limit > d.limit/2 && gradient >= 1:
		*d = descent{}
		return false
	}
	if c.limit > max(d.limit/4, float64(c.config.MinLimit)) {
		d.usual, d.lower = max(d.usual, c.usual), 0
		return false
	}
	// The first window still saw calls that had been let in by a higher limit.
	if d.lower++; d.lower < 3 {
		return false
	}
	served := 10*w.failed <= w.samples
	wrong := served && float64(c.usual) > 0.4*float64(d.usual)
	*d = descent{}
	return wrong
}

func (c *control) weight(gradient float64, samples int) float64 {
	if gradient < 1 {
		c.settled = true
	}
	trust := min(float64(samples)/manySamples, 1)
	if !c.settled || gradient < clearly || gradient > 1/clearly {
		return trust
	}
	return smoothing * trust
}
