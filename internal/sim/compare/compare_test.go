package compare

import (
	"context"
	"errors"
	"testing"

	"github.com/evenkeel/evenkeel/internal/sim"
	"github.com/evenkeel/evenkeel/internal/sim/policy"
	"github.com/evenkeel/evenkeel/internal/sim/scenario"
)

func TestWhenInterruptedTheScenariosThatWereDoneAreThere(t *testing.T) {
	var scenarios []*scenario.Scenario
	for _, name := range []string{"first", "second", "third"} {
		s, err := scenario.Parse("", []byte("name: "+name+"\nrate: 100\nwarmup: 0s\nduration: 1s\nservers: [{}]\nclients: [{}]\n"))
		if err != nil {
			t.Fatal(err)
		}
		scenarios = append(scenarios, s)
	}
	policies, err := policy.Select("round_robin", nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	policies[0].Policy = &impatient{policies[0].Policy, cancel, 0}
	rows, err := Run(ctx, scenarios, policies, Options{Seeds: 1, Parallel: 1})
	if !errors.Is(err, context.Canceled) || len(rows) != 1 || rows[0].Scenario != "first" || rows[0].OracleRatio == nil {
		t.Errorf("%v: %+v", err, rows)
	}
}

// impatient is a policy in whose second run the user loses patience.
type impatient struct {
	sim.Policy
	cancel context.CancelFunc
	runs   int
}

func (p *impatient) New(env sim.Env) sim.Balancer {
	if p.runs++; p.runs == 2 {
		p.cancel()
	}
	return p.Policy.New(env)
}
