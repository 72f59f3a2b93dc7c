package policy

import (
	"github.com/evenkeel/evenkeel/internal/choice"
	"github.com/evenkeel/evenkeel/internal/sim"
)

// oursProbing is the module's own policy with probing on.
type oursProbing struct {
	*ours
	chosen  int // by the last pick
	indices []int
	targets []int32
	sent    []oursProbe // those under way, by time
}

type oursProbe struct {
	endpoint *choice.Endpoint
	server   int32
	at       int64
}

// Pick implements sim.Balancer.
func (o *oursProbing) Pick(now int64) (server, call int32) {
	o.chosen = o.fleet.Pick(now, o.env.Random)
	return o.ours.begin(now, o.chosen)
}

// Probes implements sim.Prober.
func (o *oursProbing) Probes(now int64) []int32 {
	for len(o.sent) > 0 && now-o.sent[0].at >= int64(choice.ProbeTimeout) {
		o.sent[0].endpoint.ProbeFailed(now, false)
		o.sent = o.sent[1:]
	}
	o.indices = o.fleet.Probes(now, o.env.Random, o.chosen, o.indices[:0])
	o.targets = o.targets[:0]
	for _, i := range o.indices {
		o.targets = append(o.targets, o.ready[i])
		o.sent = append(o.sent, oursProbe{o.fleet.Endpoint(i), o.ready[i], now})
	}
	return o.targets
}

// Probed implements sim.Prober.
func (o *oursProbing) Probed(now int64, server int32, p sim.Probe) {
	for i, s := range o.sent {
		if s.server == server {
			s.endpoint.Probed(now, choice.Report(p.Report))
			o.sent = append(o.sent[:i], o.sent[i+1:]...)
			return
		}
	}
}
