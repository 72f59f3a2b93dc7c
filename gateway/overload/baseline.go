package overload

import "time"

const (
	// memory is how many calls a baseline is the mean of, roughly.
	memory = 200
	// enough is how many calls make a baseline.
	enough = 5
	// probeWeight is how many calls what is known counts for, at most, against
	// those of a probe.
	probeWeight = 40
	// maxSurprise bounds how far one call can move a baseline.
	maxSurprise = 5
	// maxMethods bounds how many methods have a baseline of their own; the rest
	// share one.
	maxMethods = 1024
)

// A baseline is how long a method takes at light load. Calls are compared with
// their own method's, so that the limit does not take a mix with more slow
// methods for overload.
type baseline struct {
	mean
	// fresh is what a probe sees.
	fresh mean
}

// mean is that of the last calls.
type mean struct {
	nanoseconds float64
	seen        int
}

// add takes a call into a mean of at most so many.
func (m *mean) add(took time.Duration, memory int) {
	m.seen = min(m.seen+1, memory)
	// A clock may be coarse.
	m.nanoseconds += (max(float64(took), 1) - m.nanoseconds) / float64(m.seen)
}

func (b *baseline) known() bool { return b.seen >= enough }

// ratio is how many times as long as at light load a call took.
func (b *baseline) ratio(took time.Duration) (float64, bool) {
	return float64(took) / b.nanoseconds, b.known()
}

func (b *baseline) learn(took time.Duration) {
	if b.known() {
		took = min(took, time.Duration(maxSurprise*b.nanoseconds))
	}
	b.add(took, memory)
}

// refresh takes over what a probe saw: all of it, or as much as it weighs. What
// is so much longer than what is known is taken at once: by what is known, the
// service would be overloaded without load.
func (b *baseline) refresh(all bool, tolerance float64) {
	fresh := b.fresh
	b.fresh = mean{}
	switch {
	case fresh.seen == 0:
	case all, !b.known(), fresh.seen >= probeSamples/2 && fresh.nanoseconds > tolerance*b.nanoseconds:
		b.mean = fresh
	default:
		weight := float64(fresh.seen) / float64(fresh.seen+min(b.seen, probeWeight))
		b.nanoseconds += weight * (fresh.nanoseconds - b.nanoseconds)
		b.seen = min(b.seen+fresh.seen, memory)
	}
}

// baselines are those of all methods.
type baselines struct {
	methods map[string]*baseline
	rest    baseline
	// typical is how long a call takes, over all methods.
	typical time.Duration
}

// of returns the baseline of a method.
func (b *baselines) of(method string) *baseline {
	if m, ok := b.methods[method]; ok {
		return m
	}
	if len(b.methods) >= maxMethods {
		return &b.rest
	}
	if b.methods == nil {
		b.methods = map[string]*baseline{}
	}
	m := &baseline{}
	b.methods[method] = m
	return m
}

func (b *baselines) observe(took time.Duration) {
	if b.typical == 0 {
		b.typical = took
	}
	b.typical += (took - b.typical) / 16
}

// refresh takes over what a probe saw of each method.
func (b *baselines) refresh(all bool, tolerance float64) {
	for _, m := range b.methods {
		m.refresh(all, tolerance)
	}
	b.rest.refresh(all, tolerance)
}

// scale makes all of them so many times as long.
func (b *baselines) scale(times float64) {
	for _, m := range b.methods {
		m.nanoseconds *= times
	}
	b.rest.nanoseconds *= times
}

// drop forgets what a probe saw.
func (b *baselines) drop() {
	for _, m := range b.methods {
		m.fresh = mean{}
	}
	b.rest.fresh = mean{}
}
