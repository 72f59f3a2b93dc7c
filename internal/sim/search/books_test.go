package search

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/internal/sim"
	"github.com/evenkeel/evenkeel/internal/sim/policy"
)

// Whatever a scenario is, each call ends once, where it was sent, and each that is measured is
// counted once; no queue has fewer than none, and no server works more than it can.
func TestTheBooksOfASimulationBalance(t *testing.T) {
	peers, err := policy.Select("all", nil)
	if err != nil {
		t.Fatal(err)
	}
	draws := 48
	if raceEnabled {
		draws = 2
	}
	for i := range draws {
		s := Draw(77, i)
		cut(s.Warmup+s.Duration, &s.Warmup, &s.Duration)
		for j := range s.Events {
			s.Events[j].At = time.Duration(float64(s.Warmup+s.Duration) * float64(j+1) / 4)
			s.Events[j].For = min(s.Events[j].For, s.Duration/2)
		}
		p := peers[i%len(peers)]
		a := &accountant{Policy: p.Policy, t: t, name: s.Name + ", " + p.Name}
		r, err := sim.Run(context.Background(), s, a, sim.Options{Seed: uint64(i + 1)})
		if err != nil {
			t.Fatal(err)
		}
		if r.All.Count() != r.Requests || r.Answers.Count()+r.Errors != r.Requests {
			t.Errorf("%s: of %d calls %d are counted, %d answers and %d errors", a.name, r.Requests, r.All.Count(), r.Answers.Count(), r.Errors)
		}
		for server, busy := range r.Busy {
			if !(busy >= 0 && busy <= 1.000001) {
				t.Errorf("%s: server %d is busy %v", a.name, server, busy)
			}
		}
		if most := r.All.Quantile(1); most > float64(s.Deadline) || math.IsNaN(most) && r.Requests > 0 {
			t.Errorf("%s: a call took %v, the deadline is %v", a.name, time.Duration(most), s.Deadline)
		}
	}
}

// cut shortens a run to some thousand calls.
func cut(length time.Duration, warmup, duration *time.Duration) {
	*warmup, *duration = length/40, length/10
}

// accountant keeps the books of a policy's clients.
type accountant struct {
	sim.Policy
	t    *testing.T
	name string
}

type account struct {
	sim.Balancer
	*accountant
	env   sim.Env
	ready map[int32]bool
	open  map[int32]bool
}

// probingAccount is the account of a balancer that probes.
type probingAccount struct {
	*account
	sim.Prober
}

func (a *accountant) New(env sim.Env) sim.Balancer {
	of := &account{a.Policy.New(env), a, env, nil, map[int32]bool{}}
	if p, ok := of.Balancer.(sim.Prober); ok {
		return probingAccount{of, p}
	}
	return of
}

func (a *account) Update(now int64, listed, ready []int32) {
	a.ready = map[int32]bool{}
	for _, s := range ready {
		a.ready[s] = true
	}
	a.Balancer.Update(now, listed, ready)
}

func (a *account) Pick(now int64) (int32, int32) {
	server, call := a.Balancer.Pick(now)
	if !a.ready[server] {
		a.t.Errorf("%s: server %d is picked and not ready", a.name, server)
	}
	if a.open[call] {
		a.t.Errorf("%s: two calls are called %d", a.name, call)
	}
	a.open[call] = true
	a.check()
	return server, call
}

func (a *account) Done(now int64, call int32, o *sim.Outcome) {
	if !a.open[call] {
		a.t.Errorf("%s: call %d ends twice", a.name, call)
	}
	delete(a.open, call)
	if o.Code == sim.OK && !o.Heard || o.Report != nil && !o.Heard {
		a.t.Errorf("%s: nobody answered, and this came: %+v", a.name, *o)
	}
	a.check()
	a.Balancer.Done(now, call, o)
}

// check is on what is true now.
func (a *account) check() {
	for s, n := range a.env.Truth.InFlight {
		if air := a.env.Truth.InAir[s]; n < 0 || air < 0 {
			a.t.Fatalf("%s: server %d has %d in flight and %d in the air", a.name, s, n, air)
		}
	}
}
