package choice

import (
	"math"
	"time"
)

// View is what is known of an endpoint at one moment, for people to read.
type View struct {
	InFlight                            int
	Picks, Successes, Failures, Cancels uint64
	ErrorRate                           float64
	Utilization                         float64 // NaN if unknown
	Uptime                              time.Duration
	Weight                              float64
	HeldBack                            Reason
	Latency                             [HistogramBuckets]uint32
}

// View reports what is known of the endpoint at the time now.
func (e *Endpoint) View(now int64) View {
	f := e.facts.load()
	window := int64(e.group.params().DecayWindow)
	v := View{
		InFlight:    int(e.inFlight.Load()),
		Picks:       e.picks.Load(),
		Successes:   e.successes.Load(),
		Failures:    e.failures.Load(),
		Cancels:     e.cancels.Load(),
		ErrorRate:   e.errorRate(now, &f, window),
		Utilization: math.NaN(),
		Weight:      e.group.relative(e.weight(now)),
		HeldBack:    e.filtered(now, &f),
	}
	if fade(now, f.utilizationAt, window) > 0 {
		v.Utilization = f.utilization
	}
	e.mu.Lock()
	if e.uptime > 0 {
		v.Uptime = time.Duration(now - e.startedAt.Load())
	}
	e.mu.Unlock()
	if e.latency != nil {
		v.Latency = e.latency.Counts()
	}
	if e.InProbation() {
		v.HeldBack |= Probation
	}
	if v.Weight < 1 {
		v.HeldBack |= Warmup
	}
	own := float64(v.InFlight)
	if s := e.silence(now); s > int64(time.Second) && float64(s) >= e.perRequest(now, &f)*(e.queue(now, &f, own, e.perRequest(now, &f), window)+1) {
		v.HeldBack |= Silent
	}
	return v
}
