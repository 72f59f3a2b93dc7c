package choice

import (
	"math/rand/v2"
	"testing"
	"time"
)

const (
	ms  = int64(time.Millisecond)
	sec = int64(time.Second)
)

func newRandom(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

// proven returns n endpoints that answered long ago, so that neither probation
// nor warmup holds them back, and the fleet of them.
func provenFleet(t testing.TB, p Params, n int) (*Group, *Fleet, int64) {
	t.Helper()
	g := NewGroup(p, true)
	endpoints := make([]*Endpoint, n)
	for i := range endpoints {
		endpoints[i] = g.NewEndpoint(1)
		answer(endpoints[i], 1, 10*ms)
	}
	now := 200 * sec
	for _, e := range endpoints {
		answer(e, now-10*ms, 10*ms)
	}
	return g, g.NewFleet(endpoints), now
}

func answer(e *Endpoint, start, latency int64) {
	c := e.Begin(start, false)
	e.End(start+latency, c, &Outcome{Kind: Answered, OK: true, Heard: true})
}

func fail(e *Endpoint, start, latency int64) {
	c := e.Begin(start, false)
	e.End(start+latency, c, &Outcome{Kind: Failed, Heard: true})
}

func shares(f *Fleet, now int64, picks int, random Random) []float64 {
	s := make([]float64, f.Len())
	for range picks {
		s[f.Pick(now, random)] += 1 / float64(picks)
	}
	return s
}

func TestDrawsAreDistinctAndCoverAll(t *testing.T) {
	random := newRandom(1)
	for n := 1; n <= maxDraws; n++ {
		d, seen := draw{n: n}, map[int]bool{}
		for range n {
			i := d.next(random)
			if i < 0 || i >= n || seen[i] {
				t.Fatalf("n=%d: drew %d, had %v", n, i, seen)
			}
			seen[i] = true
		}
	}
}

func TestOfTwoTheOneWithFewerInFlightIsPicked(t *testing.T) {
	_, f, now := provenFleet(t, DefaultParams(), 2)
	f.Endpoint(0).Begin(now, false)
	for range 100 {
		if f.Pick(now, newRandom(3)) != 1 {
			t.Fatal("picked the busier of two endpoints")
		}
	}
}

func TestOfTwoTheOneWithFewerErrorsIsPicked(t *testing.T) {
	_, f, now := provenFleet(t, DefaultParams(), 2)
	fail(f.Endpoint(0), now, 10*ms)
	if s := shares(f, now+10*ms, 100, newRandom(1)); s[0] != 0 {
		t.Fatalf("the endpoint that failed got a share of %v", s[0])
	}
}

func TestOfTwoTheOneWithLowerUtilizationIsPicked(t *testing.T) {
	_, f, now := provenFleet(t, DefaultParams(), 2)
	for i, u := range []float64{0.9, 0.2} {
		r := NoReport()
		r.Utilization = u
		f.Endpoint(i).Reported(now, r)
	}
	if s := shares(f, now, 100, newRandom(1)); s[0] != 0 {
		t.Fatalf("the busier endpoint got a share of %v", s[0])
	}
}

func TestAFailureNeverLowersTheCost(t *testing.T) {
	random := newRandom(7)
	for round := range 2000 {
		g := NewGroup(DefaultParams(), false)
		e := g.NewEndpoint(1)
		now := sec
		for range random.IntN(40) {
			now += random.Int64N(2 * sec)
			switch random.IntN(5) {
			case 0:
				fail(e, now, random.Int64N(sec))
			case 1:
				r := NoReport()
				r.Utilization, r.InFlight, r.RPS, r.EPS = random.Float64()*1.2, float64(random.IntN(30)), random.Float64()*100, random.Float64()*10
				e.Reported(now, r)
			default:
				answer(e, now, random.Int64N(sec))
			}
		}
		at := now + sec
		cost := func() float64 {
			var f facts
			e.facts.load(&f)
			o := g.outlook(at)
			return e.cost(&o, &f)
		}
		before := cost()
		c := e.Begin(now, false)
		o := Outcome{Kind: Failed, Heard: random.IntN(2) == 0, HasReport: random.IntN(2) == 0, Report: NoReport()}
		o.Report.Utilization, o.Report.InFlight, o.Report.RPS = random.Float64(), float64(random.IntN(10)), random.Float64()*1000
		e.End(at, c, &o)
		if after := cost(); after < before*(1-1e-12) {
			t.Fatalf("round %d: a failure lowered the cost from %v to %v", round, before, after)
		}
	}
}

func TestEveryHealthyEndpointIsPickedWithin20N(t *testing.T) {
	for _, n := range []int{2, 3, 10, 50} {
		_, f, now := provenFleet(t, DefaultParams(), n)
		seen := map[int]bool{}
		random := newRandom(uint64(n))
		for range 20 * n {
			seen[f.Pick(now, random)] = true
		}
		if len(seen) != n {
			t.Errorf("n=%d: only %d were picked", n, len(seen))
		}
	}
}

// That a server tells its age for the first time, or is older than it was thought to be,
// does not make it another one, of which what was known is void.
func TestAFailureThatTellsTheServersAgeDoesNotLowerTheCost(t *testing.T) {
	for name, c := range map[string]struct {
		before, after time.Duration
		another       bool
	}{
		"for the first time": {0, time.Hour, false},
		"higher than it was": {time.Minute, time.Hour, false},
		"of another server":  {time.Hour, time.Second, true},
	} {
		_, f, now := provenFleet(t, DefaultParams(), 2)
		e := f.Endpoint(0)
		r := NoReport()
		r.InFlight, r.Uptime = 40, c.before
		e.Reported(now, r)
		before := costAt(e, now+ms)
		call := e.Begin(now, false)
		r.InFlight, r.Uptime = 0, c.after
		endCall(e, now+ms, call, Outcome{Kind: Failed, Heard: true, HasReport: true, Report: r})
		if after := costAt(e, now+ms); after < before != c.another {
			t.Errorf("an age %s: the cost was %v, and after a failure it is %v", name, before, after)
		}
	}
}
