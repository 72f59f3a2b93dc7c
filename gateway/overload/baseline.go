package overload

import "time"

const (
	// memory is how many calls a baseline is the mean of, roughly.
	memory = 200
	// enough is how many calls make a baseline.
	enough = 5
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
	mean float64 // nanoseconds
	seen int     // up to memory
}

func (b *baseline) known() bool { return b.seen >= enough }

// ratio is how many times as long as at light load a call took.
func (b *baseline) ratio(took time.Duration) (float64, bool) {
	return float64(took) / b.mean, b.known()
}

func (b *baseline) learn(took time.Duration) {
	x := max(float64(took), 1) // a clock may be coarse
	if b.known() {
		x = min(x, maxSurprise*b.mean)
	}
	b.seen = min(b.seen+1, memory)
	b.mean += (x - b.mean) / float64(b.seen)
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

// forget drops all that was learned; calls in flight keep their baseline.
func (b *baselines) forget() {
	for _, m := range b.methods {
		*m = baseline{}
	}
	b.rest, b.typical = baseline{}, 0
}
