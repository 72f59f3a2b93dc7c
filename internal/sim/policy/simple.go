package policy

import "github.com/evenkeel/evenkeel/internal/sim"

// fleet is what balancers without much of a memory share: the ready servers,
// and the calls in flight to each.
type fleet struct {
	ignoreReports
	env      sim.Env
	ready    []int32
	inFlight []int32
	calls    sim.Slab[simpleCall]
}

type simpleCall struct {
	server int32
	start  int64
}

func newFleet(env sim.Env) fleet { return fleet{env: env, inFlight: make([]int32, env.Servers)} }

func (f *fleet) Update(_ int64, _, ready []int32) { f.ready = ready }

func (f *fleet) begin(now int64, server int32) (int32, int32) {
	f.inFlight[server]++
	return server, f.calls.Put(simpleCall{server, now})
}

func (f *fleet) end(call int32) simpleCall {
	c := f.calls.Take(call)
	f.inFlight[c.server]--
	return c
}

func (f *fleet) Done(_ int64, call int32, _ *sim.Outcome) { f.end(call) }

// roundRobin starts where chance has it, as grpc-go's does.
type roundRobin struct {
	fleet
	next uint32
}

func newRoundRobin(env sim.Env) sim.Balancer {
	return &roundRobin{fleet: newFleet(env), next: env.Random.Uint32()}
}

func (r *roundRobin) Pick(now int64) (int32, int32) {
	r.next++
	return r.begin(now, r.ready[r.next%uint32(len(r.ready))])
}

// leastRequest is gRFC A48 with its default of two choices, which as there may
// be the same one twice.
type leastRequest struct{ fleet }

func newLeastRequest(env sim.Env) sim.Balancer { return &leastRequest{newFleet(env)} }

func (l *leastRequest) Pick(now int64) (int32, int32) {
	n := uint64(len(l.ready))
	a, b := l.ready[l.env.Random.Uint64N(n)], l.ready[l.env.Random.Uint64N(n)]
	if l.inFlight[b] < l.inFlight[a] {
		a = b
	}
	return l.begin(now, a)
}
