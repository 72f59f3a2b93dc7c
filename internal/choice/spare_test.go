package choice

import "testing"

// vacant sums up n servers that use the same part of their workers.
func vacant(n int, workers, utilization float64) *vacancy {
	var v vacancy
	for range n {
		v.count(&facts{
			perRequest: 1e6, utilization: float32(utilization), inFlightMean: float32(utilization * workers),
		}, 1, true)
	}
	return &v
}

func TestSpareWorkersAreAddedToQueuesAsFarAsTheFleetIsIdle(t *testing.T) {
	last := 9.0
	for _, utilization := range []float64{0.05, 0.2, 0.4, 0.6, 0.8, 0.95} {
		spare := vacant(10, 8, utilization).spare(10)
		if spare > 8*(1-utilization) || spare >= last {
			t.Errorf("at a utilization of %v %v of 8 workers are spare, %v at a lower one", utilization, spare, last)
		}
		last = spare
	}
	if idle, busy := vacant(10, 8, 0.1).spare(10), vacant(10, 8, 0.9).spare(10); idle < 5 || busy > 0.1 {
		t.Errorf("%v of 8 workers are spare at a utilization of 0.1, %v at 0.9", idle, busy)
	}
	if over := vacant(10, 8, 2).spare(10); over != 0 {
		t.Errorf("%v are spare where all report twice of what they have", over)
	}
}

func TestOneWorkerIsNotSpare(t *testing.T) {
	for _, utilization := range []float64{0.05, 0.5, 0.9} {
		if spare := vacant(10, 1, utilization).spare(10); spare != 0 {
			t.Errorf("%v of one worker are spare at a utilization of %v", spare, utilization)
		}
	}
}

func TestNothingIsSpareWhereManyDoNotReport(t *testing.T) {
	silent := facts{utilization: -1, inFlight: -1, perRequest: 1e6}
	for _, c := range []struct {
		silent   int
		answered bool
		want     bool
	}{{1, true, true}, {2, true, false}, {5, false, true}} {
		v := vacant(10, 8, 0.2)
		for range c.silent {
			v.count(&silent, 0, c.answered)
		}
		if got := v.spare(10+c.silent) > 0; got != c.want {
			t.Errorf("%d that report nothing (answered: %t), and something is spare: %t, want %t", c.silent, c.answered, got, c.want)
		}
	}
	if spare := new(vacancy).spare(10); spare != 0 {
		t.Errorf("%v are spare where nothing is known", spare)
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
		// A moment of this kind: five are in flight at the fast ones, none at the slow one.
		for i := range 4 {
			r := NoReport()
			r.Utilization, r.RPS, r.InFlight = utilization, 400*utilization, 5
			if i == 3 {
				r.RPS, r.InFlight = 100*utilization, 0
			}
			told(f.Endpoint(i), now+ms, 20*ms, r)
		}
		return shareOfLast(f, now+ms)
	}
	if idle, full := slowShare(0.3), slowShare(0.98); idle > 0.05 || full < 0.3 {
		t.Errorf("the slow server gets %v of the calls at a utilization of 0.3, %v at 0.98", idle, full)
	}
}
