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
	o := e.group.outlook(now)
	var f facts
	e.facts.load(&f)
	begun, own := e.calls.load()
	v := View{
		InFlight:    int(own),
		ErrorRate:   o.errorRate(&f),
		Utilization: math.NaN(),
		Weight:      o.relative(e.weight(&o)),
		HeldBack:    e.filtered(&o, &f, o.errorRate(&f)),
	}
	if f.utilization >= 0 && o.fade(f.reportedAt) > 0 {
		v.Utilization = float64(f.utilization)
	}
	e.mu.Lock()
	// Whoever watches looks more than once in 2^32 calls.
	e.begun += uint64(begun - uint32(e.begun))
	v.Picks = e.begun
	v.Successes, v.Failures, v.Cancels = e.successes, e.failures, e.cancels
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
	if v.Weight < 0.9 { // those a moment younger than others are not held back
		v.HeldBack |= Warmup
	}
	if s := e.silence(now); s > int64(time.Second) { // and it is that which makes the cost
		if cost, _ := o.expect(&f, float64(own), 0); e.unusualSilence(now, cost/float64(own)) >= cost {
			v.HeldBack |= Silent
		}
	}
	return v
}
