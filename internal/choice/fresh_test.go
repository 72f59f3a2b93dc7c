package choice

import (
	"slices"
	"testing"
	"time"
)

// hurriedFleet is a fleet whose endpoints have answered one after the other within an
// instant, each with another queue.
func hurriedFleet(t testing.TB, n int) (*Fleet, int64) {
	g, f, now := provenFleet(t, DefaultParams(), n)
	for range 3 { // the second look at the fleet finds out, the first answers after it remember
		for i := range 10 * n {
			r := NoReport()
			r.InFlight = float64(i * 7 % n)
			now += 100
			told(f.Endpoint(i%n), now, 10*ms, r)
		}
		g.refresh(now, f.endpoints)
	}
	return f, now
}

func TestRememberedCostsChooseAsCostsDo(t *testing.T) {
	f, now := hurriedFleet(t, 20)
	if !f.group.shared.Load().hurried {
		t.Fatal("answers every 100 ns are not thought to come fast")
	}
	choose := func(hurried bool, seed uint64) Choice {
		saved := f.group.fresh.copy()
		f.group.publish(func(s *shared) { s.hurried = hurried })
		c := f.Choose(now+1000, newRandom(seed))
		f.group.fresh.paste(saved)
		return c
	}
	for seed := range uint64(200) {
		// Random numbers are drawn in the same order, however many are looked at.
		if a, b := choose(true, seed), choose(false, seed); a != b {
			t.Fatalf("seed %d: %+v by what was remembered, %+v by looking", seed, a, b)
		}
	}
}

// What is remembered is what is compared: one that is remembered for cheap is preferred.
func TestOnlyTheCheapestOfThoseRememberedIsLookedAt(t *testing.T) {
	f, now := hurriedFleet(t, 20)
	f.due(now) // as the first pick is: it finds out where in the fleet each one is
	l := &f.group.fresh
	newest := l.added.Load()
	for k := range uint64(4) {
		if cost := l.ring[(newest-1-k)%freshRing].cost.load(); cost <= 0 {
			t.Fatalf("of one that answered a moment ago the cost %v is remembered", cost)
		}
	}
	third := &l.ring[(newest-3)%freshRing]
	third.cost.store(1)
	o := f.group.outlook(now + 1000)
	var best candidate
	slot := f.freshest(&o, newRandom(1), &best)
	if &l.ring[slot] != third || f.endpoints[best.index] != third.endpoint.Load() {
		t.Errorf("endpoint %d is preferred to one of which the cost 1 is remembered", best.index)
	}
	if best.cost == 1 {
		t.Error("it is not looked at, but has the cost that is remembered")
	}
}

// Whoever has answered again is compared by what it cost then, not by what it cost before.
func TestOfOneThatAnsweredTwiceTheLastAnswerCounts(t *testing.T) {
	f, now := hurriedFleet(t, 20)
	for i, inFlight := range []float64{0: 0, 1: 10, 2: 50} {
		r := NoReport()
		r.InFlight = inFlight
		told(f.Endpoint(i%2), now+int64(i), 10*ms, r) // the first has 0, the second 10, the first 50
	}
	f.due(now)
	o := f.group.outlook(now + 1000)
	o.params.FreshCandidates = 3 // these, and no others
	var best candidate
	if f.freshest(&o, newRandom(1), &best); best.index != 1 {
		t.Errorf("endpoint %d is preferred, want 1, which has 10 in flight and not 50", best.index)
	}
}

func (l *freshList) copy() (endpoints [freshRing]*Endpoint) {
	for i := range l.ring {
		endpoints[i] = l.ring[i].endpoint.Load()
	}
	return endpoints
}

func (l *freshList) paste(endpoints [freshRing]*Endpoint) {
	for i := range l.ring {
		l.ring[i].endpoint.Store(endpoints[i])
	}
}

// Whoever is passed over since it answered is not taken for what was remembered of it.
func TestWhoIsPassedOverSinceItAnsweredIsNotPicked(t *testing.T) {
	f, now := hurriedFleet(t, 8)
	random := newRandom(1)
	for i := range 3 {
		r := NoReport()
		r.Draining = true
		f.Endpoint(i).Reported(now, r)
	}
	for range 100 {
		if i := f.Pick(now+1, random); i < 3 {
			t.Fatalf("picked %d, which drains", i)
		}
	}
}

func TestAnswersThatComeSlowlyAreLookedAt(t *testing.T) {
	g, f, now := provenFleet(t, DefaultParams(), 4)
	for range 3 {
		for i := range 4 {
			now += 100 * ms
			told(f.Endpoint(i), now, 10*ms, NoReport())
		}
		g.refresh(now, f.endpoints)
	}
	if g.shared.Load().hurried {
		t.Error("answers every 100 ms, of calls of 10 ms, are thought to come fast")
	}
}

// freshOnes are the endpoints that a pick looks at because they answered of late, in order.
func freshOnes(f *Fleet, now int64) (indices []int) {
	_, x := f.Explain(now, newRandom(1))
	for _, l := range x.Looks {
		if l.Fresh {
			indices = append(indices, l.Index)
		}
	}
	return indices
}

// A slot is free whatever the answer taught, and however long ago something was learned last.
func TestAnyAnswerMakesAFreshCandidate(t *testing.T) {
	for name, end := range map[string]func(e *Endpoint, now int64){
		"the end of a stream": func(e *Endpoint, now int64) {
			endCall(e, now, e.Begin(now-sec, true), Outcome{Kind: Answered, OK: true, Heard: true})
		},
		"an error that the caller asked for": func(e *Endpoint, now int64) {
			endCall(e, now, e.Begin(now-ms, false), Outcome{Kind: Answered, Heard: true})
		},
	} {
		_, f, now := provenFleet(t, DefaultParams(), 5)
		now += 40 * sec // all has faded
		f.Pick(now, newRandom(1))
		end(f.Endpoint(3), now)
		if fresh := freshOnes(f, now+ms); !slices.Equal(fresh, []int{3}) {
			t.Errorf("after %s of endpoint 3 the fresh candidates are %v", name, fresh)
		}
		// Nor does it hide those that answered before.
		answer(f.Endpoint(2), now+ms, ms)
		end(f.Endpoint(4), now+3*ms)
		if fresh := freshOnes(f, now+4*ms); len(fresh) != 2 && len(fresh) != 3 || fresh[0] != 4 || fresh[1] != 2 {
			t.Errorf("%s of endpoint 4 follows an answer of endpoint 2, but the fresh candidates are %v", name, fresh)
		}
	}
}

func TestAnOldAnswerHidesNoneThatCameAfterIt(t *testing.T) {
	p := DefaultParams()
	_, f, now := provenFleet(t, p, 5)
	answer(f.Endpoint(1), now, 10*ms)
	now += int64(p.DecayWindow)
	answer(f.Endpoint(2), now, 10*ms)
	answer(f.Endpoint(4), now+ms, 10*ms)
	if fresh := freshOnes(f, now+20*ms); !slices.Equal(fresh, []int{4, 2}) {
		t.Errorf("fresh candidates are %v, want 4 and 2, which have just answered, and not 1", fresh)
	}
}

// What is learned of an endpoint in other ways does not make its answer news again.
func TestAnAnswerIsNoNewsOnceTheDecayWindowIsOver(t *testing.T) {
	p := DefaultParams()
	for _, c := range []struct {
		age   int64
		fresh bool
	}{{int64(p.DecayWindow) - ms, true}, {int64(p.DecayWindow), false}} {
		_, f, now := provenFleet(t, p, 3)
		e := f.Endpoint(1)
		answer(e, now-10*ms, 10*ms)
		r := NoReport()
		r.InFlight = 40
		endCall(e, now+20*sec, e.Begin(now+19*sec, false), Outcome{Kind: Failed, Heard: true, HasReport: true, Report: r})
		fresh := freshOnes(f, now+c.age)
		if got := len(fresh) > 0 && fresh[0] == 1; got != c.fresh || !c.fresh && len(fresh) > 0 {
			t.Errorf("%v after the last answer the fresh candidates are %v; want endpoint 1 among them: %v", time.Duration(c.age), fresh, c.fresh)
		}
	}
}
