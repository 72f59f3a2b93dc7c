package policy

import (
	"context"
	"testing"

	"github.com/evenkeel/evenkeel/internal/sim"
	"github.com/evenkeel/evenkeel/internal/sim/scenario"
)

// The limit of a scenario must be one that a policy can be measured by, also where
// no server is well.
func TestWhereAllServersFailAFewCallsTheOraclesStillUseAll(t *testing.T) {
	for _, event := range []string{
		"{at: 0s, servers: all, do: fail_slow, share: 0.02}",
		"{at: 0s, servers: all, do: fail_fast, share: 0.02}",
		"{at: 0s, servers: 0-2, do: fail_slow, share: 0.02}", // the others alone would be over their ears
		"{at: 1s, for: 1s, servers: all, do: freeze}",
	} {
		s, err := scenario.Parse("all-fail.yaml", []byte("name: all-fail\nload: 0.7\nwarmup: 1s\nduration: 8s\nservers: [{count: 4}]\nclients: [{count: 3}]\nevents: ["+event+"]\n"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"oracle_jsq", "oracle_lwl"} {
			r := simulate(t, s, model(t, name), sim.Options{Seed: 1})
			for i, busy := range r.Busy {
				if busy < 0.45 {
					t.Errorf("%s, %s: server %d is busy %.2f", event, name, i, busy)
				}
			}
			if median := r.All.Quantile(0.5) / float64(r.Unit); median > 3 || r.ErrorPercent() > 3 {
				t.Errorf("%s, %s: the median is %.1f, and %.1f %% fail", event, name, median, r.ErrorPercent())
			}
		}
	}
}

// While a server is away its queue is empty. That does not make it attractive to who
// knows everything, though clients have not yet heard of it.
func TestTheOraclesDoNotSendToAServerThatIsAway(t *testing.T) {
	s, err := scenario.Parse("killed.yaml", []byte(`
name: killed
load: 0.4
warmup: 0s
duration: 4s
network: {delay: 20ms}
servers: [{count: 4}]
clients: [{count: 3}]
events: [{at: 2s, servers: "0", do: restart}]
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"oracle_jsq", "oracle_lwl"} {
		p := &counting{Policy: model(t, name)}
		if _, err := sim.Run(context.Background(), s, p, sim.Options{Seed: 1}); err != nil {
			t.Fatal(err)
		}
		if p.picked > 0 {
			t.Errorf("%s sent %d calls to a server that was killed", name, p.picked)
		}
	}
}

// counting counts the picks of server 0 from when it was killed, at 2 s.
type counting struct {
	sim.Policy
	picked int
}

type countingBalancer struct {
	sim.Balancer
	policy *counting
}

func (c *counting) New(env sim.Env) sim.Balancer { return &countingBalancer{c.Policy.New(env), c} }

func (b *countingBalancer) Pick(now int64) (int32, int32) {
	server, call := b.Balancer.Pick(now)
	if server == 0 && now > 2e9+1 {
		b.policy.picked++
	}
	return server, call
}
