package sim_test

import (
	"context"
	"math"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/evenkeel/evenkeel/internal/sim"
	"github.com/evenkeel/evenkeel/internal/sim/policy"
	"github.com/evenkeel/evenkeel/internal/sim/scenario"
)

func parse(t testing.TB, text string) *scenario.Scenario {
	t.Helper()
	s, err := scenario.Parse("test.yaml", []byte("name: test\n"+text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func run(t testing.TB, s *scenario.Scenario, name string, seed uint64) *sim.Result {
	t.Helper()
	p, err := policy.Select(name, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := sim.Run(context.Background(), s, p[0].Policy, sim.Options{Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// near fails unless got is within a share of want.
func near(t *testing.T, what string, got, want, share float64) {
	t.Helper()
	if math.Abs(got/want-1) > share {
		t.Errorf("%s is %.4g, want %.4g", what, got, want)
	}
}

func TestProcessorSharingHasTheMeanThatTheoryGives(t *testing.T) {
	if raceEnabled {
		t.Skip("nothing here is concurrent: run without the race detector")
	}
	// With one worker the mean time in an M/G/1 queue with processor sharing is
	// that of a request alone over 1 - load, whatever the distribution.
	for _, cost := range []string{"exponential", "constant", "lognormal", "bimodal"} {
		s := parse(t, `
load: 0.7
cost: {kind: `+cost+`}
warmup: 20s
duration: 3000s
deadline: 60s
network: {delay: 0s}
servers: [{workers: 1, queue: 100000}]
clients: [{count: 3}]
`)
		r := run(t, s, "round_robin", 1)
		near(t, cost+": mean latency", r.Answers.Mean()/float64(r.Unit), 1/(1-0.7), 0.04)
		near(t, cost+": utilization", r.Busy[0], 0.7, 0.02)
	}
}

func TestSeveralWorkersHaveTheMeanThatErlangGives(t *testing.T) {
	if raceEnabled {
		t.Skip("nothing here is concurrent: run without the race detector")
	}
	s := parse(t, `
load: 0.8
cost: {kind: exponential}
warmup: 20s
duration: 1500s
deadline: 60s
network: {delay: 0s}
servers: [{workers: 4, queue: 100000}]
clients: [{count: 1}]
`)
	// With exponential costs, processor sharing over K workers has as many in
	// the system as an M/M/K queue: Erlang's formula.
	const k, load = 4, 0.8
	a, term, sum := k*load, 1.0, 1.0
	for i := 1.0; i < k; i++ {
		term *= a / i
		sum += term
	}
	term *= a / k / (1 - load)
	wait := term / (sum + term)
	r := run(t, s, "round_robin", 2)
	near(t, "mean latency", r.Answers.Mean()/float64(r.Unit), 1+wait/(k*(1-load)), 0.03)
}

func TestWithSlotsOthersWaitInTurn(t *testing.T) {
	if raceEnabled {
		t.Skip("nothing here is concurrent: run without the race detector")
	}
	// Pollaczek and Khinchine: of equal costs one waits load / (2 (1 - load)).
	s := parse(t, `
load: 0.8
cost: {kind: constant}
warmup: 20s
duration: 2000s
deadline: 60s
network: {delay: 0s}
servers: [{workers: 1, slots: 1, queue: 100000}]
clients: [{count: 3}]
`)
	r := run(t, s, "round_robin", 1)
	near(t, "mean latency", r.Answers.Mean()/float64(r.Unit), 1+0.8/(2*(1-0.8)), 0.04)
	near(t, "the shortest latency in ns", r.Answers.Quantile(0.001), 20e6, 0.005)
}

func TestWhoRunsOutOfTimeWhileWaitingLeavesTheQueue(t *testing.T) {
	// Some ten wait at a time. If those that ran out of time stayed, the queue
	// would be full after two seconds. Those that are there when the server is
	// killed fail then.
	s := parse(t, `
rate: 20
cost: {kind: constant, mean: 400ms}
deadline: 500ms
duration: 100s
servers: [{workers: 1, slots: 1, queue: 30}]
clients: [{count: 1}]
events: [{at: 20s, for: 1s, servers: "0", do: restart}]
`)
	l := &listener{}
	if _, err := sim.Run(context.Background(), s, l, sim.Options{Seed: 1}); err != nil {
		t.Fatal(err)
	}
	if n := l.codes[sim.ResourceExhausted]; n > 0 {
		t.Errorf("%d were refused: the queue was full of calls that had ended", n)
	}
	if n := l.codes[sim.Unavailable]; n < 3 || n > 30 {
		t.Errorf("%d were failed by the restart", n)
	}
	if l.codes[sim.DeadlineExceeded] == 0 {
		t.Error("none ran out of time")
	}
}

func TestACallThatIsRefusedBringsNoReport(t *testing.T) {
	// The calls that were on their way when the server was killed find nobody there.
	s := parse(t, `
rate: 1000
cost: {kind: constant, mean: 1ms}
warmup: 0s
duration: 4s
network: {delay: 20ms}
servers: [{}]
clients: [{}]
events: [{at: 2s, for: 1s, servers: "0", do: restart}]
`)
	l := &listener{}
	if _, err := sim.Run(context.Background(), s, l, sim.Options{Seed: 1}); err != nil {
		t.Fatal(err)
	}
	if n := l.codes[sim.Unavailable]; n < 20 {
		t.Errorf("only %d were refused", n)
	}
	if l.unheard > 0 {
		t.Errorf("%d reports came from nobody", l.unheard)
	}
}

// What a server says out of band, and that it is gone, comes to a client as late as its
// answers do.
func TestNewsOfAServerTakesTheWayFromItsZone(t *testing.T) {
	s := parse(t, `
rate: 10
cost: {kind: constant, mean: 1ms}
warmup: 0s
duration: 4s
servers: [{zone: a}]
clients: [{zone: a}, {zone: b}]
network: {delay: 1ms, zones: [{from: a, to: b, delay: 40ms}]}
reports: {per_call: false, out_of_band: 1s}
events: [{at: 2s, for: 1s, servers: "0", do: restart}]
`)
	ears := &ears{}
	if _, err := sim.Run(context.Background(), s, ears, sim.Options{Seed: 1}); err != nil {
		t.Fatal(err)
	}
	near, far := ears.clients[0], ears.clients[1]
	if len(near.reported) < 2 || len(near.reported) != len(far.reported) {
		t.Fatalf("%d and %d reports were heard", len(near.reported), len(far.reported))
	}
	for i, at := range near.reported {
		if late := far.reported[i] - at; late != 39e6 {
			t.Errorf("the far client heard a report %d ns after the near one, want 39 ms", late)
		}
	}
	if near.alone != 2e9+1+1e6 || far.alone != 2e9+1+40e6 {
		t.Errorf("that the server was gone was heard at %d and %d ns", near.alone, far.alone)
	}
}

// ears are clients that note when they hear something.
type ears struct{ clients []*ear }

type ear struct {
	reported []int64
	alone    int64 // when it was first left without a server
}

func (e *ears) New(sim.Env) sim.Balancer {
	e.clients = append(e.clients, &ear{})
	return e.clients[len(e.clients)-1]
}

func (e *ear) Update(now int64, _, ready []int32) {
	if len(ready) == 0 && e.alone == 0 {
		e.alone = now
	}
}
func (e *ear) Pick(int64) (int32, int32)                  { return 0, 0 }
func (e *ear) Done(int64, int32, *sim.Outcome)            {}
func (e *ear) Reported(now int64, _ int32, _ *sim.Report) { e.reported = append(e.reported, now) }

func TestAGroupOfClientsHasItsOwnShape(t *testing.T) {
	s := parse(t, `
rate: 1000
cost: {kind: constant, mean: 1ms}
warmup: 0s
duration: 10s
servers: [{count: 2, zone: a}, {count: 2, zone: b}]
clients:
  - {count: 2, zone: a, share: 1}
  - {count: 2, zone: b, share: 1, arrivals: [{at: 0s, factor: 1}, {at: 5s, factor: 1}, {at: 5s, factor: 3}]}
`)
	r := run(t, s, "round_robin", 1)
	near(t, "calls", float64(r.Requests), 15_000, 0.03)
	near(t, "answers from the own zone", float64(r.Near), 7_500, 0.05)
}

func TestUtilizationCanBeOfSlotsOrOfTheQueue(t *testing.T) {
	// 30 calls of 10 s each come within a second to 4 slots.
	for of, want := range map[string]float64{"slots": 1, "queue": 7.5, "workers": 1} {
		s := parse(t, `
rate: 30
cost: {kind: constant, mean: 10s}
warmup: 0s
duration: 2s
deadline: 100s
servers: [{workers: 4, slots: 4}]
clients: [{count: 1}]
arrivals: [{at: 0s, factor: 1}, {at: 1s, factor: 1}, {at: 1s, factor: 0}]
reports: {per_call: false, out_of_band: 1s, window: 100ms, utilization_of: `+of+`}
`)
		listener := &listener{}
		if _, err := sim.Run(context.Background(), s, listener, sim.Options{Seed: 1}); err != nil {
			t.Fatal(err)
		}
		near(t, of, listener.last.Utilization, want, 0.35)
	}
}

// The server says what its calls took where nobody sees it by a call of his own: out of band,
// not with the calls.
func TestLatencyIsToldOutOfBandAlone(t *testing.T) {
	s := parse(t, `
rate: 50
cost: {kind: constant, mean: 10ms}
warmup: 0s
duration: 2s
servers: [{workers: 4}]
clients: [{count: 1}]
reports: {per_call: true, out_of_band: 500ms}
`)
	listener := &listener{}
	if _, err := sim.Run(context.Background(), s, listener, sim.Options{Seed: 1}); err != nil {
		t.Fatal(err)
	}
	near(t, "latency", listener.last.Latency.Seconds(), 0.01, 0.01)
	if listener.byCall.Utilization <= 0 || listener.byCall.Latency != 0 {
		t.Errorf("with a call came %+v, want a report without a latency", listener.byCall)
	}
}

// listener is a policy of one server that keeps what it hears, reports for three seconds.
type listener struct {
	last    sim.Report // out of band
	byCall  sim.Report
	codes   [4]int
	unheard int // reports that came although the server did not answer
}

func (l *listener) New(sim.Env) sim.Balancer       { return l }
func (l *listener) Update(int64, []int32, []int32) {}
func (l *listener) Pick(int64) (int32, int32)      { return 0, 0 }
func (l *listener) Done(_ int64, _ int32, o *sim.Outcome) {
	l.codes[o.Code]++
	if o.Report != nil {
		l.byCall = *o.Report
	}
	if o.Report != nil && !o.Heard {
		l.unheard++
	}
}
func (l *listener) Reported(now int64, _ int32, r *sim.Report) {
	if now < 3e9 {
		l.last = *r
	}
}

func TestNetworkDelayAndSpeedAreInTheLatency(t *testing.T) {
	s := parse(t, `
rate: 1
cost: {kind: constant, mean: 20ms}
duration: 200s
network: {delay: 3ms}
servers: [{speed: 0.5}]
clients: [{count: 1}]
`)
	r := run(t, s, "round_robin", 1)
	near(t, "median latency in ns", r.Answers.Quantile(0.5), 46e6, 0.005)
}

func TestTheSameSeedGivesTheSameResult(t *testing.T) {
	if raceEnabled {
		t.Skip("nothing here is concurrent: run without the race detector")
	}
	s, err := scenario.Builtin("rolling-restart")
	if err != nil {
		t.Fatal(err)
	}
	policies, err := policy.All(nil)
	if err != nil {
		t.Fatal(err)
	}
	changed := *s
	changed.Duration = 5e9
	calls := map[uint64]uint64{}
	for _, p := range policies {
		a, b, c := run(t, &changed, p.Name, 7), run(t, &changed, p.Name, 7), run(t, &changed, p.Name, 8)
		if !reflect.DeepEqual(a, b) {
			t.Errorf("%s: two runs with one seed differ", p.Name)
		}
		if reflect.DeepEqual(a, c) {
			t.Errorf("%s: two seeds give the same", p.Name)
		}
		calls[a.Requests]++
	}
	if len(calls) != 1 {
		t.Errorf("under one seed the policies see different numbers of calls: %v", calls)
	}
}

func TestACallThatRunsOutOfTimeLeavesItsServer(t *testing.T) {
	// Each call would take a second alone: none is answered, and if those that
	// ran out of time stayed, the queue would be full at once.
	s := parse(t, `
rate: 100
cost: {kind: constant, mean: 1s}
deadline: 500ms
duration: 20s
servers: [{workers: 1, queue: 80}]
clients: [{count: 1}]
`)
	l := &listener{}
	r, err := sim.Run(context.Background(), s, l, sim.Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if r.Errors != r.Requests {
		t.Errorf("%d of %d failed", r.Errors, r.Requests)
	}
	if n := l.codes[sim.ResourceExhausted]; n > 0 {
		t.Errorf("%d were refused: the queue was full of calls that had ended", n)
	}
}

func TestAFullQueueRefuses(t *testing.T) {
	s := parse(t, `
rate: 1000
cost: {kind: constant, mean: 100ms}
duration: 20s
servers: [{workers: 1, queue: 5}]
clients: [{count: 1}]
`)
	r := run(t, s, "round_robin", 1)
	near(t, "goodput", r.Goodput(), 10, 0.05)
	// The five that are in share the worker.
	near(t, "median latency in ns", r.Answers.Quantile(0.5), 501e6, 0.1)
}

func TestEachEventDoesWhatItSays(t *testing.T) {
	const base = `
rate: 200
cost: {kind: constant, mean: 5ms}
warmup: 0s
duration: 10s
deadline: 1s
servers: [{count: 2}]
clients: [{count: 2}]
events: [{at: 2s, for: 4s, servers: "0", EVENT}]
`
	// Under round robin a server has half the calls: those of 4 of 10 s are a fifth.
	for _, c := range []struct {
		event, name string
		errors      float64 // percent
		busy        float64 // of server 0, of its 4 workers
	}{
		{"do: fail_fast", "fail_fast", 20, 0.125 * 0.6},
		{"do: fail_fast, share: 0.5", "half fail_fast", 10, 0.125 * 0.8},
		{"do: fail_slow", "fail_slow", 20, 0.125},
		{"do: freeze", "freeze", 15, 0}, // those of its last second are answered afterwards
		{"do: restart", "restart", 0, 0.125 * 0.6},
		{"do: slow_down, speed: 0.5", "slow_down", 0, 0.125*0.6 + 0.25*0.4},
		{"do: drain", "drain", 0, 0.125 * 0.6},
	} {
		s := parse(t, strings.ReplaceAll(base, "EVENT", c.event))
		r := run(t, s, "round_robin", 3)
		if math.Abs(r.ErrorPercent()-c.errors) > 1 {
			t.Errorf("%s: %.2f %% errors, want %v", c.name, r.ErrorPercent(), c.errors)
		}
		if c.busy > 0 && math.Abs(r.Busy[0]-c.busy) > 0.012 {
			t.Errorf("%s: server 0 was busy %.3f, want %.3f", c.name, r.Busy[0], c.busy)
		}
	}
}

func TestEventsOfOneKindThatOverlapDoNotEndEachOther(t *testing.T) {
	s := parse(t, `
rate: 200
cost: {kind: constant, mean: 5ms}
warmup: 0s
duration: 10s
servers: [{}]
clients: [{}]
events:
  - {at: 1s, for: 8s, servers: "0", do: fail_fast, share: 0.5}
  - {at: 2s, for: 2s, servers: "0", do: fail_fast, share: 0.5}
  - {at: 4s, for: 4s, servers: "0", do: fail_slow, share: 0.5}
  - {at: 5s, for: 1s, servers: "0", do: fail_slow, share: 1}
`)
	// From second to second.
	const want = 10 * (0 + 0.5 + 0.75 + 0.75 + 0.75 + 1 + 0.75 + 0.75 + 0.5 + 0)
	if got := run(t, s, "round_robin", 1).ErrorPercent(); math.Abs(got-want) > 2.5 {
		t.Errorf("%.1f %% errors, want %v", got, want)
	}
}

func TestAPauseEndsWithItsEvent(t *testing.T) {
	s := parse(t, `
rate: 50
cost: {kind: constant, mean: 5ms}
warmup: 0s
duration: 10s
deadline: 9s
servers: [{}]
clients: [{}]
events: [{at: 1s, for: 2s, servers: "0", do: pause, every: 1500ms, burst: 1500ms}]
`)
	// From 1 s it pauses until 3 s, and not longer: who comes first waits for 2 s.
	if most := run(t, s, "round_robin", 1).Answers.Quantile(1) / 1e9; most < 1.9 || most > 2.3 {
		t.Errorf("the longest call took %.2f s", most)
	}
}

func TestServersThatJoinHaveNothingBeforeAndTheirShareAfter(t *testing.T) {
	s := parse(t, `
rate: 200
cost: {kind: constant, mean: 5ms}
warmup: 0s
duration: 10s
servers: [{count: 1}, {group: late, count: 1}]
clients: [{count: 2}]
events: [{at: 5s, servers: late, do: join}]
`)
	r := run(t, s, "round_robin", 3)
	near(t, "server 1's part of the work", r.Busy[1]/(r.Busy[0]+r.Busy[1]), 0.25, 0.06)
	near(t, "server 1's part of the time", r.There[1], 0.5, 0.001)
	if r.Errors > 0 {
		t.Errorf("%d errors", r.Errors)
	}
}

func TestArrivalsFollowTheirShape(t *testing.T) {
	s := parse(t, `
rate: 1000
cost: {kind: constant, mean: 1ms}
warmup: 10s
duration: 10s
servers: [{count: 4}]
clients: [{count: 5}]
arrivals: [{at: 0s, factor: 1}, {at: 10s, factor: 1}, {at: 20s, factor: 3}]
`)
	near(t, "calls in the span that goes from 1,000/s to 3,000/s", float64(run(t, s, "round_robin", 1).Requests), 20_000, 0.03)
}

func TestClientsOfASubsetUseItAlone(t *testing.T) {
	s := parse(t, `
rate: 1000
cost: {kind: constant, mean: 1ms}
duration: 5s
servers: [{count: 10}]
clients: [{count: 1, subset: 3}]
`)
	used := 0
	for _, b := range run(t, s, "round_robin", 1).Busy {
		if b > 0 {
			used++
		}
	}
	if used != 3 {
		t.Errorf("%d servers were used, want 3", used)
	}
}

func TestARunAllocatesNothingPerCall(t *testing.T) {
	if raceEnabled {
		t.Skip("nothing here is concurrent: run without the race detector")
	}
	s, err := scenario.Builtin("two-speed")
	if err != nil {
		t.Fatal(err)
	}
	short, long := *s, *s
	short.Warmup, short.Duration, long.Warmup, long.Duration = 1e9, 3e9, 1e9, 9e9
	allocations := func(s *scenario.Scenario) (mallocs, calls uint64) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r := run(t, s, "choice_of_two", 1)
		runtime.ReadMemStats(&after)
		return after.Mallocs - before.Mallocs, r.Requests
	}
	allocations(&short)
	a, n := allocations(&short)
	b, m := allocations(&long)
	// Each client looks at its fleet ten times a second, and notes what it saw.
	looks := uint64(10 * (long.Duration - short.Duration).Seconds() * float64(s.Clients[0].Count))
	if perCall := float64(b-a-looks) / float64(m-n); b > a+looks && perCall > 0.01 {
		t.Errorf("%.3f allocations a call", perCall)
	}
}

// A deadline of an hour does not make a run an hour longer.
func TestARunEndsWhenAllThatIsMeasuredHasEnded(t *testing.T) {
	s := parse(t, `
rate: 1000
cost: {kind: constant, mean: 1ms}
warmup: 0s
duration: 1s
deadline: 1h
servers: [{}]
clients: [{}]
`)
	l := &listener{}
	r, err := sim.Run(context.Background(), s, l, sim.Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if r.Answers.Count() != r.Requests || r.Errors > 0 || len(r.Busy) != 1 {
		t.Errorf("%d of %d calls were answered", r.Answers.Count(), r.Requests)
	}
	if after := l.codes[sim.OK] - int(r.Requests); after > 100 {
		t.Errorf("%d calls were simulated that nobody counts", after)
	}
}

func TestACancelledContextStopsTheRun(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s, _ := scenario.Builtin("two-speed")
	p, _ := policy.Select("round_robin", nil)
	if _, err := sim.Run(ctx, s, p[0].Policy, sim.Options{}); err != context.Canceled {
		t.Errorf("the error is %v", err)
	}
}

// BenchmarkRequests says how many calls a minute one core simulates, with 50
// servers.
func BenchmarkRequests(b *testing.B) {
	s, err := scenario.Builtin("two-speed")
	if err != nil {
		b.Fatal(err)
	}
	for _, name := range []string{"choice_of_two", "choice_of_two_probing", "round_robin", "peak_ewma", "prequal"} {
		b.Run(name, func(b *testing.B) {
			calls := 0.0
			for i := range b.N {
				r := run(b, s, name, uint64(i+1))
				// What is before the measured span is simulated too.
				calls += float64(r.Requests) * (s.Warmup + s.Duration).Seconds() / s.Duration.Seconds()
			}
			b.ReportMetric(calls/b.Elapsed().Minutes()/1e6, "Mreq/min")
		})
	}
}
