package search

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/internal/sim"
	"github.com/evenkeel/evenkeel/internal/sim/policy"
	"github.com/evenkeel/evenkeel/internal/sim/scenario"
)

func TestADrawIsAFileThatReadsAsTheSame(t *testing.T) {
	if raceEnabled {
		t.Skip("nothing here is concurrent: run without the race detector")
	}
	for i := range 300 {
		s := Draw(7, i)
		again, err := scenario.Parse("draw.yaml", s.YAML())
		if err != nil {
			t.Fatalf("%v\n%s", err, s.YAML())
		}
		if !reflect.DeepEqual(s, again) {
			t.Fatalf("it is read as another:\n%s", s.YAML())
		}
		if !reflect.DeepEqual(s, Draw(7, i)) {
			t.Fatalf("draw %d is not always the same", i)
		}
	}
}

func TestDrawsReachAllOverTheRanges(t *testing.T) {
	if raceEnabled {
		t.Skip("nothing here is concurrent: run without the race detector")
	}
	texts := new(strings.Builder)
	reach := map[string][2]float64{}
	see := func(name string, value float64) {
		r, ok := reach[name]
		if !ok {
			r = [2]float64{value, value}
		}
		reach[name] = [2]float64{min(r[0], value), max(r[1], value)}
	}
	for i := range 3000 {
		s := Draw(1, i)
		texts.Write(s.YAML())
		see("servers", float64(s.Total()))
		see("clients", float64(s.TotalClients()))
		see("load", s.Load)
		see("delay", s.Network.Delay.Seconds())
		see("cost", s.Cost.MeanTime().Seconds())
		for _, g := range s.Servers {
			see("workers", float64(g.Workers))
		}
		if calls := s.CallRate() * (s.Warmup + s.Duration).Seconds(); calls > mostCalls {
			t.Errorf("draw %d has %.0f calls", i, calls)
		}
	}
	for name, want := range map[string][2]float64{
		"servers": {2, 900}, "clients": {1, 950}, "load": {0.07, 1.03}, "workers": {1, 63},
		"delay": {0.00011, 0.0195}, "cost": {0.0012, 4.7},
	} {
		if got := reach[name]; got[0] > want[0] || got[1] < want[1] {
			t.Errorf("%s: from %v to %v, want from %v to %v at least", name, got[0], got[1], want[0], want[1])
		}
	}
	for _, word := range []string{
		"pareto", "bimodal", "exponential", "constant", "recorded",
		"slow_down", "freeze", "fail_fast", "fail_slow", "join", "drain", "restart", "pause", "antagonist",
		"out_of_band", "per_call: false", "refresh", "wrong: {servers", "wrong: {reports", "omit", "-silent",
		"zones", "subset", "share", "arrivals", "jitter", "queue", "uptime",
	} {
		if !strings.Contains(texts.String(), word) {
			t.Errorf("no draw has %q", word)
		}
	}
}

// as is a policy under our name.
func as(t *testing.T, name string) policy.Named {
	t.Helper()
	p, err := policy.Select(name, nil)
	if err != nil {
		t.Fatal(err)
	}
	p[0].Name = policy.Ours
	return p[0]
}

func peers(t *testing.T, names string) []policy.Named {
	t.Helper()
	p, err := policy.Select(names, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func small(t *testing.T, text string) *scenario.Scenario {
	t.Helper()
	s, err := scenario.Parse("small.yaml", []byte(`
name: small
warmup: 1s
duration: 3s
servers: [{count: 5}, {count: 5, speed: 0.4}]
clients: [{count: 1}]
`+text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func find(t *testing.T, s *scenario.Scenario, policies ...policy.Named) ([]Loss, Summary) {
	t.Helper()
	var losses []Loss
	summary, err := Run(context.Background(), policies, Options{
		Scenarios: []*scenario.Scenario{s},
		Found:     func(l Loss) { losses = append(losses, l) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return losses, summary
}

func TestAPolicyThatDoesNotSeeSlowServersLosesToOneThatDoes(t *testing.T) {
	losses, summary := find(t, small(t, "load: 0.8"), append(peers(t, "peak_ewma,prequal,oracle_jsq"), as(t, "round_robin"))...)
	if len(losses) != 3 || summary.Losing != 1 {
		t.Fatalf("%+v, %+v; want p99, p50 and errors", losses, summary)
	}
	for _, l := range losses {
		if l.Peer != "peak_ewma" {
			t.Errorf("lost to %s, which knows more", l.Peer)
		}
		if l.First.Seeds != look || l.Again.Seeds != look || l.First.Peers == l.Again.Peers {
			t.Errorf("%s: %+v and %+v are not of seeds of their own", l.Measure, l.First, l.Again)
		}
		if _, itself := l.Beside[l.Measure]; itself || len(l.Beside) != 3 {
			t.Errorf("%s: beside it are %v", l.Measure, l.Beside)
		}
	}
}

func TestWhoIsBetterOrAsGoodDoesNotLose(t *testing.T) {
	for _, ours := range []string{"peak_ewma", "round_robin"} {
		if losses, summary := find(t, small(t, "load: 0.8"), append(peers(t, "round_robin"), as(t, ours))...); len(losses) > 0 || summary.Losing > 0 {
			t.Errorf("%s: %+v", ours, losses)
		}
	}
}

func TestAboveFullLoadGoodputIsCompared(t *testing.T) {
	losses, _ := find(t, small(t, "load: 1.05"), append(peers(t, "peak_ewma"), as(t, "round_robin"))...)
	if len(losses) != 1 || losses[0].Measure != "goodput" {
		t.Errorf("%+v", losses)
	}
}

func TestASearchEndsWithItsContextAndItsTime(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	policies := append(peers(t, "round_robin"), as(t, "peak_ewma"))
	if s, err := Run(ctx, policies, Options{}); err != nil || s.Scenarios > 0 {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err := Run(context.Background(), policies, Options{Until: time.Now()}); err != nil || s.Scenarios > 0 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestOursAndAPeerMustBeThere(t *testing.T) {
	for _, policies := range [][]policy.Named{nil, peers(t, "round_robin"), {as(t, "peak_ewma")}, append(peers(t, "prequal"), as(t, "peak_ewma"))} {
		if _, err := Run(context.Background(), policies, Options{Draws: 1}); err == nil {
			t.Errorf("%d policies: no error", len(policies))
		}
	}
}

func TestEachPeerIsComparedWithThatOfOursThatKnowsNoMoreThanNeedBe(t *testing.T) {
	compared := func(names string) map[string]string {
		with := make(map[string]string)
		for _, m := range pair(peers(t, names)) {
			with[m.peer.Name] = m.ours.Name
		}
		return with
	}
	got := compared("prequal,weighted_round_robin,choice_of_two_probing,choice_of_two,round_robin,oracle_lwl")
	want := map[string]string{
		"prequal": "choice_of_two_probing", "weighted_round_robin": "choice_of_two", "round_robin": "choice_of_two",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	want = map[string]string{"prequal": "choice_of_two_probing", "round_robin": "choice_of_two_probing"}
	if got := compared("prequal,choice_of_two_probing,round_robin"); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// Nothing is worse than no answer at all, though it has no ratio to anything.
func TestNoAnswerAtAllIsALoss(t *testing.T) {
	none, some := make([]*sim.Result, look), make([]*sim.Result, look)
	for i := range look {
		none[i], some[i] = &sim.Result{Span: time.Second}, &sim.Result{Span: time.Second}
		some[i].Answers.Add(int64(time.Millisecond))
	}
	m := &goodput[0]
	if c := m.compare(none, some); !m.loses(c) {
		t.Errorf("no answers beside one are no loss: %+v", c)
	}
	if c := m.compare(none, none); m.loses(c) {
		t.Errorf("no answers beside none are a loss: %+v", c)
	}
}
