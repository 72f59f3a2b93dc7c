package choice

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// world is a fleet to which things happen, and what should be true of it.
type world struct {
	events []byte // what happens, to whom and how; when they are used up it is over
	random *rand.Rand
	now    int64
	group  *Group
	all    []*Endpoint
	ready  []bool
	fleet  *Fleet // of those that are ready; nil if none is
	open   []openCall
	picks  []int // in the order in which they were made
	probed []int // whose probe is under way
	probes int   // that were sent
}

type openCall struct {
	endpoint int
	call     Call
	stream   bool
}

func newWorld(events []byte) *world {
	w := &world{events: events, random: newRandom(1), now: sec}
	p := DefaultParams()
	setting := w.event()
	p.FreshCandidates = setting % 5
	p.PanicThreshold = float64(setting%3) / 2
	if setting&8 != 0 {
		p.UtilizationThreshold = 0.8
	}
	p.ProbesPerCall = []float64{0, 0, 0.3, 1, 1, 2, 3, 3}[setting>>5]
	w.group = NewGroup(p, setting&16 != 0)
	for range 1 + w.event()%12 {
		w.all = append(w.all, w.group.NewEndpoint(w.now))
		w.ready = append(w.ready, true)
	}
	w.connect()
	return w
}

// event is the next byte; 0 at the end.
func (w *world) event() int {
	if len(w.events) == 0 {
		return 0
	}
	b := w.events[0]
	w.events = w.events[1:]
	return int(b)
}

func (w *world) one() int { return w.event() % len(w.all) }

func (w *world) connect() {
	w.fleet = nil
	var ready []*Endpoint
	for i, e := range w.all {
		if w.ready[i] {
			ready = append(ready, e)
		}
	}
	if len(ready) > 0 {
		w.fleet = w.group.NewFleet(ready)
	}
}

// step makes the next thing happen, and returns what is wrong then.
func (w *world) step() error {
	switch kind := w.event() % 16; kind {
	case 0, 1, 2, 3, 4:
		return w.pick(kind == 0)
	case 5, 6, 7, 8:
		if len(w.open) > 0 {
			w.end(w.event() % len(w.open))
		}
	case 9:
		w.now += int64(w.event()) * ms
	case 10:
		w.now += int64(w.event()) * sec / 4
	case 11:
		w.all[w.one()].Reported(w.now, w.report(true))
	case 12:
		i := w.one()
		if w.ready[i] = !w.ready[i]; w.ready[i] {
			w.all[i].Reconnected()
		}
		w.connect()
	case 13:
		w.all[w.one()].SetDistance(time.Duration(w.event()) * time.Millisecond)
		w.connect()
	case 14:
		if len(w.probed) > 0 {
			return w.endProbe(w.event() % len(w.probed))
		}
	default:
		return w.fail(w.one())
	}
	return w.count()
}

func (w *world) pick(stream bool) error {
	if w.fleet == nil {
		return nil
	}
	choice := w.fleet.Choose(w.now, w.random)
	if choice.Index < 0 || choice.Index >= w.fleet.Len() {
		return fmt.Errorf("picked %d of %d", choice.Index, w.fleet.Len())
	}
	i := slices.Index(w.all, w.fleet.Endpoint(choice.Index))
	if i < 0 || !w.ready[i] {
		return fmt.Errorf("picked endpoint %d, which is not ready", i)
	}
	w.picks = append(w.picks, i)
	w.open = append(w.open, openCall{i, w.fleet.Begin(w.now, choice, stream), stream})
	return w.probe(choice.Index)
}

// probe sends the probes that are due after a pick.
func (w *world) probe(picked int) error {
	perCall := w.group.params().ProbesPerCall
	for _, k := range w.fleet.Probes(w.now, w.random, picked, nil) {
		i := slices.Index(w.all, w.fleet.Endpoint(k))
		switch {
		case !w.ready[i] || w.all[i].draining.Load() || k == picked:
			return fmt.Errorf("endpoint %d is probed, which is not ready, drains or was just picked", i)
		case slices.Contains(w.probed, i):
			return fmt.Errorf("endpoint %d is probed while it is being probed", i)
		}
		w.probed = append(w.probed, i)
		w.probes++
	}
	if most := perCall * float64(len(w.picks)); float64(w.probes) > most {
		return fmt.Errorf("%d probes were sent for %d calls, at most %v were allowed", w.probes, len(w.picks), most)
	}
	if n := w.group.probes.underWay.Load(); n != int64(len(w.probed)) {
		return fmt.Errorf("%d probes are under way, and %d counted", len(w.probed), n)
	}
	return nil
}

// endProbe ends a probe, which must not do what only calls do.
func (w *world) endProbe(k int) error {
	i := w.probed[k]
	w.probed = slices.Delete(w.probed, k, k+1)
	e := w.all[i]
	before, cost := e.ofCalls(w.now), costAt(e, w.now)
	if how := w.event(); how&3 != 0 {
		e.Probed(w.now, w.report(false))
	} else {
		e.ProbeFailed(w.now, how&4 != 0)
		if after := costAt(e, w.now); after < cost {
			return fmt.Errorf("a failed probe of endpoint %d lowered its cost from %v to %v", i, cost, after)
		}
	}
	if after := e.ofCalls(w.now); after != before {
		return fmt.Errorf("a probe of endpoint %d, without a call, changed %+v to %+v", i, before, after)
	}
	return nil
}

// learnedOfCalls is what only calls may change.
type learnedOfCalls struct {
	inFlight, silence   int64
	proven, pushback    int64
	unanswered          int32
	errorRate           float32
	window              errorWindow
	observed            observation
	successes, failures uint64
}

func (e *Endpoint) ofCalls(now int64) learnedOfCalls {
	e.lock()
	defer e.mu.Unlock()
	return learnedOfCalls{
		e.inFlight(), e.silence(now), e.provenAt.Load(), e.pushbackUntil.Load(), e.unanswered,
		e.known.errorRate, e.window, e.observed, e.successes, e.failures,
	}
}

func (w *world) end(i int) {
	c := w.open[i]
	w.open = slices.Delete(w.open, i, i+1)
	how := w.event()
	o := Outcome{Kind: Kind(how % 3), OK: how&4 != 0, Heard: how&8 != 0, Report: NoReport()}
	if how&16 != 0 {
		o.Pushback = time.Duration(w.event()) * time.Second / 4
	}
	if how&32 != 0 {
		o.HasReport, o.Report = true, w.report(true)
	}
	endCall(w.all[c.endpoint], w.now, c.call, o)
}

// report is a report with any values; without an uptime it cannot tell of a new server.
func (w *world) report(uptime bool) Report {
	r := NoReport()
	said := w.event()
	if said&1 != 0 {
		r.Utilization = float64(w.event()) / 128
	}
	if said&2 != 0 {
		r.InFlight = float64(w.event())
	}
	if said&4 != 0 {
		r.RPS = float64(w.event())
		r.EPS = float64(w.event())
	}
	if said&8 != 0 && uptime {
		r.Uptime = time.Duration(w.event()) * time.Second
	}
	r.Draining = said&0x30 == 0x30
	return r
}

// fail is a call that fails, after which its endpoint must not look better than
// just before it was picked.
func (w *world) fail(i int) error {
	e, at := w.all[i], w.now+int64(w.event())*ms
	wasDraining := e.draining.Load()
	before := costAt(e, at)
	c := e.Begin(w.now, false)
	how := w.event()
	o := Outcome{Kind: Failed, Heard: how&1 != 0, Report: NoReport()}
	if how&2 != 0 {
		o.HasReport, o.Report = true, w.report(false)
	}
	w.now = at
	endCall(e, at, c, o)
	if after := costAt(e, at); after < before*(1-1e-6) {
		return fmt.Errorf("a failure of endpoint %d lowered its cost from %v to %v", i, before, after)
	}
	if wasDraining && !e.draining.Load() {
		return fmt.Errorf("a failure of endpoint %d ended its draining", i)
	}
	return nil
}

// count compares the calls in flight with those that there are.
func (w *world) count() error {
	calls, streams := make([]int64, len(w.all)), make([]int64, len(w.all))
	for _, c := range w.open {
		calls[c.endpoint]++
		if c.stream {
			streams[c.endpoint]++
		}
	}
	for i, e := range w.all {
		if e.inFlight() != calls[i] || e.streams.Load() != streams[i] {
			return fmt.Errorf("endpoint %d has %d calls in flight, %d of them streams, and counts %d and %d",
				i, calls[i], streams[i], e.inFlight(), e.streams.Load())
		}
	}
	return nil
}

// live lets everything happen, and ends what is left open.
func (w *world) live() error {
	for len(w.events) > 0 {
		if err := w.step(); err != nil {
			return err
		}
	}
	for len(w.open) > 0 {
		w.end(0)
	}
	for len(w.probed) > 0 {
		if err := w.endProbe(0); err != nil {
			return err
		}
	}
	if err := w.count(); err != nil {
		return fmt.Errorf("at the end: %w", err)
	}
	// Whatever happened, there is somebody to call.
	return w.pick(false)
}

func endCall(e *Endpoint, now int64, c Call, o Outcome) { e.End(now, c, &o) }

func costAt(e *Endpoint, at int64) float64 {
	var f facts
	e.facts.load(&f)
	o := e.group.outlook(at)
	return e.cost(&o, &f)
}

// lives checks the invariants over one sequence of events.
func lives(t *testing.T, events []byte) {
	t.Helper()
	w := newWorld(events)
	if err := w.live(); err != nil {
		t.Fatalf("%x: %v", events, err)
	}
	again := newWorld(events)
	if err := again.live(); err != nil {
		t.Fatalf("%x, the second time: %v", events, err)
	}
	if !slices.Equal(w.picks, again.picks) {
		t.Fatalf("%x: the same seed gives other picks", events)
	}
}

// In-flight counts are exact and return to zero, failures never pay, only ready
// endpoints are picked or probed, there is always one to pick, probes stay within
// their budget and do not what only calls do, and the same seed gives the same picks:
// whatever happens.
func TestInvariantsUnderRandomEvents(t *testing.T) {
	randomEvents(21, 1500, 600, func(events []byte) { lives(t, events) })
}

// randomEvents calls do with that many histories, each of less than most events.
func randomEvents(seed uint64, histories, most int, do func(events []byte)) {
	random := newRandom(seed)
	for range histories {
		events := make([]byte, random.IntN(most))
		for i := range events {
			events[i] = byte(random.Uint32())
		}
		do(events)
	}
}

func FuzzInvariants(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{4, 3, 1, 1, 1, 5, 0, 4, 9, 20, 14, 1, 30, 3, 3, 100, 20})
	f.Add([]byte{9, 2, 11, 0, 0x3f, 200, 10, 50, 3, 30, 1, 1, 12, 0, 1, 12, 1, 10, 255, 1})
	f.Fuzz(lives)
}

// Healthy endpoints are alike but for chance; which calls are open is chance, too.
func TestEveryHealthyEndpointIsPickedWithin20NWhateverIsInFlight(t *testing.T) {
	for seed := range uint64(150) {
		random := newRandom(seed)
		n := 1 + random.IntN(40)
		_, f, now := provenFleet(t, DefaultParams(), n)
		latency := func() int64 { return 8*ms + random.Int64N(4*ms) }
		gap, staysOpen := 1+random.Int64N(4*ms), random.Float64()/2
		type due struct {
			endpoint int
			call     Call
			at       int64
		}
		var calls []due
		seen := map[int]bool{}
		for range 20 * n {
			now += random.Int64N(gap)
			calls = slices.DeleteFunc(calls, func(c due) bool {
				if c.at <= now {
					endCall(f.Endpoint(c.endpoint), c.at, c.call, Outcome{Kind: Answered, OK: true, Heard: true})
				}
				return c.at <= now
			})
			i := f.Pick(now, random)
			seen[i] = true
			if random.Float64() < staysOpen {
				f.Endpoint(i).Begin(now, true) // a stream, and none that ends
			} else {
				calls = append(calls, due{i, f.Endpoint(i).Begin(now, false), now + latency()})
			}
		}
		if len(seen) != n {
			t.Errorf("seed %d: of %d endpoints %d were picked in %d picks", seed, n, len(seen), 20*n)
		}
	}
}

func TestOneEndpointIsPickedWhateverIsKnownOfIt(t *testing.T) {
	_, f, now := provenFleet(t, DefaultParams(), 1)
	e := f.Endpoint(0)
	r := NoReport()
	r.Draining, r.Utilization = true, 5
	e.Reported(now, r)
	for range 10 {
		endCall(e, now, e.Begin(now, false), Outcome{Kind: Failed, Pushback: time.Minute})
	}
	if i := f.Pick(now, newRandom(1)); i != 0 {
		t.Errorf("picked %d of one", i)
	}
}

// When all are in the same bad state they are as good as each other, and none
// gets the calls of the others.
func TestWhenAllAreAlikeInTroubleTheyShareTheCalls(t *testing.T) {
	for name, trouble := range map[string]func(e *Endpoint, now int64){
		"draining": func(e *Endpoint, now int64) {
			r := NoReport()
			r.Draining = true
			e.Reported(now, r)
		},
		"pushed back": func(e *Endpoint, now int64) {
			endCall(e, now, e.Begin(now, false), Outcome{Kind: Nothing, Pushback: 10 * time.Second})
		},
		"failing": func(e *Endpoint, now int64) {
			for range 10 {
				fail(e, now, ms)
			}
		},
		"never answering": func(e *Endpoint, now int64) {
			for range 5 {
				endCall(e, now, e.Begin(now, false), Outcome{Kind: Failed})
			}
		},
		"overloaded": func(e *Endpoint, now int64) {
			r := NoReport()
			r.Utilization, r.InFlight = 3, 500
			e.Reported(now, r)
		},
	} {
		for _, panicThreshold := range []float64{0, 0.5} {
			p := DefaultParams()
			p.PanicThreshold, p.UtilizationThreshold = panicThreshold, 0.9
			_, f, now := provenFleet(t, p, 5)
			for _, e := range f.endpoints {
				trouble(e, now)
			}
			for i, share := range shares(f, now+ms, 4000, newRandom(1)) {
				if share < 0.1 || share > 0.35 {
					t.Errorf("all %s, panic threshold %v: endpoint %d of five gets %.3f of the calls", name, panicThreshold, i, share)
				}
			}
		}
	}
}
