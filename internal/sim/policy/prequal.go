package policy

import (
	"math"
	"slices"

	"github.com/evenkeel/evenkeel/internal/sim"
)

// prequal is that of Wydrowski, Kleinberg, Rumble and Archer, "Load is not what
// you should balance: Introducing Prequal" (NSDI 2024). Each call has three
// servers at random probed, asynchronously, for their requests in flight (RIF)
// and their latency. The answers go to a pool of 16. A call takes the cold
// answer with the lowest latency or, if all are hot, the hot one with the
// lowest RIF; hot is above the 0.84 quantile of the RIFs in recent answers.
// An answer is used a limited number of times, and after each call one is
// removed: the oldest and the worst in turn.
type prequal struct {
	fleet
	pool    []probed
	rifs    [128]int32 // of recent answers
	rifNext int
	rifLen  int
	counts  [512]int32 // of each RIF among rifs
	hot     int32      // a RIF above it is hot
	worst   bool       // the next to be removed is the worst
	reuse   float64    // b_reuse
	targets []int32
}

type probed struct {
	server  int32
	rif     int32
	latency float64
	at      int64
	left    int // uses
}

const (
	prequalPool    = 16
	prequalProbes  = 3
	prequalRemove  = 1
	prequalDelta   = 1
	prequalHot     = 0.84
	prequalExpires = 1e9
	prequalMinimum = 2 // answers, below which a server is drawn at random
)

func newPrequal(env sim.Env) sim.Balancer { return &prequal{fleet: newFleet(env)} }

func (p *prequal) Update(now int64, listed, ready []int32) {
	p.fleet.Update(now, listed, ready)
	p.pool = slices.DeleteFunc(p.pool, func(a probed) bool {
		_, ok := slices.BinarySearch(ready, a.server)
		return !ok
	})
	// By the paper's formula an answer is used so often that the pool is
	// neither exhausted nor stale: max(1, (1+d) / ((1-m/n) r_probe - r_remove)).
	n := float64(len(ready))
	rate := (1-prequalPool/n)*prequalProbes - prequalRemove
	switch {
	case rate <= 0:
		p.reuse = prequalPool
	default:
		p.reuse = min(max(1, (1+prequalDelta)/rate), prequalPool)
	}
}

func (p *prequal) Pick(now int64) (int32, int32) {
	p.expire(now)
	if len(p.pool) < prequalMinimum {
		return p.begin(now, p.ready[p.env.Random.Uint64N(uint64(len(p.ready)))])
	}
	i := p.best()
	a := &p.pool[i]
	server := a.server
	a.rif++ // this call will be there too
	if a.left--; a.left <= 0 {
		p.drop(i)
	}
	for range prequalRemove {
		p.remove()
	}
	return p.begin(now, server)
}

// best is the answer to use.
func (p *prequal) best() int {
	best := 0
	for i := 1; i < len(p.pool); i++ {
		if better(&p.pool[i], &p.pool[best], p.hot) {
			best = i
		}
	}
	return best
}

// better tells whether a comes before b: hot-cold lexicographic.
func better(a, b *probed, hot int32) bool {
	aHot, bHot := a.rif > hot, b.rif > hot
	switch {
	case aHot != bHot:
		return bHot
	case aHot:
		return a.rif < b.rif
	default:
		return a.latency < b.latency
	}
}

// learn takes in the RIF of an answer and sets the threshold anew.
func (p *prequal) learn(rif int32) {
	rif = min(rif, int32(len(p.counts)-1))
	if p.rifLen == len(p.rifs) {
		p.counts[p.rifs[p.rifNext]]--
	} else {
		p.rifLen++
	}
	p.rifs[p.rifNext] = rif
	p.counts[rif]++
	p.rifNext = (p.rifNext + 1) % len(p.rifs)
	left := int32(prequalHot * float64(p.rifLen))
	for p.hot = 0; left >= p.counts[p.hot]; p.hot++ {
		left -= p.counts[p.hot]
	}
}

// remove takes an answer out of the pool: the oldest and the worst in turn.
func (p *prequal) remove() {
	if len(p.pool) == 0 {
		return
	}
	i := 0 // the oldest
	if p.worst {
		for j := range p.pool {
			if better(&p.pool[i], &p.pool[j], p.hot) {
				i = j
			}
		}
	}
	p.worst = !p.worst
	p.drop(i)
}

func (p *prequal) drop(i int) { p.pool = slices.Delete(p.pool, i, i+1) }

func (p *prequal) expire(now int64) {
	for len(p.pool) > 0 && now-p.pool[0].at > prequalExpires {
		p.drop(0)
	}
}

// Probes implements sim.Prober: different servers at random.
func (p *prequal) Probes(int64) []int32 {
	p.targets = p.targets[:0]
	for len(p.targets) < min(prequalProbes, len(p.ready)) {
		s := p.ready[p.env.Random.Uint64N(uint64(len(p.ready)))]
		if !slices.Contains(p.targets, s) {
			p.targets = append(p.targets, s)
		}
	}
	return p.targets
}

// Probed implements sim.Prober.
func (p *prequal) Probed(now int64, server int32, answer sim.Probe) {
	if _, ok := slices.BinarySearch(p.ready, server); !ok {
		return // it has gone since it answered
	}
	p.learn(answer.InFlight)
	if len(p.pool) == prequalPool {
		p.drop(0)
	}
	whole := math.Floor(p.reuse)
	left := int(whole)
	if p.env.Random.Float64() < p.reuse-whole {
		left++
	}
	p.pool = append(p.pool, probed{server, answer.InFlight, float64(answer.Latency), now, left})
}
