package choice

import (
	"math"
	"testing"
	"time"
)

func TestEndpointsAboveAThresholdArePassedOver(t *testing.T) {
	p := DefaultParams()
	p.UtilizationThreshold = 0.8
	_, f, now := provenFleet(t, p, 5)
	r := NoReport()
	r.Utilization = 0.9
	f.Endpoint(2).Reported(now, r)
	// Even when all others are busier.
	for _, i := range []int{0, 1, 3, 4} {
		for range 50 {
			f.Endpoint(i).Begin(now, false)
		}
	}
	if s := shares(f, now, 500, newRandom(1)); s[2] != 0 {
		t.Errorf("the endpoint above the threshold got a share of %v", s[2])
	}
}

func TestWhenAllAreFilteredTheBestIsPicked(t *testing.T) {
	p := DefaultParams()
	p.PanicThreshold = 0 // never panic: the filters hold
	_, f, now := provenFleet(t, p, 4)
	for i := range 4 {
		for range 5 {
			fail(f.Endpoint(i), now, 1)
		}
	}
	for _, i := range []int{0, 1, 3} {
		f.Endpoint(i).Begin(now, false)
		f.Endpoint(i).Begin(now, false)
	}
	if s := shares(f, now+1, 200, newRandom(1)); s[2] < 0.999 {
		t.Errorf("the best of the filtered got a share of %v", s[2])
	}
}

func TestPanicThresholdTurnsFilteringOff(t *testing.T) {
	_, f, now := provenFleet(t, DefaultParams(), 4)
	for i := range 3 { // only one of four would be left
		for range 5 {
			fail(f.Endpoint(i), now, 1)
		}
	}
	later := now + sec
	for range 5000 {
		f.Endpoint(3).Begin(later, false)
	}
	if s := shares(f, later, 200, newRandom(1)); s[3] == 1 {
		t.Error("the one healthy endpoint still gets all calls, however many it has")
	}
}

func TestAnEndpointInProbationGetsOneCallAtMost(t *testing.T) {
	g, _, now := provenFleet(t, DefaultParams(), 1)
	old, fresh := g.NewEndpoint(1), g.NewEndpoint(now)
	answer(old, now, 1)
	f := g.NewFleet([]*Endpoint{old, fresh})
	random := newRandom(1)
	most := int64(0)
	for range 2000 {
		f.Endpoint(f.Pick(now, random)).Begin(now, false)
		most = max(most, fresh.inFlight())
	}
	if most != 1 {
		t.Errorf("it had up to %d in flight", most)
	}
}

func TestWhenAllAreInProbationNoneIsHeld(t *testing.T) {
	g := NewGroup(DefaultParams(), false)
	now := sec
	f := g.NewFleet([]*Endpoint{g.NewEndpoint(now), g.NewEndpoint(now)})
	random := newRandom(1)
	for range 100 {
		f.Endpoint(f.Pick(now, random)).Begin(now, false)
	}
	for i := range 2 {
		if n := f.Endpoint(i).inFlight(); n < 40 {
			t.Errorf("endpoint %d got %d of 100 calls", i, n)
		}
	}
}

func TestAFailureIsNotAnAnswer(t *testing.T) {
	g := NewGroup(DefaultParams(), false)
	e := g.NewEndpoint(1)
	fail(e, sec, ms)
	if !e.InProbation() {
		t.Error("a failed call let the endpoint out of probation")
	}
}

func TestAnOutOfBandReportCountsAsAnAnswer(t *testing.T) {
	g := NewGroup(DefaultParams(), false)
	e := g.NewEndpoint(1)
	e.Reported(sec, NoReport())
	if e.InProbation() {
		t.Error("still in probation")
	}
}

func TestAStreamOpenForSomeSecondsCountsAsAnAnswer(t *testing.T) {
	g, _, now := provenFleet(t, DefaultParams(), 1)
	old, fresh := g.NewEndpoint(1), g.NewEndpoint(now)
	answer(old, now, 1)
	f := g.NewFleet([]*Endpoint{old, fresh})
	fresh.Begin(now, true)
	random := newRandom(1)
	for _, step := range []struct {
		after int64
		want  bool
	}{{4 * sec, true}, {5 * sec, false}} {
		for range 50 {
			f.Pick(now+step.after, random)
		}
		if fresh.InProbation() != step.want {
			t.Errorf("after %v: in probation is %v", time.Duration(step.after), !step.want)
		}
	}
}

func weightAt(e *Endpoint, now int64) float64 {
	o := e.group.outlook(now)
	return e.weight(&o)
}

// shareOfLast is the share that the last endpoint gets at the time now.
func shareOfLast(f *Fleet, now int64) float64 {
	return shares(f, now, 20000, newRandom(9))[f.Len()-1]
}

func TestLeavingProbationIsARamp(t *testing.T) {
	p := DefaultParams()
	p.SlowStartWindow = 0
	g, _, now := provenFleet(t, p, 1)
	endpoints := []*Endpoint{g.NewEndpoint(1), g.NewEndpoint(1), g.NewEndpoint(1), g.NewEndpoint(1)}
	for _, e := range endpoints[:3] {
		answer(e, 1, 10*ms)
	}
	answer(endpoints[3], now, 10*ms)
	f := g.NewFleet(endpoints)
	last := 0.0
	for after := int64(0); after <= 11; after++ {
		s := shareOfLast(f, now+after*sec)
		if s < last-0.01 || s > last+0.06 {
			t.Errorf("from second %d to the next the share goes from %.3f to %.3f", after-1, last, s)
		}
		last = s
	}
	if last < 0.23 {
		t.Errorf("at the end of the ramp the share is %.3f", last)
	}
}

func TestWarmupFollowsTheServersAge(t *testing.T) {
	g, f, now := provenFleet(t, DefaultParams(), 4)
	_ = g
	r := NoReport()
	r.Uptime = 45 * time.Second
	f.Endpoint(3).Reported(now, r)
	if s := shareOfLast(f, now); math.Abs(s-0.125) > 0.02 {
		t.Errorf("half way through warmup one of four gets %.3f, want 0.125", s)
	}
	if s := shareOfLast(f, now+46*sec); math.Abs(s-0.25) > 0.02 {
		t.Errorf("after warmup one of four gets %.3f, want 0.25", s)
	}
}

func TestWithoutAReportedUptimeTheAgeCountsFromFirstSeen(t *testing.T) {
	g, _, _ := provenFleet(t, DefaultParams(), 1)
	e := g.NewEndpoint(10 * sec)
	answer(e, 10*sec, 1)
	if w := weightAt(e, 55*sec); w != 0.5 {
		t.Errorf("45 s after it was first seen the weight is %v, want 0.5", w)
	}
}

func TestWhenAllAreNewNoneIsHeldBack(t *testing.T) {
	g := NewGroup(DefaultParams(), false)
	now := sec
	endpoints := []*Endpoint{g.NewEndpoint(now), g.NewEndpoint(now), g.NewEndpoint(now)}
	for _, e := range endpoints {
		answer(e, now, ms)
	}
	f := g.NewFleet(endpoints)
	f.Pick(now+2*ms, newRandom(1))
	for _, e := range endpoints {
		if w := g.shared.Load().relative(weightAt(e, now+2*ms)); w < 1-1e-9 {
			t.Errorf("relative weight %v", w)
		}
	}
	if s := shareOfLast(f, now+2*ms); math.Abs(s-1.0/3) > 0.02 {
		t.Errorf("share %.3f of a third", s)
	}
}

func TestAnUptimeThatGoesBackwardsDropsWhatWasLearned(t *testing.T) {
	_, f, now := provenFleet(t, DefaultParams(), 2)
	e := f.Endpoint(0)
	r := NoReport()
	r.Uptime, r.Utilization = time.Hour, 0.9
	e.Reported(now, r)
	fail(e, now, ms)
	r = NoReport()
	r.Uptime = 3 * time.Second
	e.Reported(now+sec, r)
	v := e.View(now + sec)
	if v.ErrorRate != 0 || !math.IsNaN(v.Utilization) || v.Uptime != 3*time.Second {
		t.Errorf("after the restart: %+v", v)
	}
}

func TestAReportThatIsOutOfOrderIsNotARestart(t *testing.T) {
	_, f, now := provenFleet(t, DefaultParams(), 2)
	e := f.Endpoint(0)
	r := NoReport()
	r.Uptime, r.Utilization = time.Hour, 0.9
	e.Reported(now, r)
	r.Uptime -= time.Second
	r.Utilization = -1
	e.Reported(now+sec, r)
	if v := e.View(now + sec); math.Abs(v.Utilization-0.9) > 1e-6 {
		t.Errorf("utilization is %v after a late report", v.Utilization)
	}
}

func TestAReconnectToAYoungerServerDropsWhatWasLearned(t *testing.T) {
	_, f, now := provenFleet(t, DefaultParams(), 2)
	e := f.Endpoint(0)
	r := NoReport()
	r.Uptime, r.Utilization = 5*time.Second, 0.9
	e.Reported(now, r)
	e.Reconnected()
	r = NoReport()
	r.Uptime = 8 * time.Second // it would be 25 s by now
	e.Reported(now+20*sec, r)
	if v := e.View(now + 20*sec); !math.IsNaN(v.Utilization) {
		t.Errorf("utilization of the old server is still known: %v", v.Utilization)
	}
}

func TestKnowledgeFadesLinearlyToNothingOver30s(t *testing.T) {
	_, f, now := provenFleet(t, DefaultParams(), 2)
	e := f.Endpoint(0)
	fail(e, now, 0)
	rate := e.View(now).ErrorRate
	for _, step := range []struct {
		after int64
		want  float64
	}{{0, 1}, {15, 0.5}, {27, 0.1}, {30, 0}, {60, 0}} {
		if got := e.View(now + step.after*sec).ErrorRate; math.Abs(got-rate*step.want) > 1e-6 {
			t.Errorf("after %d s the error rate is %v, want %v", step.after, got, rate*step.want)
		}
	}
}

func TestSilenceCountsAgainstAnEndpoint(t *testing.T) {
	_, f, now := provenFleet(t, DefaultParams(), 2)
	e := f.Endpoint(0)
	e.Begin(now, false)
	cost := func(after int64) float64 {
		var facts facts
		e.facts.load(&facts)
		o := e.group.outlook(now + after)
		return e.cost(&o, &facts)
	}
	// It takes 20 ms, so that an answer may be out for 120.
	if at0, soon := cost(0), cost(100*ms); soon > 1.1*at0 {
		t.Errorf("the cost is %v, and %v after no longer than calls may take", time.Duration(at0), time.Duration(soon))
	}
	if a, b := cost(sec), cost(40*sec); a < 0.8*float64(sec) || b < 39.8*float64(sec) {
		t.Errorf("the cost after 1 s is %v, after 40 s %v: the call may take that long again", time.Duration(a), time.Duration(b))
	}
	// The other one is busy, and still better than one that is silent.
	for range 20 {
		f.Endpoint(1).Begin(now+39*sec, false)
	}
	if s := shares(f, now+40*sec, 100, newRandom(1)); s[0] != 0 {
		t.Errorf("a silent endpoint got a share of %v", s[0])
	}
}

func TestEndpointsThatNeverAnswerGoBackToProbation(t *testing.T) {
	_, f, now := provenFleet(t, DefaultParams(), 2)
	e := f.Endpoint(0)
	for range 3 {
		c := e.Begin(now, false)
		e.End(now+sec, c, &Outcome{Kind: Failed})
	}
	if !e.InProbation() {
		t.Error("still trusted after three calls without an answer")
	}
}

func TestPushbackIsHeededForAsLongAsItSaysAndNoLongerThan30s(t *testing.T) {
	for _, c := range []struct{ asked, want time.Duration }{
		{2 * time.Second, 2 * time.Second}, {time.Hour, 30 * time.Second},
	} {
		_, f, now := provenFleet(t, DefaultParams(), 3)
		e := f.Endpoint(0)
		call := e.Begin(now, false)
		e.End(now, call, &Outcome{Kind: Nothing, Pushback: c.asked})
		if s := shares(f, now+int64(c.want)-ms, 300, newRandom(1)); s[0] != 0 {
			t.Errorf("%v: picked before it was over: %v", c.asked, s[0])
		}
		if s := shares(f, now+int64(c.want)+ms, 300, newRandom(1)); s[0] == 0 {
			t.Errorf("%v: not picked after %v", c.asked, c.want)
		}
	}
}

func TestADrainingEndpointIsPassedOver(t *testing.T) {
	_, f, now := provenFleet(t, DefaultParams(), 3)
	r := NoReport()
	r.Draining = true
	f.Endpoint(1).Reported(now, r)
	if s := shares(f, now, 300, newRandom(1)); s[1] != 0 {
		t.Errorf("a draining endpoint got a share of %v", s[1])
	}
}

func TestAReportRefusedOnAFailureIsNewsOnAnAnswer(t *testing.T) {
	_, f, now := provenFleet(t, DefaultParams(), 2)
	e := f.Endpoint(0)
	r := NoReport()
	r.InFlight = 10
	e.Reported(now, r)
	r.InFlight = 0
	call := e.Begin(now, false)
	e.End(now, call, &Outcome{Kind: Failed, Heard: true, HasReport: true, Report: r})
	call = e.Begin(now, false)
	e.End(now, call, &Outcome{Kind: Answered, OK: true, Heard: true, HasReport: true, Report: r})
	if e.known.inFlight != 0 {
		t.Errorf("%v in flight are known, want 0 as the answer said", e.known.inFlight)
	}
}

func TestAReportOnAFailedAnswerMayOnlyRaiseTheCost(t *testing.T) {
	_, f, now := provenFleet(t, DefaultParams(), 2)
	e := f.Endpoint(0)
	r := NoReport()
	r.InFlight = 10
	e.Reported(now, r)
	for _, c := range []struct{ reported, want float64 }{{0, 10}, {50, 50}} {
		call := e.Begin(now, false)
		r.InFlight = c.reported
		e.End(now, call, &Outcome{Kind: Failed, Heard: true, HasReport: true, Report: r})
		if float64(e.known.inFlight) != c.want {
			t.Errorf("a failure that reports %v in flight leaves %v, want %v", c.reported, e.known.inFlight, c.want)
		}
	}
}

func TestACancelledCallSaysNothing(t *testing.T) {
	_, f, now := provenFleet(t, DefaultParams(), 2)
	e := f.Endpoint(0)
	before := e.known
	e.End(now+sec, e.Begin(now, false), &Outcome{Kind: Nothing})
	if e.known != before || e.inFlight() != 0 {
		t.Errorf("known before: %+v, after: %+v; in flight %d", before, e.known, e.inFlight())
	}
}

func TestInFlightReturnsToZero(t *testing.T) {
	random := newRandom(5)
	_, f, now := provenFleet(t, DefaultParams(), 5)
	type open struct {
		e *Endpoint
		c Call
	}
	var calls []open
	for range 5000 {
		now += random.Int64N(50 * ms)
		if len(calls) == 0 || random.IntN(2) == 0 {
			e := f.Endpoint(f.Pick(now, random))
			calls = append(calls, open{e, e.Begin(now, random.IntN(4) == 0)})
			continue
		}
		i := random.IntN(len(calls))
		calls[i].e.End(now, calls[i].c, &Outcome{Kind: Kind(random.IntN(3)), OK: true, Heard: random.IntN(2) == 0})
		calls = append(calls[:i], calls[i+1:]...)
	}
	for _, o := range calls {
		o.e.End(now, o.c, &Outcome{})
	}
	for i := range 5 {
		e := f.Endpoint(i)
		if e.inFlight() != 0 || e.streams.Load() != 0 {
			t.Errorf("endpoint %d: in flight %d, streams %d", i, e.inFlight(), e.streams.Load())
		}
	}
}

func TestTheSameSeedGivesTheSamePicks(t *testing.T) {
	run := func() (picks []int) {
		_, f, now := provenFleet(t, DefaultParams(), 7)
		random := newRandom(11)
		for range 300 {
			i := f.Pick(now, random)
			picks = append(picks, i)
			answer(f.Endpoint(i), now, random.Int64N(20*ms))
			now += 5 * ms
		}
		return picks
	}
	a, b := run(), run()
	for i := range a {
		if a[i] != b[i] {
			t.Fatalf("pick %d is %d, then %d", i, a[i], b[i])
		}
	}
}

func TestHistogramQuantilesAreWithinABucket(t *testing.T) {
	for _, d := range []time.Duration{0, time.Microsecond, 70 * time.Microsecond, time.Millisecond, 123 * time.Millisecond, 9 * time.Second, time.Hour} {
		ceiling := BucketCeiling(bucket(d))
		if d > 66*time.Microsecond && d < 200*time.Second && (ceiling < d || float64(ceiling) > 1.13*float64(d)) {
			t.Errorf("%v is counted below %v", d, ceiling)
		}
	}
}

func TestASlowFirstAnswerDoesNotCondemn(t *testing.T) {
	p := DefaultParams()
	p.SlowStartWindow, p.ProbationRamp = 0, 0
	g := NewGroup(p, false)
	a, b := g.NewEndpoint(1), g.NewEndpoint(1)
	f := g.NewFleet([]*Endpoint{a, b})
	answer(a, sec, 900*ms) // its first
	for i := range int64(20) {
		answer(b, 2*sec+i, 10*ms)
	}
	if s := shares(f, 3*sec, 1000, newRandom(1)); s[0] < 0.3 {
		t.Errorf("an endpoint whose first answer was slow gets a share of %.2f", s[0])
	}
}

func TestAServerThatDrainedIsCalledAgainOnceItTakesConnections(t *testing.T) {
	_, f, now := provenFleet(t, DefaultParams(), 2)
	e := f.Endpoint(0)
	r := NoReport()
	r.Draining = true
	e.Reported(now, r)
	if s := shares(f, now, 1000, newRandom(1)); s[0] != 0 {
		t.Errorf("a draining server got a share of %v", s[0])
	}
	e.Reconnected()
	if s := shares(f, now, 1000, newRandom(1)); s[0] == 0 {
		t.Error("the server that took its place is never called, so it cannot say that it stays")
	}
}

// A server may count its calls for each report and make all else anew only now and then.
func TestTheSameReportAgainIsNewsOnlyOfAServerThatCountsEachTime(t *testing.T) {
	for _, counts := range []bool{false, true} {
		_, f, now := provenFleet(t, DefaultParams(), 2)
		e := f.Endpoint(0)
		r := NoReport()
		r.Utilization, r.InFlight, r.Uptime = 0.5, 3, 200*time.Second
		if counts {
			r.InFlight = 2
			e.Reported(now, r)
			r.InFlight = 3
		}
		e.Reported(now+ms, r)
		e.Reported(now+50*ms, r)
		want := now + ms
		if counts {
			want = now + 50*ms
		}
		if got := e.known.reportedAt; got != want {
			t.Errorf("counts %v: the report is of %v ms after the first, want %v", counts, (got-now)/ms, (want-now)/ms)
		}
	}
}

// A server that gets no calls has no errors any more, but its means fade together, so that
// their ratio stays. It is not to be left alone for ever.
func TestAnErrorRateOfNoRequestsIsForgotten(t *testing.T) {
	for _, idle := range []struct {
		name     string
		rps, eps float64
	}{{"fading", 1e-9, 2e-10}, {"none", -1, -1}, {"zero", 0, 0}} {
		_, f, now := provenFleet(t, DefaultParams(), 2)
		e := f.Endpoint(0)
		r := NoReport()
		r.RPS, r.EPS, r.InFlight = 100, 20, 1
		e.Reported(now, r)
		if rate := e.known.reportedErrorRate; rate != 0.2 {
			t.Fatalf("it says that a fifth fails, and %v is believed", rate)
		}
		r.RPS, r.EPS = idle.rps, idle.eps
		for range 300 {
			now += sec / 2
			r.InFlight = 1 - r.InFlight
			e.Reported(now, r)
		}
		if rate := e.known.reportedErrorRate; rate > 0.01 {
			t.Errorf("%s: after 150 s without a request %v is believed still", idle.name, rate)
		}
	}
}

// Each report leaves some of the rate that was there before. It must end some time: while there
// is a rate, however small, every pick works out what it makes of the cost.
func TestAnEndpointThatReportsNoErrorsAnyMoreIsPlainAgain(t *testing.T) {
	for _, rps := range []float64{0, 0.1, 100} {
		g, f, now := provenFleet(t, DefaultParams(), 2)
		e := f.Endpoint(0)
		r := NoReport()
		r.RPS, r.EPS, r.InFlight = 100, 20, 1
		e.Reported(now, r)
		if e.plain.Load() != nil {
			t.Fatal("a fifth of its calls fail, and it is plain")
		}
		r.RPS, r.EPS = rps, 0
		for range 500 {
			now += sec / 2
			r.InFlight = 1 - r.InFlight
			e.Reported(now, r)
		}
		if rate := e.known.reportedErrorRate; rate != 0 || e.plain.Load() != g.params() {
			t.Errorf("after 250 s of %v calls/s without an error the rate is %v, and it is plain: %v", rps, rate, e.plain.Load() != nil)
		}
	}
}

// What is known of an endpoint that gets no calls is compared with what is known of those that
// do. Both are to reckon with the same factor between what servers say and what calls take.
func TestEndpointsThatGetNoCallsFollowTheFactorThatServersShare(t *testing.T) {
	const n = 6 // half of them get calls throughout
	g, f, now := provenFleet(t, DefaultParams(), n)
	call := func(n int, seconds, latency int64) {
		for range 50 * seconds {
			now += 20 * ms
			for i := range n {
				r, d := busy(0), latency
				if i%3 == 0 { // one of each half can do half as much
					r.RPS, d = r.RPS/2, 2*latency
				}
				r.Uptime = time.Duration(now)
				told(f.Endpoint(i), now, d, r)
			}
			if now%(100*ms) == 0 {
				g.refresh(now, f.endpoints)
			}
		}
	}
	call(n, 10, 10*ms)
	before := g.curve.drain.value()
	call(n/2, 5, 20*ms)
	if factor := math.Exp(g.curve.drain.value() - before); factor < 1.7 || factor > 2.1 {
		t.Fatalf("calls take twice as long, and the factor that servers share is %v times what it was", factor)
	}
	for i := range n / 2 {
		if ratio := costAt(f.Endpoint(i+n/2), now) / costAt(f.Endpoint(i), now); ratio < 0.9 || ratio > 1.1 {
			t.Errorf("endpoint %d, which gets no calls, costs %v times as much as %d, which can do as much", i+n/2, ratio, i)
		}
	}
}
