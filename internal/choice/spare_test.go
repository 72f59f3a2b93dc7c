package choice

import (
	"math"
	"testing"
)

// spared is how many calls no queue is taken to cost less than, where servers with that many
// workers use the same part of them.
func spared(workers, utilization float64) float64 {
	const perUnit = 1e-3 // seconds
	var s spare
	last := 0.0
	for range 2 * enoughVacancies {
		v := vacancy{latency: workers * perUnit, logTypical: math.Log(perUnit * 1e9)}
		for range 10 {
			v.count(&facts{
				perRequest: perUnit * 1e9, logActual: float32(v.logTypical), utilization: float32(utilization),
				rps: float32(utilization / perUnit), inFlightMean: float32(utilization * workers),
			}, 1)
		}
		last = s.learn(&v, workers)
	}
	return last
}

func TestWorkersAreSpareAsFarAsTheFleetIsIdle(t *testing.T) {
	last := 8 * mostSpare
	for _, utilization := range []float64{0.05, 0.2, 0.4, 0.6, 0.7, 0.8, 0.95} {
		n := spared(8, utilization)
		if n > last || n == last && utilization > 0.6 {
			t.Errorf("at a utilization of %v %v of 8 workers are spare, %v at a lower one", utilization, n, last)
		}
		last = n
	}
	if idle, busy := spared(8, 0.1), spared(8, 0.9); idle < 5 || busy > 0.1 {
		t.Errorf("%v of 8 workers are spare at a utilization of 0.1, %v at 0.9", idle, busy)
	}
	if over := spared(8, 2); over != 0 {
		t.Errorf("%v are spare where servers get twice what they can do", over)
	}
}

// No more than it has, and then its queue is what tells as soon as there is one.
func TestAServerOfOneWorkerHasNoneToSpareOnceItIsBusy(t *testing.T) {
	if n := spared(1, 0.05); n > mostSpare {
		t.Errorf("%v of one worker are spare at a utilization of 0.05", n)
	}
	for _, utilization := range []float64{0.5, 0.9} {
		if n := spared(1, utilization); n > 0.01 {
			t.Errorf("%v of one worker are spare at a utilization of %v", n, utilization)
		}
	}
}

// Of the calls in flight at a server some wait; as many as there are over its utilization
// are more than it works on at once. What a call takes that waits for no other tells better.
func TestNoMoreAreSpareThanCallsThatWaitForNoOtherTell(t *testing.T) {
	const utilization = 0.3
	waiting := func(byLatency float64) float64 {
		var s spare
		v := vacancy{latency: 1, logTypical: math.Log(1e6)}
		v.count(&facts{perRequest: 1e6, logActual: float32(v.logTypical), utilization: utilization, rps: 300, inFlightMean: 12}, 1)
		return s.learn(&v, byLatency)
	}
	if all, four := waiting(0), waiting(4); all < 10 || four > 4 {
		t.Errorf("of 12 in flight %v are taken to be spare, and %v where calls tell that 4 are worked on at once", all, four)
	}
	var c curve
	if n := c.atOnce(); n != 0 {
		t.Errorf("before there was a call %v are worked on at once", n)
	}
	for queue := 1; queue <= 16; queue *= 2 {
		for range fewPooled {
			c.learn(math.Log(float64(max(queue, 4))), math.Log(float64(queue)), 1, 1)
		}
	}
	if n := c.atOnce(); math.Abs(n-4) > 0.1 {
		t.Errorf("four workers are taken for %v", n)
	}
}

func TestOfServersThatReportNothingNothingIsSpare(t *testing.T) {
	var s spare
	var v vacancy
	silent := nothingKnown
	silent.perRequest, silent.logActual = 1e6, float32(math.Log(1e6))
	v.count(&silent, 1)
	if n := s.learn(&v, 0); n != 0 {
		t.Errorf("%v are spare where nothing is known", n)
	}
}

// What a server says is checked by how long calls take: one that forgets to count down must
// not make all queues look alike.
func TestAServerThatCountsWrongMakesNoSpareWorkersOfNothing(t *testing.T) {
	spareWith := func(inFlight float64) float64 {
		g, f, now := provenFleet(t, DefaultParams(), 10)
		for k := range 100 {
			now += 20 * ms
			for i := range 10 {
				r := NoReport()
				r.Utilization, r.RPS, r.InFlight = 0.3, 120+float64(k%3), 2.4
				if i == 9 {
					r.InFlight = inFlight
				}
				told(f.Endpoint(i), now, 20*ms, r)
			}
			g.refresh(now, f.endpoints)
		}
		return g.shared.Load().spare
	}
	right := spareWith(2.4)
	if right < 1 {
		t.Fatalf("%v are spare at a utilization of 0.3", right)
	}
	for _, wrong := range []float64{100, 1e4, 1e9} {
		if n := spareWith(wrong); n > 4*right {
			t.Errorf("where one server of ten says that it has %v in flight, %v are spare; else %v", wrong, n, right)
		}
	}
}

// A slow server is better left alone while fast ones have workers to spare, though it is
// empty and they are not.
func TestSlowServersAreLeftAloneWhileFastOnesHaveWorkersToSpare(t *testing.T) {
	slowShare := func(utilization float64) float64 {
		g, f, now := provenFleet(t, DefaultParams(), 4)
		for range 40 {
			now += 20 * ms
			for i := range 4 {
				r, latency := NoReport(), 20*ms
				r.Utilization, r.RPS, r.InFlight = utilization, 400*utilization, 8*utilization
				if i == 3 {
					r.RPS, latency = 100*utilization, 80*ms
				}
				told(f.Endpoint(i), now, latency, r)
			}
			g.refresh(now, f.endpoints)
		}
		// A moment of this kind: three are in flight at the fast ones, none at the slow one.
		for i := range 4 {
			r := NoReport()
			r.Utilization, r.RPS, r.InFlight = utilization, 400*utilization, 3
			if i == 3 {
				r.RPS, r.InFlight = 100*utilization, 0
			}
			told(f.Endpoint(i), now+ms, 20*ms, r)
		}
		return shareOfLast(f, now+ms)
	}
	if idle, full := slowShare(0.3), slowShare(0.98); idle > 0.01 || full < 0.1 {
		t.Errorf("the slow server gets %v of the calls at a utilization of 0.3, %v at 0.98", idle, full)
	}
}
