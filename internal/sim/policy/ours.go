package policy

import (
	"encoding/json"
	"slices"

	"google.golang.org/grpc/codes"

	"github.com/evenkeel/evenkeel/internal/choice"
	"github.com/evenkeel/evenkeel/internal/ownconfig"
	"github.com/evenkeel/evenkeel/internal/sim"
)

// probesPerCall is the budget of choice_of_two_probing, if its config says none.
const probesPerCall = 1

// newOurs returns the module's own policy, as its config has it and with probing
// on. What is here only translates, as package choiceoftwo does for gRPC.
func newOurs(config json.RawMessage) (plain, probing Named, err error) {
	c, err := ownconfig.Parse(string(config))
	if err != nil {
		return Named{}, Named{}, err
	}
	params, counts := c.Params(), countedCodes(c.ErrorCodes)
	plain = Named{Ours, "this module's policy, by the code that production links", Calls | Reports, oursOf(params, counts)}
	if params.ProbesPerCall > 0 {
		plain.Evidence |= Probes
	} else {
		params.ProbesPerCall = probesPerCall
	}
	probing = Named{OursProbing, "the same, asking servers for reports while it has no news (probesPerCall, 1 by default)", Calls | Reports | Probes, oursOf(params, counts)}
	return plain, probing, nil
}

// codesOf are gRPC's codes of the simulator's.
var codesOf = [...]codes.Code{
	sim.OK: codes.OK, sim.Unavailable: codes.Unavailable,
	sim.ResourceExhausted: codes.ResourceExhausted, sim.DeadlineExceeded: codes.DeadlineExceeded,
}

// countedCodes tells of each code whether it counts against a server. By default all
// that there are here do.
func countedCodes(list []codes.Code) (counts [len(codesOf)]bool) {
	for code := range counts {
		counts[code] = sim.Code(code) != sim.OK && (len(list) == 0 || slices.Contains(list, codesOf[code]))
	}
	return counts
}

func oursOf(params choice.Params, counts [len(codesOf)]bool) sim.Policy {
	return factory(func(env sim.Env) sim.Balancer {
		o := &ours{
			env: env, group: choice.NewGroup(params, false), counts: counts,
			endpoints: make([]*choice.Endpoint, env.Servers), wasReady: make([]bool, env.Servers),
		}
		if params.ProbesPerCall > 0 {
			return &oursProbing{ours: o}
		}
		return o
	})
}

type ours struct {
	env       sim.Env
	group     *choice.Group
	endpoints []*choice.Endpoint // by server; nil if it is not listed
	wasReady  []bool             // at some time, while listed
	fleet     *choice.Fleet
	ready     []int32
	calls     sim.Slab[oursCall]
	counts    [len(codesOf)]bool // against a server
}

type oursCall struct {
	endpoint *choice.Endpoint
	core     choice.Call
}

func (o *ours) Update(now int64, listed, ready []int32) {
	isListed := make([]bool, len(o.endpoints))
	for _, s := range listed {
		isListed[s] = true
		if o.endpoints[s] == nil {
			o.endpoints[s] = o.group.NewEndpoint(now)
			if o.env.Distance != nil {
				o.endpoints[s].SetDistance(o.env.Distance[s])
			}
		}
	}
	was := make([]bool, len(o.endpoints))
	for _, s := range o.ready {
		was[s] = true
	}
	for s, e := range o.endpoints {
		if e != nil && !isListed[s] {
			o.endpoints[s], o.wasReady[s] = nil, false
		}
	}
	o.ready = ready
	if len(ready) == 0 {
		o.fleet = nil
		return
	}
	fleet := make([]*choice.Endpoint, len(ready))
	for i, s := range ready {
		fleet[i] = o.endpoints[s]
		if !was[s] && o.wasReady[s] {
			fleet[i].Reconnected()
		}
		o.wasReady[s] = true
	}
	o.fleet = o.group.NewFleet(fleet)
}

func (o *ours) Pick(now int64) (int32, int32) {
	return o.begin(now, o.fleet.Pick(now, o.env.Random))
}

func (o *ours) begin(now int64, i int) (server, call int32) {
	e := o.fleet.Endpoint(i)
	return o.ready[i], o.calls.Put(oursCall{e, e.Begin(now, false)})
}

func (o *ours) Done(now int64, call int32, out *sim.Outcome) {
	c := o.calls.Take(call)
	outcome := choice.Outcome{Heard: out.Heard}
	switch {
	case out.Code == sim.OK:
		outcome.Kind, outcome.OK = choice.Answered, true
	case o.counts[out.Code]:
		outcome.Kind = choice.Failed
	case out.Heard:
		outcome.Kind = choice.Answered
	}
	if out.Report != nil {
		outcome.Report, outcome.HasReport = choice.Report(*out.Report), true
	}
	c.endpoint.End(now, c.core, &outcome)
}

func (o *ours) Reported(now int64, server int32, r *sim.Report) {
	if e := o.endpoints[server]; e != nil {
		e.Reported(now, choice.Report(*r))
	}
}
