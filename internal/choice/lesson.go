package choice

// lesson is what calls have taught that is yet to be learned. What is learned of
// takes logarithms and divisions, longer than all else that the end of a call
// costs, and calls that end within a moment teach it as well together as one by one:
// nothing that they say is lost, it is only heeded some calls later. If there are none
// for a while, it waits for the next answer.
type lesson struct {
	// latency and queue are the products of the latencies, in ns, and of the queues,
	// each itself included, of that many calls: the logarithm of a product is the sum
	// of the logarithms.
	latency, queue, calls float64

	utilization, rps float64 // of the last report that had both
	reported         bool    // there was one

	at int64 // when the last lesson was learned
}

const (
	// lessonCalls and lessonTime, in ns, are how much may be put off: a lesson is
	// learned at the first answer that makes it as many calls, or comes as long after
	// the last lesson.
	lessonCalls = 8
	lessonTime  = int64(1e6)
)

// call takes in a call.
func (l *lesson) call(latency, queue float64) {
	if l.calls == 0 {
		l.latency, l.queue = 1, 1
	}
	l.latency *= latency
	l.queue *= queue
	l.calls++
}

// report takes in what a server says that it can do. It is about a longer time
// than what is put off, so that the last one says all.
func (l *lesson) report(utilization, rps float64) {
	l.utilization, l.rps, l.reported = utilization, rps, true
}

// due tells whether it is to be learned now.
func (l *lesson) due(now int64) bool {
	return l.calls >= lessonCalls || now-l.at >= lessonTime || now < l.at
}

// learn learns what was put off. The caller holds e.mu, and publishes.
func (e *Endpoint) learn(o *outlook) {
	l := &e.lesson
	known := o.fade(e.known.perRequestAt)
	if l.reported {
		e.capacity.report(o.now, l.utilization, l.rps, known)
	}
	if n := l.calls; n > 0 {
		logLatency, logQueue := log(l.latency)/n, log(l.queue)/n
		e.observed.add(logLatency, logQueue, n, known, e.inFlight())
		e.observed.at = o.now
		e.group.latency.add(logLatency, 1, int64(n), enoughPooled)
		e.capacity.observe(&e.group.curve, o, logLatency, logQueue, n)
		e.combine(o)
	}
	e.expectQueue(o)
	*l = lesson{at: o.now}
}
