package choice

import (
	"math"
	"testing"
)

// told is the end of a call that took latency, with a report.
func told(e *Endpoint, end, latency int64, r Report) {
	c := e.Begin(end-latency, false)
	e.End(end, c, &Outcome{Kind: Answered, OK: true, Heard: true, Report: r, HasReport: true})
}

func busyHalf(rps float64) Report {
	r := NoReport()
	r.Utilization, r.RPS, r.InFlight = 0.5, rps, 2
	return r
}

// What is put off is heeded in full: calls that end together teach what the same calls
// teach one by one.
func TestCallsThatEndTogetherTeachWhatTheyTeachOneByOne(t *testing.T) {
	perRequest := func(gap int64) float64 {
		_, f, now := provenFleet(t, DefaultParams(), 4)
		e := f.Endpoint(0)
		for i := range int64(3 * lessonCalls) {
			now += gap
			told(e, now, (10+i%7)*ms, busyHalf(float64(100+i%5)))
		}
		return float64(e.known.perRequest)
	}
	apart, together := perRequest(2*lessonTime), perRequest(lessonTime/100)
	if math.Abs(together/apart-1) > 0.02 {
		t.Errorf("a request takes %.4g ns by calls that end together, %.4g by the same calls apart", together, apart)
	}
}

func TestNothingIsPutOffForLong(t *testing.T) {
	_, f, now := provenFleet(t, DefaultParams(), 4)
	e := f.Endpoint(0)
	now += lessonTime
	told(e, now, 10*ms, busyHalf(100))
	before := e.known.perRequest
	for i := int64(1); i < lessonCalls; i++ {
		told(e, now+i, 100*ms, busyHalf(100))
		if e.known.perRequest != before {
			t.Fatalf("the call %d ns after a lesson was learned of at once", i)
		}
	}
	told(e, now+lessonCalls, 100*ms, busyHalf(100))
	after := e.known.perRequest
	if after <= before {
		t.Errorf("%d slow calls have taught nothing: %v ns, %v before", lessonCalls, after, before)
	}
	told(e, now+2*lessonTime, 100*ms, busyHalf(100))
	if e.known.perRequest == after {
		t.Error("a call a while after the last lesson was put off")
	}
}

// The queue of the moment is not a lesson: it is heeded at once.
func TestAReportedQueueIsNotPutOff(t *testing.T) {
	g, f, now := provenFleet(t, DefaultParams(), 4)
	e := f.Endpoint(0)
	told(e, now+1, 10*ms, busyHalf(100))
	r := busyHalf(100)
	r.InFlight = 40
	told(e, now+2, 10*ms, r)
	o := g.outlook(now + 2)
	if n := o.queue(&e.known, 0, 1e7); n < 30 {
		t.Errorf("a queue of %v a moment after 40 were reported", n)
	}
}

func TestWhatAServerThatIsGoneTaughtIsNotLearnedOfTheNext(t *testing.T) {
	_, f, now := provenFleet(t, DefaultParams(), 4)
	e := f.Endpoint(0)
	r := busyHalf(100)
	r.Uptime = 1000e9
	told(e, now+1, 10*ms, r)
	told(e, now+2, 10*ms, r)
	if e.lesson.calls == 0 {
		t.Fatal("nothing was put off")
	}
	r.Uptime = 1e9
	e.Reported(now+3, r)
	if e.lesson.calls != 0 || e.lesson.reported {
		t.Errorf("%v calls of the former server are still to be learned", e.lesson.calls)
	}
}

// Where requests take seconds an account of the last moments is about hardly any.
func TestCallsCountBesideAnAccountOfFewRequests(t *testing.T) {
	slower := func(rps float64) float64 {
		_, f, now := provenFleet(t, DefaultParams(), 4)
		for range 5 {
			for i := range 4 {
				now += 10 * lessonTime
				r := busyHalf(rps)
				if i == 3 {
					r.RPS /= 20 // its calls take as long as the others'
				}
				told(f.Endpoint(i), now, 10*ms, r)
			}
		}
		return float64(f.Endpoint(3).known.perRequest) / float64(f.Endpoint(0).known.perRequest)
	}
	if few, many := slower(4), slower(4000); few > 1.25 || many < 2 {
		t.Errorf("a server that says that it is 20 times as slow, and answers as fast as others, is taken for %.3g times as slow "+
			"where it says so of few requests, for %.3g times where it is of many", few, many)
	}
}
