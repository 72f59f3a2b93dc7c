package choice

import (
	"math"
	"testing"
	"time"
)

// probingFleet is a fleet of endpoints that report, of which there is no recent news.
func probingFleet(t testing.TB, perCall float64, n int) (*Fleet, int64) {
	t.Helper()
	p := DefaultParams()
	p.ProbesPerCall = perCall
	_, f, now := provenFleet(t, p, n)
	for range enoughReports {
		now += 40 * ms
		for i := range n {
			told(f.Endpoint(i), now, 30*ms, busy(2)) // the two and the call itself take 10 ms each
		}
	}
	now += sec
	f.Pick(now, newRandom(9))
	return f, now
}

// busy is the report of a server that does 100 calls a second with this many in flight.
func busy(inFlight float64) Report {
	r := NoReport()
	r.InFlight, r.Utilization, r.RPS = inFlight, 0.5, 50
	return r
}

// probed sends those that are due after n picks, ends them by end, and counts them.
func probed(f *Fleet, now int64, n int, random Random, end func(*Endpoint)) (total int) {
	for range n {
		for _, i := range f.Probes(now, random, 0, nil) {
			total++
			end(f.Endpoint(i))
		}
	}
	return total
}

func unanswered(now int64) func(*Endpoint) {
	return func(e *Endpoint) { e.ProbeFailed(now-10*sec, false) } // its pause is over
}

func TestNoProbeIsSentWhenProbingIsOff(t *testing.T) {
	f, now := probingFleet(t, 0, 10)
	if n := probed(f, now, 1000, newRandom(1), unanswered(now)); n != 0 {
		t.Errorf("%d probes were sent", n)
	}
}

func TestWithoutNewsTheBudgetIsSpent(t *testing.T) {
	for _, perCall := range []float64{0.01, 0.3, 1, 2.5} {
		f, now := probingFleet(t, perCall, 10)
		n := probed(f, now, 1000, newRandom(1), unanswered(now))
		if most := 1000 * perCall; float64(n) > most || float64(n) < most-probeBurst {
			t.Errorf("%d probes in 1000 calls, want %v and hardly less", n, most)
		}
	}
}

func TestWithRecentNewsNoneIsSent(t *testing.T) {
	f, now := probingFleet(t, 3, 10)
	for i := range 4 {
		e := f.Endpoint(i)
		c := e.Begin(now-ms, false)
		e.End(now, c, &Outcome{Kind: Answered, OK: true, Heard: true, HasReport: true, Report: busy(float64(i) + 3)})
	}
	if n := probed(f, now, 100, newRandom(1), unanswered(now)); n != 0 {
		t.Errorf("four endpoints have just answered, but %d probes were sent", n)
	}
	// What was saved up meanwhile is bounded.
	later, n := now+sec, 0
	for range 10 {
		n += len(f.Probes(later, newRandom(1), 0, nil))
	}
	if n != 4 {
		t.Errorf("%d probes are under way, want as many as there are to be fresh candidates", n)
	}
}

func TestAProbesAnswerIsNewsAndItsEndpointAFreshCandidate(t *testing.T) {
	f, now := probingFleet(t, 1, 50)
	targets := f.Probes(now, newRandom(1), 0, nil)
	if len(targets) != 1 {
		t.Fatalf("%d probes", len(targets))
	}
	e := f.Endpoint(targets[0])
	before := costAt(e, now+ms)
	e.Probed(now+ms, busy(0))
	if after := costAt(e, now+ms); after >= before {
		t.Errorf("it says that it is idle, but its cost is %v, and was %v", after, before)
	}
	_, x := f.Explain(now+ms, newRandom(2))
	if l := x.Looks[0]; l.Index != targets[0] || !l.Fresh || !l.Probed {
		t.Errorf("the first that is looked at is %+v, want endpoint %d", l, targets[0])
	}
	if l := x.Looks[len(x.Looks)-1]; l.Index != targets[0] && l.Probed {
		t.Errorf("endpoint %d was not probed, but it says so", l.Index)
	}
}

func TestWhoDrainsOrIsPassedOverIsNotProbed(t *testing.T) {
	f, now := probingFleet(t, 3, 4)
	draining := busy(0)
	draining.Draining = true
	f.Endpoint(1).Reported(now-sec/2, draining)
	e := f.Endpoint(2)
	e.End(now, e.Begin(now, false), &Outcome{Kind: Failed, Heard: true, Pushback: 1e9})
	probed(f, now, 100, newRandom(1), func(e *Endpoint) {
		if e != f.Endpoint(3) {
			t.Errorf("probed %+v", e.View(now).HeldBack)
		}
		e.ProbeFailed(now-10*sec, false)
	})
}

func TestDrainingEndpointsAreNotProbedEvenInAPanic(t *testing.T) {
	f, now := probingFleet(t, 3, 4)
	draining := busy(0)
	draining.Draining = true
	for i := range 4 {
		f.Endpoint(i).Reported(now, draining)
	}
	now += sec
	f.Pick(now, newRandom(1)) // finds out that all drain
	if n := probed(f, now, 100, newRandom(1), unanswered(now)); n != 0 {
		t.Errorf("%d probes", n)
	}
}

func TestAnEndpointThatDoesNotAnswerIsLeftAloneForAWhile(t *testing.T) {
	f, now := probingFleet(t, 3, 2)
	e := f.Endpoint(1)
	ended := func(at int64, unsupported bool) func(*Endpoint) {
		return func(e *Endpoint) { e.ProbeFailed(at, unsupported) }
	}
	if n := probed(f, now, 10, newRandom(1), ended(now, false)); n != 1 {
		t.Errorf("%d probes before the pause is over", n)
	}
	now += sec
	if n := probed(f, now, 10, newRandom(1), ended(now, true)); n != 1 {
		t.Errorf("%d probes after the pause", n)
	}
	now += 3600 * sec
	if n := probed(f, now, 10, newRandom(1), ended(now, true)); n != 0 {
		t.Errorf("%d probes of a server that supports none", n)
	}
	e.Reconnected()
	if n := probed(f, now, 10, newRandom(1), ended(now, true)); n != 1 {
		t.Errorf("%d probes after a reconnect", n)
	}
}

func TestAnEndpointThatRepeatsItselfIsLeftAloneForAWhile(t *testing.T) {
	f, now := probingFleet(t, 3, 2)
	n := probed(f, now, 10, newRandom(1), func(e *Endpoint) { e.Probed(now, busy(2)) })
	if n != 1 || f.Endpoint(1).recent(&outlook{now: now, shared: &shared{prior: 1e6}}) {
		t.Errorf("%d probes of an endpoint whose answer is what it said a second ago", n)
	}
}

func TestAProbeUnderWayIsTheOnlyOne(t *testing.T) {
	f, now := probingFleet(t, 3, 2)
	if n := probed(f, now, 100, newRandom(1), func(*Endpoint) {}); n != 1 {
		t.Errorf("%d probes of one endpoint are under way", n)
	}
	f.Endpoint(1).Reconnected()
	if n := probed(f, now+3600*sec, 100, newRandom(1), func(*Endpoint) {}); n != 0 {
		t.Errorf("%d more after a reconnect", n)
	}
}

func TestTheCheaperAreProbed(t *testing.T) {
	f, now := probingFleet(t, 1, 20)
	for i := range 20 {
		queue := 1 + 9*(i%2)
		told(f.Endpoint(i), now-sec/2, int64(queue+1)*10*ms, busy(float64(queue)))
	}
	slow := 0
	n := probed(f, now, 2000, newRandom(1), func(e *Endpoint) {
		if math.Mod(float64(e.index.Load()), 2) == 1 {
			slow++
		}
		e.ProbeFailed(now-10*sec, false)
	})
	// One of three draws is cheap but in an eighth of the cases.
	if share := float64(slow) / float64(n); share < 0.05 || share > 0.2 {
		t.Errorf("%.3f of the probes went to the dearer half", share)
	}
}

// A probe of an idle server hears of its last request again and again.
func TestProbesTeachHowLongRequestsTakeOnlyWhereThatIsNotKnown(t *testing.T) {
	f, now := probingFleet(t, 1, 2)
	e := f.Endpoint(0)
	c := e.Begin(now, false)
	e.End(now+10*ms, c, &Outcome{Kind: Answered, OK: true, Heard: true, HasReport: true, Report: busy(1)})
	now += sec
	slow := busy(0)
	slow.RPS = 1
	before := e.known.perRequest
	e.Probed(now, slow)
	if e.known.perRequest != before {
		t.Errorf("the time of a request was %v, and is %v after a probe", before, e.known.perRequest)
	}
	now += 40 * sec // all has faded
	e.Probed(now, slow)
	if e.known.perRequest <= 2*before || e.known.perRequestAt != now {
		t.Errorf("what was known has faded, but a probe that says %v leaves it at %v", slow, e.known.perRequest)
	}
}

func TestOnlyACheapEndpointIsAFreshCandidateByAProbe(t *testing.T) {
	f, now := probingFleet(t, 1, 20)
	before := f.group.fresh.added.Load()
	f.Endpoint(3).Probed(now, busy(9))
	if f.group.fresh.added.Load() != before {
		t.Error("it has nine calls in flight, others two, and was put on the list")
	}
	f.Endpoint(4).Probed(now, busy(0))
	if f.group.fresh.added.Load() == before {
		t.Error("it has no call in flight, others two, and was not put on the list")
	}
}

// What a probe hears is of the moment. That the next call brings a report of before is not to
// be taken for a change.
func TestAfterAProbeAnOldReportIsStillOld(t *testing.T) {
	f, now := probingFleet(t, 1, 2)
	e := f.Endpoint(0)
	old := busy(30)
	old.Uptime = 500 * time.Second
	told(e, now, 10*ms, old)
	fresh := old
	fresh.InFlight = 0
	e.Probed(now+ms, fresh)
	told(e, now+2*ms, 10*ms, old)
	if e.known.inFlight != 0 || e.known.reportedAt != now+ms {
		t.Errorf("%v are taken to be in flight, as of %v ms after the probe", e.known.inFlight, (e.known.reportedAt-now-ms)/ms)
	}
}

// Of a server that says nothing but a count, the same count again is news.
func TestTheSameCountAgainIsNews(t *testing.T) {
	f, now := probingFleet(t, 1, 2)
	e := f.Endpoint(0)
	r := NoReport()
	r.InFlight = 3
	for range 3 {
		now += 10 * ms
		e.Probed(now, r)
		if e.probedAt != now || e.known.reportedAt != now {
			t.Fatalf("its answer was not taken in")
		}
	}
}
