package policy

import (
	"context"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	_ "google.golang.org/grpc/balancer/leastrequest"
	_ "google.golang.org/grpc/balancer/roundrobin"
	_ "google.golang.org/grpc/balancer/weightedroundrobin"

	"github.com/evenkeel/evenkeel/balancer/choiceoftwo"
	"github.com/evenkeel/evenkeel/internal/sim"
	"github.com/evenkeel/evenkeel/internal/sim/drive"
	"github.com/evenkeel/evenkeel/internal/sim/scenario"
)

// shorter is a built-in scenario that is measured for less time.
func shorter(t testing.TB, name string, d time.Duration) *scenario.Scenario {
	t.Helper()
	s, err := scenario.Builtin(name)
	if err != nil {
		t.Fatal(err)
	}
	changed := *s
	changed.Duration = d
	// Of what happens, that is kept which begins in the time that is left.
	changed.Events = slices.DeleteFunc(slices.Clone(s.Events), func(e scenario.Event) bool { return e.At >= s.Warmup+d })
	return &changed
}

func simulate(t testing.TB, s *scenario.Scenario, p sim.Policy, o sim.Options) *sim.Result {
	t.Helper()
	r, err := sim.Run(context.Background(), s, p, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func model(t testing.TB, name string) sim.Policy {
	t.Helper()
	p, err := Select(name, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p[0].Policy
}

// grpc-go's policies decide what real calls meet. What the simulator runs in
// their stead must fare the same on the same calls; for the module's own it
// also shows that nothing between gRPC and the core changes the picture.
func TestGRPCsOwnPoliciesAgreeWithTheirModels(t *testing.T) {
	for _, c := range []struct{ model, real, config string }{
		{"round_robin", "round_robin", "{}"},
		{"least_request", "least_request_experimental", `{"choiceCount":2}`},
		{"weighted_round_robin", "weighted_round_robin", "{}"},
		{Ours, choiceoftwo.Name, "{}"},
	} {
		for _, name := range []string{"homogeneous", "two-speed", "fail-fast", "rolling-restart", "drain"} {
			t.Run(c.model+"/"+name, func(t *testing.T) {
				const seed = 1
				s := shorter(t, name, 6*time.Second)
				switch name {
				case "fail-fast", "drain":
					s = shorter(t, name, 12*time.Second)
					s.Events[0].At, s.Events[0].For = 11*time.Second, 5*time.Second
				case "rolling-restart":
					s = shorter(t, name, 24*time.Second)
					for i := range s.Events { // cold ones are a matter of luck to those who look at no speed
						s.Events[i].Speed, s.Events[i].ColdFor = 0, 0
					}
				}
				if raceEnabled {
					// Enough for races to be seen, and too little for quantiles.
					s.Warmup, s.Duration = time.Second/2, time.Second/2
				}
				modelled := simulate(t, s, model(t, c.model), sim.Options{Seed: seed})
				var really *sim.Result
				synctest.Test(t, func(t *testing.T) {
					p := drive.New(c.real, c.config, t.Fatalf)
					defer p.Close()
					really = simulate(t, s, p, sim.Options{Seed: seed, Clock: p.Clock})
				})
				if modelled.Requests != really.Requests {
					t.Fatalf("%d and %d calls: not the same", modelled.Requests, really.Requests)
				}
				if !raceEnabled {
					agree(t, modelled, really)
				}
			})
		}
	}
}

// agree fails unless two results of the same calls are alike: they differ only
// by what the policies draw at random.
func agree(t *testing.T, a, b *sim.Result) {
	t.Helper()
	for _, q := range []struct{ quantile, within float64 }{{0.5, 0.06}, {0.9, 0.1}, {0.99, 0.15}} {
		x, y := a.Answers.Quantile(q.quantile), b.Answers.Quantile(q.quantile)
		t.Logf("p%v: the model's %.2f, the real one's %.2f mean service times", 100*q.quantile, x/float64(a.Unit), y/float64(a.Unit))
		if math.Abs(x/y-1) > q.within {
			t.Errorf("p%v differs by more than %v %%", 100*q.quantile, 100*q.within)
		}
	}
	if x, y := a.ErrorPercent(), b.ErrorPercent(); math.Abs(x-y) > 0.1+0.15*max(x, y) {
		t.Errorf("errors: the model's %.3f %%, the real one's %.3f %%", x, y)
	}
	for half := range 2 {
		if x, y := busy(a, half), busy(b, half); math.Abs(x-y) > 0.03 {
			t.Errorf("half %d of the servers is busy %.2f with the model and %.2f with the real one", half, x, y)
		}
	}
}

// busy is the mean utilization of one half of the servers.
func busy(r *sim.Result, half int) float64 {
	n := len(r.Busy) / 2
	sum := 0.0
	for _, b := range r.Busy[half*n : half*n+n] {
		sum += b
	}
	return sum / float64(n)
}
