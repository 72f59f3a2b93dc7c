package policy

import (
	"math"

	"github.com/evenkeel/evenkeel/internal/sim"
)

// peakEWMA is the balancer of linkerd2-proxy, which has it from Finagle: of two
// at random, the one with the lower latency x (in flight + 1). A latency above
// the average replaces it at once; the average decays, towards what is seen,
// or towards 0 when nothing is.
type peakEWMA struct {
	fleet
	estimates []estimate
}

type estimate struct {
	latency float64
	at      int64 // 0: nothing known
}

// The decay is linkerd's. What a server of which nothing is known is taken to need is
// 30 ms in linkerd's proxy; with this it does better here, see internal/sim/README.md.
const (
	peakDecay      = 10e9
	peakDefaultRTT = 1e9
)

func newPeakEWMA(env sim.Env) sim.Balancer {
	return &peakEWMA{newFleet(env), make([]estimate, env.Servers)}
}

func (p *peakEWMA) Update(now int64, listed, ready []int32) {
	was := make([]bool, len(p.estimates))
	for _, s := range p.ready {
		was[s] = true
	}
	for _, s := range ready {
		if !was[s] {
			p.estimates[s] = estimate{peakDefaultRTT, now}
		}
	}
	p.fleet.Update(now, listed, ready)
}

func (p *peakEWMA) Pick(now int64) (int32, int32) {
	if len(p.ready) == 1 {
		return p.begin(now, p.ready[0])
	}
	i, j := two(&p.env, len(p.ready))
	a, b := p.ready[i], p.ready[j]
	if p.cost(now, b) < p.cost(now, a) {
		a = b
	}
	return p.begin(now, a)
}

func (p *peakEWMA) cost(now int64, s int32) float64 {
	return p.estimates[s].update(now, 0) * float64(p.inFlight[s]+1)
}

func (e *estimate) update(now int64, latency float64) float64 {
	if latency > e.latency {
		e.latency = latency
	} else {
		keep := math.Exp(-float64(now-e.at) / peakDecay)
		e.latency = e.latency*keep + latency*(1-keep)
	}
	e.at = now
	return e.latency
}

func (p *peakEWMA) Done(now int64, call int32, _ *sim.Outcome) {
	c := p.end(call)
	p.estimates[c.server].update(now, float64(now-c.start))
}
