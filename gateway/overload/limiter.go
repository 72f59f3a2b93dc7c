package overload

import (
	"fmt"
	"sync"
	"time"
)

// A Limiter bounds how many calls are in flight. Its methods may be called
// concurrently.
type Limiter struct {
	config Config
	epoch  time.Time

	mu      sync.Mutex // guards what follows
	control *control
	stats   [classes]ClassStats
}

// New returns a limiter. An error names the field of config that is wrong.
func New(config Config) (*Limiter, error) {
	if err := config.complete(); err != nil {
		return nil, fmt.Errorf("overload: Config.%w", err)
	}
	return &Limiter{config: config, epoch: config.Now(), control: newControl(config, 0)}, nil
}

// An Outcome is how a call ended.
type Outcome int

// The outcomes.
const (
	// Succeeded is a call whose time is a measure.
	Succeeded Outcome = iota
	// TimedOut is a call whose deadline passed.
	TimedOut
	// Dropped is a call that was refused for lack of resources.
	Dropped
	// Ignored is a call whose time says nothing, such as one that failed for
	// another reason, or that was cancelled.
	Ignored
)

// A Call is one that was let in. Done must be called when it ended.
type Call struct {
	limiter *Limiter
	start   time.Duration
	method  *baseline
	load    load
	done    bool
}

// Acquire lets a call in, or returns false if it is to be refused. method names
// what takes about the same time whenever it is called; there should not be
// more than a thousand of them.
func (l *Limiter) Acquire(method string, class Priority) (*Call, bool) {
	class = class.known()
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	load, ok := l.control.admit(now, class)
	if !ok {
		l.stats[class].Refused++
		return nil, false
	}
	l.stats[class].Accepted++
	return &Call{limiter: l, start: now, method: l.control.known.of(method), load: load}, true
}

// Done ends the call. Only the first time counts.
func (c *Call) Done(outcome Outcome) {
	l := c.limiter
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.done {
		return
	}
	c.done = true
	l.control.done(now, now-c.start, c.method, c.load, outcome)
}

// Refuse reports whether a call of a class is to be refused now, and counts it as
// refused then. It is there to refuse one before work is spent on it; one that is
// not is let in by Acquire, later, or is not. Whoever refuses calls must say so
// here: a limiter that did not know that it holds calls back would not look, from
// time to time, how long calls take when it does.
func (l *Limiter) Refuse(class Priority) bool {
	class = class.known()
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.control.refuses(now, class) {
		return false
	}
	l.stats[class].Refused++
	return true
}

// Full tells whether a call of a class would be refused now. It counts nothing.
func (l *Limiter) Full(class Priority) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.control.full(class.known())
}

// Config returns how l limits, with the defaults set.
func (l *Limiter) Config() Config { return l.config }

// Stats tell where a limiter stands.
type Stats struct {
	// Limit is how many calls may be in flight, InFlight how many are.
	Limit, InFlight int
	// Probing says whether the load is being made light to measure.
	Probing bool
	// Critical, Default and Sheddable count calls since the start.
	Critical, Default, Sheddable ClassStats
}

// ClassStats count the calls of a class.
type ClassStats struct{ Accepted, Refused uint64 }

// Stats returns where l stands.
func (l *Limiter) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Stats{
		Limit: int(l.control.limit), InFlight: l.control.inFlight, Probing: l.control.probe.holds(),
		Critical: l.stats[Critical], Default: l.stats[Default], Sheddable: l.stats[Sheddable],
	}
}

// now is the time since the limiter was made, which is monotonic.
func (l *Limiter) now() time.Duration { return l.config.Now().Sub(l.epoch) }
