package choice

import (
	"math"
	"time"
)

// Kind says what the end of a call tells of its endpoint.
type Kind uint8

const (
	// Nothing: the call was never sent, or its caller gave it up.
	Nothing Kind = iota
	// Answered: the server answered, with success or with an error that its
	// caller asked for.
	Answered
	// Failed: the server, or the way to it, failed the call.
	Failed
)

// Outcome is how a call ended.
type Outcome struct {
	Kind Kind
	// OK: the call succeeded. Only then does its latency count: an error is
	// often fast.
	OK bool
	// Heard: the server sent something back, be it an error.
	Heard bool
	// Pushback is for how long the server asked to be left alone; 0 if it did not.
	Pushback time.Duration
	// Report is the load report that came with the answer, if HasReport.
	Report    Report
	HasReport bool
}

// Call is a call in flight. It belongs to whoever began it and is handed back
// to End once.
type Call struct {
	start  int64
	queue  float64 // the queue that was expected, own calls included
	stream bool
}

// Begin counts a call that was picked. A stream owes no answer.
func (e *Endpoint) Begin(now int64, stream bool) Call {
	c := Call{start: now, stream: stream}
	own := e.inFlight.Add(1) - 1
	if !stream {
		f := e.facts.load()
		c.queue = e.queue(now, &f, float64(own), e.perRequest(now, &f), int64(e.group.params().DecayWindow))
	}
	e.sentSince.Add(1)
	e.picks.Add(1)
	if stream {
		if e.streams.Add(1) == 1 {
			e.streamSince.Store(now)
		}
	} else if e.waiting.Add(1) == 1 {
		e.waitingSince.Store(now)
	}
	return c
}

func (e *Endpoint) perRequest(now int64, f *facts) float64 {
	prior := e.group.prior()
	return prior + fade(now, f.perRequestAt, int64(e.group.params().DecayWindow))*(f.perRequest-prior)
}

// End counts a call's end and learns from it.
func (e *Endpoint) End(now int64, c Call, o Outcome) {
	e.inFlight.Add(-1)
	if c.stream {
		e.streams.Add(-1)
	} else {
		e.waiting.Add(-1)
	}
	switch o.Kind {
	case Answered:
		e.successes.Add(1)
		e.answered(now, c, &o)
	case Failed:
		e.failures.Add(1)
		e.failed(now, &o)
	default:
		e.cancels.Add(1)
	}
	if o.Pushback > 0 {
		e.pushback(now, o.Pushback)
	}
}

func (e *Endpoint) answered(now int64, c Call, o *Outcome) {
	e.waitingSince.Store(now)
	latency := now - c.start
	if o.OK && e.latency != nil {
		e.latency.Add(time.Duration(latency))
	}

	e.mu.Lock()
	defer e.mu.Unlock()
	e.unanswered = 0
	e.known.errorRate, e.known.errorAt = e.window.add(now, int64(e.group.params().DecayWindow), false), now
	if o.HasReport {
		e.report(now, &o.Report)
	}
	e.prove(now)
	if o.OK && !c.stream {
		e.observed.add(now, float64(latency), c.queue+1)
		e.capacity.calibrate(float64(latency), c.queue+1)
	}
	e.combine(now)
	e.facts.store(&e.known)
}

// failed learns from a failure. Whatever it teaches, the cost is not lower
// than it was.
func (e *Endpoint) failed(now int64, o *Outcome) {
	e.mu.Lock()
	defer e.mu.Unlock()
	window := int64(e.group.params().DecayWindow)
	was := e.known.errorRate * fade(now, e.known.errorAt, window)
	e.known.errorRate, e.known.errorAt = max(was, e.window.add(now, window, true)), now

	if o.HasReport {
		e.reportIfWorse(now, &o.Report)
	}
	if o.Heard {
		e.unanswered = 0
	} else if e.unanswered++; e.unanswered >= e.group.params().UnansweredFailures {
		e.provenAt.Store(notProven)
	}
	e.facts.store(&e.known)
}

func (e *Endpoint) pushback(now int64, d time.Duration) {
	until := now + int64(min(d, e.group.params().MaxPushback))
	for {
		old := e.pushbackUntil.Load()
		if until <= old || e.pushbackUntil.CompareAndSwap(old, until) {
			return
		}
	}
}

// errorWindow is a rolling error rate: counts that fade with a time constant
// of errorMemory, and at the latest when the decay window has passed.
type errorWindow struct {
	failed, total float64
	at            int64
}

const errorMemory = float64(10 * time.Second)

func (w *errorWindow) add(now, window int64, failed bool) float64 {
	if w.at != 0 && now > w.at {
		// Without news it is all gone when the decay window has passed.
		k := math.Exp(-float64(now-w.at)/errorMemory) * fade(now, w.at, window)
		w.failed *= k
		w.total *= k
	}
	w.at = now
	w.total++
	if failed {
		w.failed++
	}
	// One success is presumed, so that a single failure is not a rate of 1.
	return w.failed / (w.total + 1)
}

// observation is what this client sees: the latency of its calls, and the
// queue that it was seen under. Their ratio is the time that each request in
// the queue adds (Little's law).
type observation struct {
	latency, queue float64
	samples        int
}

// observedShare is the weight of a new sample once there are enough of them.
const observedShare = 0.1

func (o *observation) add(_ int64, latency, queue float64) {
	o.samples = min(o.samples+1, 1/observedShare)
	share := 1 / float64(o.samples)
	o.latency += share * (latency - o.latency)
	o.queue += share * (queue - o.queue)
}

func (o *observation) perRequest() float64 {
	if o.samples == 0 || o.queue <= 0 {
		return 0
	}
	return o.latency / o.queue
}

// combine makes the per-request time out of what is observed and what is
// reported: the geometric mean, since each may be off by a factor.
func (e *Endpoint) combine(now int64) {
	seen, said := e.observed.perRequest(), e.capacity.perRequest()
	switch {
	case seen > 0 && said > 0:
		e.known.perRequest, e.known.perRequestAt = math.Sqrt(seen*said), now
	case seen > 0:
		e.known.perRequest, e.known.perRequestAt = seen, now
	case said > 0:
		e.known.perRequest, e.known.perRequestAt = said, now
	}
}
