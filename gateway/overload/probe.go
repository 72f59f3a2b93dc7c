package overload

import "time"

// A load is what a call starts under: heavy or light, or that of a probe, which
// is the number of the probe, or while a probe runs that looks at others.
type load int

const (
	aside load = iota - 1
	heavy
	light
	opening
)

// probeSamples is how many calls a probe wants to see.
const probeSamples = 20

// probe makes the load light for a moment.
type probe struct {
	number load
	// first is set until there was one: what was measured before it may have
	// been under load.
	first    bool
	due      time.Duration // when it may begin
	interval time.Duration // until the next one

	// until is when it is given up; zero if none is running. It is over when
	// all of the calls that it looks at have ended, since those that end first
	// are the short ones.
	until          time.Duration
	started, ended int

	// held says that calls were held back, and that not enough ran at light
	// load since.
	held  bool
	light int
	// all says that critical calls were refused, too: then they alone are more
	// than can be served, and a probe that lets them pass would see nothing.
	all bool
}

// newProbe returns the one that looks at the very first calls. It holds none
// back: nothing can be in their way yet but themselves.
func newProbe(config Config, now time.Duration) probe {
	interval := shortest(config)
	return probe{number: opening, first: true, interval: interval, due: now + interval, until: now + config.Probe}
}

func (p *probe) running() bool { return p.until > 0 }

// holds says whether it holds calls back.
func (p *probe) holds() bool { return p.running() && p.number != opening }

// heldBack is told of each call that is refused.
func (c *control) heldBack(class Priority) {
	c.probe.held, c.probe.light = true, 0
	c.probe.all = c.probe.all || class == Critical && !c.probe.running()
}

// loadNow tells what the call starts under that was just let in.
func (c *control) loadNow() load {
	switch p := &c.probe; {
	case p.running() && p.started < probeSamples && (p.number == opening || c.inFlight <= c.lightLoad()):
		p.started++
		return p.number
	case p.holds():
		return aside
	case c.inFlight > c.lightLoad():
		return heavy
	default:
		return light
	}
}

// tend begins a probe if the limit has held calls back for long enough that
// hardly one ran at light load, and gives one up that takes too long.
func (c *control) tend(now time.Duration) {
	p := &c.probe
	switch {
	case p.running() && now >= p.until:
		c.endProbe(now)
	case p.running() || now < p.due:
	case !p.held:
		p.due = now + p.interval
	default:
		p.started, p.ended = 0, 0
		// Calls in flight have to end first, and then some have to start and
		// end.
		rounds := 4 + 2*probeSamples/time.Duration(c.lightLoad())
		p.until = now + max(2*c.config.Window, rounds*max(c.known.typical, c.usual))
	}
}

func shortest(config Config) time.Duration { return min(time.Second, config.Probe) }

// learn takes the time of a call at light load as a measure.
func (c *control) learn(now, took time.Duration, method *baseline, load load, outcome Outcome) {
	probed := c.probe.running() && load == c.probe.number
	if outcome == Succeeded {
		switch {
		case probed:
			method.fresh.add(took, probeSamples)
		case load == light:
			method.learn(took)
		case !method.known() && c.probe.number != opening:
			// One that is called seldom is not to be without a measure until
			// there is light load: it is guessed to take as many times as long
			// now as others do.
			method.learn(time.Duration(float64(took) / c.slowness()))
		default:
			return
		}
		c.known.observe(took)
	}
	switch {
	case probed:
		if c.probe.ended++; c.probe.ended == probeSamples {
			c.endProbe(now)
		}
	case load == light:
		if c.probe.light++; c.probe.light >= probeSamples {
			c.probe.held = false
		}
	}
}

func (c *control) endProbe(now time.Duration) {
	p := &c.probe
	// If it was given up while calls were still running, these are the long
	// ones, and the rest would make a measure that is too short.
	complete := 4*p.ended >= 3*p.started
	if complete {
		c.known.refresh(p.first && p.started == probeSamples, c.config.Tolerance)
	} else {
		c.known.drop()
	}
	jitter := 1 + c.config.Random()/10
	next := probe{number: p.number + 1, first: p.first && !complete, interval: min(2*p.interval, c.config.Probe)}
	next.due = now + time.Duration(float64(p.interval)*jitter)
	if p.number == opening {
		// These calls were in each other's way if there are few workers.
		next.first, next.interval, next.held, next.all = true, p.interval, p.held, p.all
	}
	if p.holds() {
		// The first to end will be the short ones.
		c.window = window{start: now + c.usual, peak: c.inFlight}
	}
	c.probe = next
}
