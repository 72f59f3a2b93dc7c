package policy

import (
	"math"

	"github.com/evenkeel/evenkeel/internal/sim"
)

// netflix is what M. Smith, "Rethinking Netflix's Edge Load Balancing" (2018),
// describes: of two at random, the better by client health (rolling error
// rate), server utilization (as last reported) and client utilization (own
// calls in flight). Servers above a threshold of errors or utilization are
// passed over, best effort. A server that has not answered yet gets one call
// at a time; one younger than 90 s competes by its age; what is known fades
// over 30 s.
//
// How the three are combined was not published. Here they are multiplied, which is
// what agrees with the project's design table.
type netflix struct {
	fleet
	nodes []netflixNode
}

type netflixNode struct {
	failed, total float64 // rolling, fading
	healthAt      int64
	utilization   float64
	reportedAt    int64
	startedAt     int64
	answered      bool
}

const (
	netflixDecay       = 30e9
	netflixWarmup      = 90e9
	netflixTries       = 5
	netflixErrors      = 0.5
	netflixUtilization = 1.5
	netflixRolling     = 10e9
)

func newNetflix(env sim.Env) sim.Balancer {
	return &netflix{newFleet(env), make([]netflixNode, env.Servers)}
}

func (n *netflix) Update(now int64, listed, ready []int32) {
	was := make([]bool, len(n.nodes))
	for _, s := range n.ready {
		was[s] = true
	}
	for _, s := range ready {
		if !was[s] {
			n.nodes[s] = netflixNode{startedAt: now}
		}
	}
	n.fleet.Update(now, listed, ready)
}

func (n *netflix) Pick(now int64) (int32, int32) {
	if len(n.ready) == 1 {
		return n.begin(now, n.ready[0])
	}
	var a, b int32
	for range netflixTries {
		i, j := two(&n.env, len(n.ready))
		a, b = n.ready[i], n.ready[j]
		if !n.bad(now, a) && !n.bad(now, b) {
			break
		}
	}
	if n.bad(now, a) != n.bad(now, b) {
		if n.bad(now, a) {
			a = b
		}
		return n.begin(now, a)
	}
	if n.score(now, b) < n.score(now, a) {
		a = b
	}
	return n.begin(now, a)
}

func (n *netflix) bad(now int64, s int32) bool {
	x := &n.nodes[s]
	return (!x.answered && n.inFlight[s] > 0) || x.errors(now) > netflixErrors || x.load(now) > netflixUtilization
}

func (x *netflixNode) errors(now int64) float64 {
	return x.failed / (x.total + 1) * fading(now, x.healthAt)
}

func (x *netflixNode) load(now int64) float64 { return x.utilization * fading(now, x.reportedAt) }

func fading(now, at int64) float64 {
	if at == 0 {
		return 0
	}
	return max(1-float64(now-at)/netflixDecay, 0)
}

func (n *netflix) score(now int64, s int32) float64 {
	x := &n.nodes[s]
	score := netflixScore(x.load(now), x.errors(now), float64(n.inFlight[s]))
	if age := float64(now - x.startedAt); age < netflixWarmup {
		score /= max(age/netflixWarmup, 0.1)
	}
	return score
}

var netflixScore = func(utilization, errors, inFlight float64) float64 {
	return (inFlight + 1) * (1 + utilization) * (1 + 10*errors)
}

func (n *netflix) Done(now int64, call int32, o *sim.Outcome) {
	c := n.end(call)
	x := &n.nodes[c.server]
	keep := math.Exp(-float64(now-x.healthAt) / netflixRolling)
	x.failed *= keep
	x.total = x.total*keep + 1
	x.healthAt = now
	if o.Code == sim.OK {
		x.answered = true
	} else {
		x.failed++
	}
	if o.Report != nil {
		n.Reported(now, c.server, o.Report)
	}
}

func (n *netflix) Reported(now int64, server int32, r *sim.Report) {
	x := &n.nodes[server]
	if r.Utilization >= 0 {
		x.utilization, x.reportedAt = r.Utilization, now
	}
	if r.Uptime > 0 {
		x.startedAt = now - int64(r.Uptime)
	}
}
