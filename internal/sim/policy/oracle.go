package policy

import (
	"math"

	"github.com/evenkeel/evenkeel/internal/sim"
)

// oracle sees the state of all servers at the moment of the pick. A call that
// fails counts at the deadline, so a server that fails some of its calls is to it
// one whose queue is longer by that part of it. One that stands still is taken
// only if all do.
type oracle struct {
	fleet
	cost func(t *sim.Truth, s int32) float64
}

// newJSQ joins the shortest queue, whatever the speeds. A request that is on its
// way is in the queue.
func newJSQ(env sim.Env) sim.Balancer {
	return &oracle{newFleet(env), func(t *sim.Truth, s int32) float64 {
		return float64(t.InFlight[s]+t.InAir[s]) + t.Failing[s]*t.Failure*t.Workers[s]
	}}
}

// newLWL goes where one more request, if no other came, would be done soonest.
// That is best for this one request and not for those that follow: where slow
// servers are many it fills the fast ones, and joining the shortest queue does
// better.
func newLWL(env sim.Env) sim.Balancer {
	return &oracle{newFleet(env), func(t *sim.Truth, s int32) float64 {
		drain := max(1, float64(t.InFlight[s]+t.InAir[s]+1)/t.Workers[s])
		if t.Speed[s] > 0 {
			drain /= t.Speed[s]
		}
		return drain + t.Failing[s]*t.Failure
	}}
}

// standing is what a server costs that stands still, besides its queue: more than
// any that moves.
const standing = 1e12

func (o *oracle) Pick(now int64) (int32, int32) {
	t := o.env.Truth
	best, least, ties := o.ready[0], math.Inf(1), uint64(0)
	for _, s := range o.ready {
		c := o.cost(t, s)
		if t.Speed[s] == 0 {
			c += standing
		}
		switch {
		case c < least:
			best, least, ties = s, c, 1
		case c == least:
			if ties++; o.env.Random.Uint64N(ties) == 0 {
				best = s
			}
		}
	}
	return o.begin(now, best)
}
