package choiceoftwo

import (
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/codes"
)

func newExplainedMesh(t *testing.T, n int) (*mesh, *Explainer) {
	x := NewExplainer(100)
	explained = x
	t.Cleanup(func() { explained = nil })
	return newMesh(t, Config{}, n), x
}

func TestNothingIsRecordedUnlessAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, x := newExplainedMesh(t, 2)
		m.calls(20)
		if got := len(x.Decisions()); got != 0 {
			t.Errorf("%d decisions are recorded", got)
		}
		x.SampleOneIn(1)
		m.calls(20)
		x.SampleOneIn(0)
		m.calls(20)
		if got := len(x.Decisions()); got != 20 {
			t.Errorf("%d decisions are recorded of 20", got)
		}
	})
}

func TestDecisionsTellWhereCallsWentAndWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, x := newExplainedMesh(t, 3)
		m.server("s2").answer(fails(codes.Unavailable))
		for range 30 {
			_ = m.call(time.Second)
			time.Sleep(10 * time.Millisecond)
		}
		var heard []*Decision
		x.OnDecision(func(d *Decision) { heard = append(heard, d) })
		x.SampleOneIn(1)
		before := m.counted(0)
		for name, s := range m.servers {
			before[name] = s.calls.Load()
		}
		m.calls(50)
		x.SampleOneIn(0)
		decisions := x.Decisions()
		if len(decisions) != 50 || len(heard) != 50 || heard[49] != decisions[0] {
			t.Fatalf("%d decisions, %d heard", len(decisions), len(heard))
		}
		won, failing := map[string]int64{}, 0
		for _, d := range decisions {
			won[d.Winner]++
			if d.Target != "test:///service" || d.Method != "/test.Service/Unary" || d.ReadyEndpoints != 3 || d.Time.IsZero() {
				t.Errorf("it is about another call: %+v", d)
			}
			for _, c := range d.Candidates {
				if c.Verdict == Won && c.Endpoint != d.Winner {
					t.Errorf("%q won, but %+v", d.Winner, c)
				}
				if c.Endpoint == "s2" {
					failing++
					if c.OwnErrorRatePercent <= 0 && c.Verdict != PassedOver {
						t.Errorf("nothing tells that it fails: %+v", c)
					}
				}
			}
		}
		for name, s := range m.servers {
			if got := s.calls.Load() - before[name]; got != won[name] {
				t.Errorf("%s got %d calls, and won %d decisions", name, got, won[name])
			}
		}
		if won["s2"] > 0 || failing == 0 {
			t.Errorf("the failing endpoint won %d times of the %d that it was looked at", won["s2"], failing)
		}
	})
}

func TestOnlyTheLastDecisionsAreKept(t *testing.T) {
	x := NewExplainer(3)
	for _, method := range []string{"a", "b", "c", "d"} {
		x.record(&Decision{Method: method})
	}
	got := x.Decisions()
	if len(got) != 3 || got[0].Method != "d" || got[2].Method != "b" {
		t.Errorf("%d are kept", len(got))
	}
}

func TestPickAndDoneAllocateNothingWithAnExplainerThatIsOff(t *testing.T) {
	if raceEnabled {
		t.Skip("under the race detector sync.Pool drops what it is given")
	}
	withBuilder(t, NewBuilder(WithExplainer(NewExplainer(10))))
	p := readyPolicy(t, Name, "{}", 10)
	done := balancer.DoneInfo{BytesSent: true, BytesReceived: true, ServerLoad: report(1)}
	if allocs := testing.AllocsPerRun(1000, func() {
		r, err := p.Pick(balancer.PickInfo{FullMethodName: "/test.Service/Unary"})
		if err != nil {
			t.Fatal(err)
		}
		r.Done(done)
	}); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}
