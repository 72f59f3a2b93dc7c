package policy

import (
	"math"
	"slices"

	"github.com/evenkeel/evenkeel/internal/sim"
)

// goZero is go-zero's p2c_ewma (zrpc/internal/balancer/p2c, v1.10): of two at
// random, up to three times if one of them is unhealthy, the one with the lower
// sqrt(latency) x (in flight + 1), unless the other has not been picked for a
// second. It forgets everything whenever a connection comes or goes.
type goZero struct {
	fleet
	nodes []goZeroNode
	calls sim.Slab[epochCall]
}

type goZeroNode struct {
	latency, success uint64
	last, pick       int64
	inFlight         int64
	epoch            int // how often it has been made anew
}

// epochCall is a call to a node that may have been made anew since.
type epochCall struct {
	server int32
	start  int64
	epoch  int
}

const (
	goZeroDecay   = 10e9
	goZeroForce   = 1e9
	goZeroSuccess = 1000
	goZeroPenalty = math.MaxInt32
)

func newGoZero(env sim.Env) sim.Balancer {
	return &goZero{fleet: newFleet(env), nodes: make([]goZeroNode, env.Servers)}
}

func (g *goZero) Update(now int64, listed, ready []int32) {
	if slices.Equal(g.ready, ready) {
		return
	}
	for i := range g.nodes {
		g.nodes[i] = goZeroNode{success: goZeroSuccess, epoch: g.nodes[i].epoch + 1}
	}
	g.fleet.Update(now, listed, ready)
}

func (g *goZero) Pick(now int64) (int32, int32) {
	a, b := int32(-1), int32(-1)
	switch len(g.ready) {
	case 1:
		a = g.ready[0]
	case 2:
		a, b = g.ready[0], g.ready[1]
	default:
		for range 3 {
			i, j := two(&g.env, len(g.ready))
			a, b = g.ready[i], g.ready[j]
			if g.nodes[a].healthy() && g.nodes[b].healthy() {
				break
			}
		}
	}
	s := g.choose(now, a, b)
	g.nodes[s].pick = now
	g.nodes[s].inFlight++
	return s, g.calls.Put(epochCall{s, now, g.nodes[s].epoch})
}

func (g *goZero) choose(now int64, a, b int32) int32 {
	if b < 0 {
		return a
	}
	if g.nodes[a].load() > g.nodes[b].load() {
		a, b = b, a
	}
	if now-g.nodes[b].pick > goZeroForce {
		return b
	}
	return a
}

func (n *goZeroNode) healthy() bool { return n.success > goZeroSuccess/2 }

func (n *goZeroNode) load() int64 {
	l := int64(math.Sqrt(float64(n.latency+1))) * (n.inFlight + 1)
	if l == 0 {
		return goZeroPenalty
	}
	return l
}

func (g *goZero) Done(now int64, call int32, o *sim.Outcome) {
	c := g.calls.Take(call)
	n := &g.nodes[c.server]
	if n.epoch != c.epoch {
		return // of a node that is no more
	}
	n.inFlight--
	keep := math.Exp(-float64(now-n.last) / goZeroDecay)
	n.last = now
	if n.latency == 0 {
		keep = 0
	}
	n.latency = uint64(float64(n.latency)*keep + float64(now-c.start)*(1-keep))
	success := 0.0
	if o.Code == sim.OK {
		success = goZeroSuccess
	}
	n.success = uint64(float64(n.success)*keep + success*(1-keep))
}
