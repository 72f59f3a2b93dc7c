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
	// clearly is the gradient below which there is no doubt.
	clearly = 0.7
	// lightPart is what part of the calls that can run without waiting is taken
	// for light load.
	lightPart = 0.5
	// probeSamples is how many calls at light load a probe wants to see.
	probeSamples = 20
)

// control decides how many calls may be in flight. It knows no clock and no
// lock: times are handed in, measured from any point.
type control struct {
	config Config
	limit  float64
	// settled is set once calls were found to take too long. Until then the
	// limit is changed in full, to find its range quickly.
	settled bool
	// pressure is how many times as long as at light load calls take when the
	// limit holds them back.
	pressure float64

	inFlight int
	// epoch changes when what was taken for light load turns out to be doubtful.
	epoch  int
	window window
	probe  probe
	known  baselines
}

// window is what was measured since the limit was last changed.
type window struct {
	start   time.Duration
	ratios  float64 // the sum
	samples int
	peak    int // of calls in flight
}

// probe makes the load light for a moment.
type probe struct {
	due      time.Duration // when it may begin
	interval time.Duration // until the next one
	held     bool          // whether calls were held back, and none ran at light load since
	light    int           // calls at light load that ended since one was held back
	until    time.Duration // when it is given up; zero if there is none
	first    bool
}

func newControl(config Config, now time.Duration) *control {
	c := &control{config: config, limit: float64(config.InitialLimit), pressure: 1, epoch: 1}
	c.window.start = now
	// What is measured first may be measured under load: the first probe comes
	// soon.
	c.probe = probe{interval: min(time.Second, config.Probe), first: true}
	c.probe.due = now + c.probe.interval
	return c
}

// admit decides about a call and counts it, if it is let in. light is the epoch
// if it starts at light load, so that its time is a measure for that of others,
// and 0 if not.
func (c *control) admit(now time.Duration, class Priority) (light int, ok bool) {
	c.startProbe(now)
	if c.inFlight+1 > c.room(class) {
		c.window.peak = max(c.window.peak, c.inFlight+1)
		c.probe.held = true
		if c.probe.until == 0 {
			c.probe.light = 0
		}
		return 0, false
	}
	c.inFlight++
	c.window.peak = max(c.window.peak, c.inFlight)
	if c.inFlight > c.lightLoad() {
		return 0, true
	}
	return c.epoch, true
}

// room is how many calls may be in flight for one of a class to be among them.
func (c *control) room(class Priority) int {
	share := c.config.DefaultShare
	switch class {
	case Critical:
		return int(c.limit) // a probe does not hold it back
	case Sheddable:
		share = c.config.SheddableShare
	}
	if c.probe.until > 0 {
		return max(int(share*float64(c.lightLoad())), 1)
	}
	// The root is for chance: critical calls do not come evenly.
	return max(int(share*c.limit-math.Sqrt(c.limit)/2), 1)
}

// lightLoad is how many calls can be in flight without waiting for each other:
// by Little's law, as many fewer as they take longer now than they need to, and
// some fewer still. It is never less than the limit can be: if calls still take
// long then, it is not for the load.
func (c *control) lightLoad() int {
	part := lightPart / max(c.pressure, 1)
	if c.probe.until > 0 && c.probe.first {
		part = 0.1 // what was measured before may have been under load
	}
	return max(int(part*c.limit), c.config.MinLimit)
}

// startProbe begins a probe if the limit has held calls back for long enough
// that hardly one ran at light load, and ends one that took too long.
func (c *control) startProbe(now time.Duration) {
	if c.probe.until > 0 {
		if now >= c.probe.until {
			c.endProbe(now)
		}
		return
	}
	if now < c.probe.due {
		return
	}
	if !c.probe.held {
		c.probe.due = now + c.probe.interval
		return
	}
	if c.probe.first {
		c.epoch++
	}
	c.probe.light = 0
	// Calls in flight have to end first, and then some have to start and end.
	c.probe.until = now + max(2*c.config.Window, 10*c.known.typical)
}

func (c *control) endProbe(now time.Duration) {
	c.probe.until, c.probe.light, c.probe.first, c.probe.held = 0, 0, false, false
	jitter := 1 + c.config.Random()/10
	c.probe.due = now + time.Duration(float64(c.probe.interval)*jitter)
	c.probe.interval = min(2*c.probe.interval, c.config.Probe)
}

// done counts a call that ended, and changes the limit if enough was seen.
func (c *control) done(now, took time.Duration, method *baseline, mark int, outcome Outcome) {
	c.inFlight--
	light := mark == c.epoch
	if outcome == Ignored {
		return
	}
	c.measure(took, method, outcome)
	if outcome == Succeeded && (light || !method.known()) {
		c.learn(now, took, method, light)
	}
	if now-c.window.start >= c.config.Window && c.window.samples >= fewSamples {
		c.change(now)
	}
}

// measure compares a call's time with that of its method.
func (c *control) measure(took time.Duration, method *baseline, outcome Outcome) {
	ratio, ok := method.ratio(took)
	if !ok {
		return
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
	c.window.ratios += min(ratio, maxRatio)
	c.window.samples++
}

// learn takes a call's time as a measure.
func (c *control) learn(now, took time.Duration, method *baseline, light bool) {
	if c.probe.until > 0 && c.probe.first && light && c.probe.light == 0 {
		// What was measured before may have been under load.
		c.known.forget()
	}
	method.learn(took)
	c.known.observe(took)
	if !light {
		return
	}
	c.probe.light++
	if c.probe.light < probeSamples {
		return
	}
	c.probe.held = false
	if c.probe.until > 0 {
		c.endProbe(now)
	}
}

// change changes the limit by what the window shows, and begins another.
func (c *control) change(now time.Duration) {
	w := c.window
	c.window = window{start: now, peak: c.inFlight}
	gradient := c.config.Tolerance * float64(w.samples) / w.ratios
	gradient = min(max(gradient, minGradient), maxGradient)
	if gradient > clearly && float64(w.peak) < c.limit/2 {
		return // the limit was not put to the test
	}
	c.pressure += (w.ratios/float64(w.samples) - c.pressure) * smoothing
	c.limit += c.weight(gradient, w.samples) * (gradient - 1) * c.limit
	c.limit = min(max(c.limit, float64(c.config.MinLimit)), float64(c.config.MaxLimit))
}

func (c *control) weight(gradient float64, samples int) float64 {
	if gradient < 1 {
		c.settled = true
	}
	trust := min(float64(samples)/manySamples, 1)
	if !c.settled || gradient < clearly {
		return trust
	}
	return smoothing * trust
}
