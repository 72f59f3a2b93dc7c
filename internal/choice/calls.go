package choice

import "time"

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
	queue  float64 // the queue that was expected
	stream bool
	cold   bool // begun before the endpoint had answered anything
}

// Begin counts a call that was picked. A stream owes no answer.
func (e *Endpoint) Begin(now int64, stream bool) Call {
	var f facts
	e.facts.loadCost(&f)
	own := e.inFlight()
	c := e.begin(now, stream)
	if !stream {
		o := e.group.outlook(now)
		c.queue = o.queue(&f, float64(own), o.perRequest(&f))
	}
	return c
}

// Begin counts a call that was chosen an endpoint just now.
func (f *Fleet) Begin(now int64, choice Choice, stream bool) Call {
	e := f.endpoints[choice.Index]
	if !choice.expects {
		return e.Begin(now, stream)
	}
	c := e.begin(now, stream)
	c.queue = choice.queue
	return c
}

// begin counts a call.
func (e *Endpoint) begin(now int64, stream bool) Call {
	before := int64(e.calls.begin()) - 1
	switch {
	case !stream:
		if before <= e.streams.Load() {
			e.waits(now)
		}
	case e.streams.Add(1) == 1:
		e.streamSince.Store(now)
	}
	return Call{start: now, stream: stream, cold: e.InProbation()}
}

// waits notes since when nothing was answered. An instant more or less does not
// matter, and is not worth a store.
func (e *Endpoint) waits(now int64) {
	if d := now - e.waitingSince.Load(); d < 0 || d > instant {
		e.waitingSince.Store(now)
	}
}

// End counts a call's end and learns from it.
func (e *Endpoint) End(now int64, c Call, o *Outcome) {
	if c.stream {
		e.streams.Add(-1)
	}
	e.calls.end()
	cost := 0.0
	e.lock()
	if o.Pushback > 0 {
		e.pushback(now, o.Pushback)
	}
	switch o.Kind {
	case Answered:
		e.successes++
		cost = e.answered(now, c, o)
	case Failed:
		e.failures++
		e.failed(now, o)
	default:
		e.cancels++
	}
	e.mu.Unlock()
	if o.Kind == Answered {
		e.group.fresh.add(now, e, cost)
	}
}

// answered learns from an answer, and returns what the endpoint's cost is then, or 0 if
// there is more to be said of it. The caller holds e.mu.
func (e *Endpoint) answered(now int64, c Call, o *Outcome) (cost float64) {
	if n := e.inFlight(); n > 0 && n > e.streams.Load() {
		e.waits(now)
	}
	latency := now - c.start
	if o.OK && e.latency != nil {
		e.latency.Add(time.Duration(latency))
	}
	e.unanswered = 0
	old, view := e.known, e.group.outlook(now)
	if rate := e.window.success(now, view.window); rate > 0 || old.errorRate > 0 {
		e.known.errorRate, e.known.errorAt = float32(rate), now
	}
	if o.HasReport && e.report(&view, &o.Report) {
		e.lesson.report(o.Report.Utilization, o.Report.RPS)
	}
	e.prove(now)
	// The first call pays for what a server sets up once, and its caller for the
	// connection: it says little of those to come.
	if o.OK && !c.stream && !c.cold {
		e.lesson.call(float64(max(e.atServer(latency), 1)), c.queue+1)
	}
	if e.lesson.due(now) {
		e.learn(&view)
	}
	e.settle(&view)
	e.facts.store(&old, &e.known, view.window)
	if view.hurried && e.plain.Load() == view.params {
		cost, _ = e.estimate(&view, &e.known, float64(e.inFlight()), 0)
	}
	return cost
}

// failed learns from a failure. Whatever it teaches, the cost is not lower
// than it was. The caller holds e.mu.
func (e *Endpoint) failed(now int64, o *Outcome) {
	old := e.known
	view := e.group.outlook(now)
	was := float64(e.known.errorRate) * view.fade(e.known.errorAt)
	e.known.errorRate, e.known.errorAt = atLeast(max(was, e.window.failure(now, view.window))), now
	e.unsettle()
	if o.HasReport {
		e.reportIfWorse(&view, &o.Report)
	}
	if o.Heard {
		e.unanswered = 0
	} else if e.unanswered++; int(e.unanswered) >= view.params.UnansweredFailures {
		e.provenAt.Store(notProven)
	}
	e.facts.store(&old, &e.known, view.window)
}

// pushback leaves the endpoint alone for a while. The caller holds e.mu.
func (e *Endpoint) pushback(now int64, d time.Duration) {
	until := now + int64(min(d, e.group.params().MaxPushback))
	if until > e.pushbackUntil.Load() {
		e.pushbackUntil.Store(until)
		e.unsettle()
	}
}

// errorWindow is a rolling error rate: counts that fade with a time constant
// of errorMemory, and at the latest when the decay window has passed.
type errorWindow struct {
	failed, total float64
	at            int64
}

const (
	errorMemory = float64(10 * time.Second)
	// errorInstant is how long counts are let stand while nothing fails: what
	// fades in it is not worth working out at each call.
	errorInstant = int64(10 * time.Millisecond)
	// noErrors is a rate that makes no difference.
	noErrors = 1e-4
)

// success counts a call that did not fail, and returns the rate.
func (w *errorWindow) success(now, window int64) float64 {
	if w.failed == 0 && now-w.at < errorInstant {
		w.total++
		return 0
	}
	w.fade(now, window)
	w.total++
	return w.rate()
}

// failure counts a call that failed, and returns the rate.
func (w *errorWindow) failure(now, window int64) float64 {
	w.fade(now, window)
	w.total++
	w.failed++
	return w.rate()
}

func (w *errorWindow) fade(now, window int64) {
	if age := now - w.at; w.at != 0 && age > 0 {
		// Nearly an exponential while there is news, and without it all is gone
		// when the decay window has passed.
		k := max(1-float64(age)/float64(window), 0) / (1 + float64(age)/errorMemory)
		w.failed *= k
		w.total *= k
	}
	w.at = now
}

func (w *errorWindow) rate() float64 {
	if w.failed == 0 {
		return 0
	}
	// One success is presumed, so that a single failure is not a rate of 1.
	rate := w.failed / (w.total + 1)
	if rate < noErrors {
		w.failed, rate = 0, 0
	}
	return rate
}

// mean is a mean of recent samples. What is left of the earlier ones fades as
// all knowledge does: after a silence, the next sample counts for more.
type mean struct{ value, samples float64 }

// add adds a sample to a mean over at most enough of them. known, 0 to 1, is
// what is left of the earlier ones.
func (m *mean) add(sample, known, enough float64) { m.addMany(sample, 1, known, enough) }

// addMany adds the mean of n samples.
func (m *mean) addMany(sample, n, known, enough float64) {
	if all := m.samples*known + n; all >= enough {
		m.samples = enough
		m.value += (sample - m.value) * min(n*(1/enough), 1) // mostly a constant: no division
	} else {
		m.samples = all
		m.value += (sample - m.value) * n / all
	}
}

// observation is what this client sees: the latency of its calls, and the
// queue that it was seen under. Their ratio is the time that each request in
// the queue adds (Little's law). Means are of logarithms: latencies have long
// tails, and one slow call must not condemn its endpoint.
type observation struct {
	logLatency, logQueue mean
	at                   int64 // of the last call
}

const (
	// enoughObserved is over how many calls an endpoint's latency is taken, and observedTurns
	// how many times those in flight at least: where hundreds of this client's calls are at a
	// server, the next twenty to end are not even of the time that one takes.
	enoughObserved = 20
	observedTurns  = 2
)

// add takes in the means of n calls, while so many are in flight.
func (o *observation) add(logLatency, logQueue, n, known float64, inFlight int64) {
	enough := max(enoughObserved, observedTurns*float64(inFlight))
	o.logLatency.addMany(logLatency, n, known, enough)
	o.logQueue.addMany(logQueue, n, known, enough)
}

// logPerRequest is the logarithm of the time in ns that each request in the queue adds.
func (o *observation) logPerRequest() float64 { return o.logLatency.value - o.logQueue.value }

// combine sets the per-request time: by the server's account, if it gives one,
// which the calls have checked; else by what is observed of it. Where the account is
// about few requests, as where they take seconds, both count. Where few
// requests are behind it, or it differs from what is typical by little, it is
// taken to be chance: servers of a fleet are alike more often than not.
//
// What is certain is what the account alone says, if there is one: by what is observed, a
// server that has more to do takes less for each, as long as workers of it are idle.
func (e *Endpoint) combine(o *outlook) {
	account, ok := e.capacity.logPerRequest(&e.group.curve, o)
	about := e.capacity.requests(o, e.uptime)
	e.perRequestFrom = FromCapacity
	seen := &e.observed
	calls, said := seen.logLatency.samples, e.claim.requests(o)
	bySeen, bySaid := seen.logPerRequest(), e.claim.logPerRequest+e.group.claimScale.value()
	if !ok {
		if calls *= o.fade(seen.at); calls+said == 0 {
			return
		}
		about = calls + said
		account = (calls*bySeen + said*bySaid) / about
		if e.perRequestFrom = FromCalls; said > calls {
			e.perRequestFrom = FromLatency
		}
	}
	account = max(min(account, logLongest), -logLongest)
	logPerRequest, requests := account, about
	if few := fewRequests / (fewRequests + about); ok {
		calls, said = few*calls*o.fade(seen.at), few*said
		if requests += calls + said; requests > about {
			logPerRequest += (calls*(bySeen-account) + said*(bySaid-account)) / requests
		}
	}
	prior := e.group.suppose(logPerRequest)
	e.pace.learn(o.now, prior+heeded(logPerRequest-prior, requests, chance))
	e.known.logActual = float32(e.pace.log)
	e.known.perRequest = float32(exp(prior + e.pace.difference(prior, o.counted)))
	e.known.certain = float32(exp(prior + o.counted*heeded(account-prior, about, chance)))
	e.known.perRequestAt = o.now
}

// heeded is what is left of a difference between logarithms that so many requests are behind,
// of which each may say wrong by the root of chance.
func heeded(difference, requests, chance float64) float64 {
	square := difference * difference * requests
	return difference * square / (square + chance)
}

// chance is the square of by how much, as a logarithm, one request says wrong
// what its server takes for it.
const chance = 2

// fewRequests is about how many requests an account is to be for this client's calls to
// count half as much as they would without one.
const fewRequests = 5

// expectQueue sets how many calls are usually at the endpoint: as many as the
// latency of this client's calls tells, once there were some. Counts of late
// would tell, too, but in their ups and downs they are the same for all clients,
// who would all follow them to the same few endpoints.
func (e *Endpoint) expectQueue(o *outlook) {
	if e.inFlightMean.samples == 0 {
		return
	}
	said := e.inFlightMean.value
	if all := &e.group.inFlight; o.outOfBand && e.known.inFlight >= 0 && all.count.Load() > 0 {
		said = all.value()
	}
	if l := &e.observed.logLatency; l.samples > 0 && e.known.perRequest > 0 {
		seen := max(exp(l.value-e.pace.log)-1, 0)
		n := l.samples
		if age := o.now - e.observed.at; age > 0 {
			n /= 1 + float64(age)/observedMemory
		}
		said += (seen - said) * n / (n + fewObserved)
	}
	e.known.inFlightMean = float32(said)
}

const (
	// fewObserved is how many calls tell as much of the usual queue as the reports.
	fewObserved = 3
	// observedMemory is after which time without a call the calls before tell
	// half as much of it: what was slow once may be idle since.
	observedMemory = float64(2 * time.Second)
)
