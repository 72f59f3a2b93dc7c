package policy

import (
	"math"
	"slices"

	"github.com/evenkeel/evenkeel/internal/sim"
)

// kratos is the p2c selector of go-kratos with its EWMA node (v2: selector/p2c,
// selector/node/ewma): of two at random, the one with the higher
// success / (sqrt(latency + 5 ms) x (in flight + 1)), unless the other has not
// been picked for three seconds. Calls that have been out for longer than the
// average raise it, once they are the majority. A node's weight is good for 5 ms.
// It forgets everything whenever a connection comes or goes.
type kratos struct {
	fleet
	nodes []kratosNode
	calls sim.Slab[epochCall]
}

type kratosNode struct {
	latency   int64
	success   uint64
	inFlight  int64
	stamp     int64
	lastPick  int64
	weight    float64
	weighedAt int64 // 0: never
	starts    []int64
	epoch     int
}

const (
	kratosTau     = 600e6
	kratosPenalty = 100e3
	kratosForce   = 3e9
	kratosCache   = 5e6
	kratosSlots   = 200
)

func newKratos(env sim.Env) sim.Balancer {
	return &kratos{fleet: newFleet(env), nodes: make([]kratosNode, env.Servers)}
}

func (k *kratos) Update(now int64, listed, ready []int32) {
	if slices.Equal(k.ready, ready) {
		return
	}
	for i := range k.nodes {
		n := &k.nodes[i]
		*n = kratosNode{success: 1000, inFlight: 1, starts: n.starts[:0], epoch: n.epoch + 1}
	}
	k.fleet.Update(now, listed, ready)
}

func (k *kratos) Pick(now int64) (int32, int32) {
	s := k.ready[0]
	if len(k.ready) > 1 {
		i, j := two(&k.env, len(k.ready))
		a, b := k.ready[i], k.ready[j]
		if k.nodes[b].weigh(now) > k.nodes[a].weigh(now) {
			a, b = b, a
		}
		if s = a; now-k.nodes[b].lastPick > kratosForce {
			s = b
		}
	}
	n := &k.nodes[s]
	n.lastPick = now
	n.inFlight++
	if len(n.starts) < kratosSlots {
		n.starts = append(n.starts, now)
	}
	return s, k.calls.Put(epochCall{s, now, n.epoch})
}

func (n *kratosNode) weigh(now int64) float64 {
	if n.weighedAt == 0 || now-n.weighedAt > kratosCache {
		n.weight = float64(n.success*10_000) / float64(n.load(now))
		n.weighedAt = now
	}
	return n.weight
}

func (n *kratosNode) load(now int64) uint64 {
	latency := n.latency
	if latency == 0 {
		return kratosPenalty * uint64(n.inFlight)
	}
	slow, total := int64(0), int64(0)
	for _, start := range n.starts {
		if now-start > latency {
			slow++
			total += now - start
		}
	}
	if slow >= int64(len(n.starts))/2+1 {
		latency = max(latency, total/slow)
	}
	return uint64(math.Sqrt(float64(latency+5e6))) * uint64(n.inFlight)
}

func (k *kratos) Done(now int64, call int32, o *sim.Outcome) {
	c := k.calls.Take(call)
	n := &k.nodes[c.server]
	if n.epoch != c.epoch {
		return // of a node that is no more
	}
	for i, start := range n.starts {
		if start == c.start {
			n.starts[i] = n.starts[len(n.starts)-1]
			n.starts = n.starts[:len(n.starts)-1]
			break
		}
	}
	n.inFlight--
	keep := math.Exp(-float64(now-n.stamp) / kratosTau)
	n.stamp = now
	if n.latency == 0 {
		keep = 0
	}
	n.latency = int64(float64(n.latency)*keep + float64(now-c.start)*(1-keep))
	success := 1000.0
	// A full queue (429) is no failure to it.
	if o.Code == sim.Unavailable || o.Code == sim.DeadlineExceeded {
		success = 0
	}
	n.success = uint64(float64(n.success)*keep + success*(1-keep))
}
