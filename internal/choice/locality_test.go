package choice

import (
	"math"
	"slices"
	"testing"
	"time"
)

// zonedFleet is a fleet of endpoints that are proven, the first some of which are near.
func zonedFleet(t testing.TB, near, far int, distance time.Duration) (*Fleet, int64) {
	t.Helper()
	g, f, now := provenFleet(t, DefaultParams(), near+far)
	for _, e := range f.endpoints[near:] {
		e.SetDistance(distance)
	}
	return g.NewFleet(f.endpoints), now
}

func report(e *Endpoint, now int64, utilization, inFlight float64) {
	r := NoReport()
	r.Utilization, r.InFlight = utilization, inFlight
	e.Reported(now, r)
}

// nearShare is which part of the calls the first endpoints get, if all are answered.
func nearShare(f *Fleet, near int, now int64) float64 {
	share := 0.0
	for _, s := range answeredShares(f, now)[:near] {
		share += s
	}
	return share
}

// answeredShares is which part of the calls each endpoint gets, if the news of
// them does not run out, and tells nothing new.
func answeredShares(f *Fleet, now int64) []float64 {
	const picks = 4000
	random, s := newRandom(1), make([]float64, f.Len())
	for range picks {
		i := f.Pick(now, random)
		s[i] += 1. / picks
		e := f.Endpoint(i)
		e.End(now, e.Begin(now, false), &Outcome{Kind: Answered, Heard: true})
	}
	return s
}

func TestNearEndpointsArePreferredWhileTheyHaveRoom(t *testing.T) {
	f, now := zonedFleet(t, 3, 6, 5*time.Millisecond)
	for _, e := range f.endpoints {
		report(e, now, 0.3, 1)
	}
	if s := nearShare(f, 3, now); s < 0.99 {
		t.Errorf("with room in them the near endpoints get %.3f of the calls", s)
	}
}

func TestCallsSpillOverBeforeNearEndpointsQueue(t *testing.T) {
	f, now := zonedFleet(t, 3, 6, 5*time.Millisecond)
	for i, e := range f.endpoints {
		if i < 3 {
			report(e, now, 1, 2) // busy, though one call more than elsewhere is all there is
		} else {
			report(e, now, 0.2, 1)
		}
	}
	if s := nearShare(f, 3, now); s > 0.05 {
		t.Errorf("with no room in them the near endpoints get %.3f of the calls", s)
	}
}

func TestAZoneThatFailsIsLeft(t *testing.T) {
	f, now := zonedFleet(t, 3, 6, 50*time.Millisecond)
	for _, e := range f.endpoints[:3] {
		for range 5 {
			fail(e, now, ms)
		}
	}
	if s := nearShare(f, 3, now+ms); s > 0.01 {
		t.Errorf("the near endpoints, which all fail, get %.3f of the calls", s)
	}
}

func TestTheNearestZoneWithRoomIsNext(t *testing.T) {
	g, f, now := provenFleet(t, DefaultParams(), 9)
	for i, e := range f.endpoints {
		e.SetDistance([]time.Duration{0, 2 * time.Millisecond, 60 * time.Millisecond}[i/3])
		report(e, now, 0.3, 1)
		if i < 3 {
			report(e, now, 1, 40)
		}
	}
	s := answeredShares(g.NewFleet(f.endpoints), now)
	if next := s[3] + s[4] + s[5]; next < 0.95 {
		t.Errorf("the nearest zone that has room gets %.3f of the calls: %.3f", next, s)
	}
}

func TestADistanceCountsAsMuchAsTheConfigSays(t *testing.T) {
	for _, c := range []struct{ weight, low, high float64 }{{0, 0.25, 0.42}, {0.01, 0.4, 0.95}, {5, 0.99, 1}} {
		p := DefaultParams()
		p.DistanceWeight = c.weight
		g, f, now := provenFleet(t, p, 9)
		for i, e := range f.endpoints {
			report(e, now, 0.5, 1)
			if i >= 3 {
				e.SetDistance(20 * time.Millisecond)
			}
		}
		if s := nearShare(g.NewFleet(f.endpoints), 3, now); s < c.low || s > c.high {
			t.Errorf("at a weight of %v three near endpoints of nine get %.3f of the calls, want %v to %v", c.weight, s, c.low, c.high)
		}
	}
}

// Two endpoints that serve alike, one behind a long way, differ by the way and
// nothing else: else a queue would count there by a multiple.
func TestWhatCallsTakeIsJudgedWithoutTheWay(t *testing.T) {
	g := NewGroup(DefaultParams(), false)
	near, far := g.NewEndpoint(1), g.NewEndpoint(1)
	far.SetDistance(40 * time.Millisecond)
	for i := range int64(30) {
		answer(near, (i+1)*sec/10, 10*ms)
		answer(far, (i+1)*sec/10, 50*ms)
	}
	if a, b := float64(near.known.perRequest), float64(far.known.perRequest); math.Abs(b/a-1) > 0.01 {
		t.Errorf("a request takes %v near and %v far", time.Duration(a), time.Duration(b))
	}
}

func TestAnOverstatedDistanceDoesNotMakeAnEndpointFast(t *testing.T) {
	g := NewGroup(DefaultParams(), false)
	e := g.NewEndpoint(1)
	e.SetDistance(time.Minute)
	for i := range int64(30) {
		answer(e, (i+1)*sec/10, 16*ms)
	}
	if got := float64(e.known.perRequest); got < float64(ms)/2 {
		t.Errorf("a request takes %v there", time.Duration(got))
	}
}

func TestAFarEndpointIsTriedOnceLikeANearOne(t *testing.T) {
	g, f, now := provenFleet(t, DefaultParams(), 3)
	far := g.NewEndpoint(now)
	far.SetDistance(time.Second)
	zoned := g.NewFleet(append(slices.Clone(f.endpoints), far))
	random := newRandom(1)
	for range 200 {
		if i := zoned.Pick(now, random); i == 3 {
			return
		}
	}
	t.Error("it was never tried, and would not be ready when it is needed")
}

// Where most are far, the random candidate would hardly ever be near, and the
// near endpoints hardly ever compared with each other.
func TestHalfOfTheDrawsAreNear(t *testing.T) {
	f, now := zonedFleet(t, 10, 490, 5*time.Millisecond)
	f.Pick(now, newRandom(1))
	random, near := newRandom(2), 0
	for range 10_000 {
		if f.distances.Load().draw(random, 3) < 10 {
			near++
		}
	}
	if share := float64(near) / 10_000; share < 0.47 || share > 0.55 {
		t.Errorf("%.3f of the draws are near, want a half", share)
	}
}

func TestDrawsByDistanceAreDistinctAndCoverAll(t *testing.T) {
	random := newRandom(1)
	for _, far := range [][]int{{0, 1}, {0, 0, 5}, {5, 0, 0, 0, 9, 9, 70, 70, 800}, {1, 2, 3, 4, 5, 6, 7, 8}, {3, 3, 3, 0}} {
		g := NewGroup(DefaultParams(), false)
		var endpoints []*Endpoint
		for _, d := range far {
			e := g.NewEndpoint(1)
			e.SetDistance(time.Duration(d) * time.Millisecond)
			endpoints = append(endpoints, e)
		}
		d := newDistances(endpoints, 1)
		seen := map[int]bool{}
		for range 100 * len(far) {
			a, b := d.two(random)
			if a == b {
				t.Fatalf("%v: drew %d twice", far, a)
			}
			seen[a], seen[b] = true, true
		}
		if len(seen) != len(far) {
			t.Errorf("%v: only %v were drawn", far, seen)
		}
		if last := &d.rings[len(d.rings)-1]; last.end != len(far) || len(d.rings) > maxRings {
			t.Errorf("%v: the last of %d rings ends at %d", far, len(d.rings), last.end)
		}
	}
}

// The noise between two costs is a tenth of them: the farther of two must be
// dearer by more than that to always lose, hence the distances here.
func TestAFartherRingNeverCostsLess(t *testing.T) {
	random := newRandom(3)
	for range 200 {
		g, f, now := provenFleet(t, DefaultParams(), 12)
		for _, e := range f.endpoints {
			e.SetDistance(time.Duration(random.Int64N(int64(time.Second))))
			report(e, now, random.Float64()*1.5, 1)
		}
		zoned := g.NewFleet(f.endpoints)
		zoned.Pick(now, random)
		d := zoned.distances.Load()
		for at := 1; at < len(d.order); at++ {
			if a, b := d.cost(int(d.order[at-1])), d.cost(int(d.order[at])); a > b+1e-6 || math.IsNaN(b) {
				t.Fatalf("a distance of %v costs %v, and one of %v costs %v",
					time.Duration(f.endpoints[d.order[at-1]].distance.Load()), a, time.Duration(f.endpoints[d.order[at]].distance.Load()), b)
			}
		}
	}
}

func TestDistancesThatAreAllTheSameChangeNothing(t *testing.T) {
	g, f, now := provenFleet(t, DefaultParams(), 5)
	for _, e := range f.endpoints {
		e.SetDistance(time.Second)
	}
	same := g.NewFleet(f.endpoints)
	same.Pick(now, newRandom(1))
	if same.distances.Load() != nil {
		t.Error("there are distances")
	}
}

func TestTheCostOfADistanceIsExplained(t *testing.T) {
	f, now := zonedFleet(t, 2, 2, 6*time.Millisecond)
	for _, e := range f.endpoints {
		report(e, now, 0.25, 1)
	}
	random, seen := newRandom(1), false
	for range 50 {
		_, x := f.Explain(now, random)
		for _, l := range x.Looks {
			want := 0.0
			if l.Index >= 2 {
				// At the default weight, with three quarters of the near ones' time left.
				seen, want = true, 2*0.75*float64(6*ms)
			}
			if math.Abs(l.ByDistance-want) > 1 || math.Abs(l.Cost-l.Expected-want) > 1 || (l.Distance > 0) != (l.Index >= 2) {
				t.Errorf("endpoint %d: the distance of %v adds %v, want %v, in %+v", l.Index, l.Distance, l.ByDistance, want, l)
			}
		}
	}
	if !seen {
		t.Error("no far endpoint was looked at")
	}
}
