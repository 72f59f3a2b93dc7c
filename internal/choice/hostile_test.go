package choice

import (
	"fmt"
	"math"
	"testing"
	"time"
)

// hostile are what a server may say of itself that is broken, or lies.
var hostile = []float64{
	-1, 0, math.SmallestNonzeroFloat64, 1e-300, 1e-40, 1e-9, minUtilization, 0.5, 1, 40, 1e6, 1e17, 1e30, 1e50, 1e300,
	math.MaxFloat64, math.Inf(1), math.NaN(), math.Inf(-1),
}

// nonsense is how long calls take, or what passes between them, in ns.
var nonsense = []int64{0, 1, 1000, ms, ms, 10 * ms, 10 * ms, sec, 31 * sec, math.MaxInt64 / 256}

// hostileWorld lets servers say anything, and returns what number is none then.
func hostileWorld(events []byte) error {
	event := func() (b int) {
		if len(events) > 0 {
			b, events = int(events[0]), events[1:]
		}
		return b
	}
	say := func() Report {
		value := func() float64 { return hostile[event()%len(hostile)] }
		return Report{
			Utilization: value(), InFlight: value(), RPS: value(), EPS: value(), Uptime: time.Duration(event()%4) * time.Second,
			Latency: time.Duration(nonsense[event()%len(nonsense)]),
		}
	}
	g, now, random := NewGroup(DefaultParams(), false), sec, newRandom(1)
	endpoints := make([]*Endpoint, 4)
	for i := range endpoints {
		endpoints[i] = g.NewEndpoint(now)
		endpoints[i].SetDistance(time.Duration(event()%2) * time.Duration(i) * time.Millisecond)
	}
	f := g.NewFleet(endpoints)
	for len(events) > 0 {
		i := event() % len(endpoints)
		e := endpoints[i]
		switch kind := event() % 8; kind {
		case 0:
			e.Reported(now, say())
		case 1:
			if e.beginProbe(now) {
				g.probes.underWay.Add(1)
				e.Probed(now, say())
			}
		case 2:
			if now < math.MaxInt64/2 {
				now += nonsense[event()%len(nonsense)]
			}
		default:
			picked := f.Choose(now, random)
			c := f.Begin(now, picked, false)
			if kind < 6 && now < math.MaxInt64/2 {
				now += nonsense[event()%len(nonsense)]
			}
			o := Outcome{Kind: Answered, OK: kind != 3, Heard: true, Report: say(), HasReport: event()%4 > 0}
			if kind == 7 {
				o.Kind = Failed
			}
			f.Endpoint(picked.Index).End(now, c, &o)
		}
		if err := allNumbers(f, now); err != nil {
			return err
		}
	}
	return nil
}

// allNumbers tells what cost, now or when some of what is known has faded, is none.
func allNumbers(f *Fleet, now int64) error {
	isNone := func(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) || x < 0 }
	for _, later := range []int64{0, ms, 20 * sec, 60 * sec} {
		f.group.refresh(now+later, f.endpoints)
		s := f.group.shared.Load()
		for _, x := range []float64{s.prior, s.weight, s.others, s.ownShare, s.spare, s.news.lag, s.news.memory, s.news.unseen, s.news.onTheWay} {
			if isNone(x) {
				return fmt.Errorf("of the fleet is presumed %+v", s)
			}
		}
		for i, e := range f.endpoints {
			if x := costAt(e, now+later); isNone(x) {
				return fmt.Errorf("the cost of endpoint %d is %v, %d ms later, by %+v of %+v", i, x, later/ms, e.known, s)
			}
		}
		_, x := f.Explain(now+later, newRandom(1))
		for _, l := range x.Looks {
			if isNone(l.Cost) || isNone(l.Expected) || isNone(l.Certain) || isNone(l.Usual+1) || isNone(l.Utilization+1) || isNone(l.InFlight+1) {
				return fmt.Errorf("it is explained by %+v", l)
			}
		}
	}
	return nil
}

// numbers checks one sequence of events.
func numbers(t *testing.T, events []byte) {
	t.Helper()
	if err := hostileWorld(events); err != nil {
		t.Fatalf("%x: %v", events, err)
	}
}

// One server that says nonsense must not make costs of what is no number: by those
// nothing can be compared, and what is shared of them spoils all.
func TestCostsAreNumbersWhateverServersSay(t *testing.T) {
	randomEvents(4, 400, 300, func(events []byte) { numbers(t, events) })
}

func FuzzNumbers(f *testing.F) {
	f.Add([]byte{})
	f.Fuzz(numbers)
}
