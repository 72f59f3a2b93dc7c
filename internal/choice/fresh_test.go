package choice

import "testing"

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
