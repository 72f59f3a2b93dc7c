package policy

import (
	"encoding/json"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/internal/sim"
)

func TestProbesAreSentIfAskedForAndWithinTheirBudget(t *testing.T) {
	if raceEnabled {
		t.Skip("nothing here is concurrent: run without the race detector")
	}
	for _, c := range []struct {
		policy, config string
		least, most    float64 // probes a call
		evidence       Evidence
	}{
		{Ours, "", 0, 0, Calls | Reports},
		{Ours, `{"probesPerCall": 0.5}`, 0.49, 0.5, Calls | Reports | Probes},
		{OursProbing, "", 0.98, 1, Calls | Reports | Probes},
		{OursProbing, `{"probesPerCall": 0.25}`, 0.24, 0.25, Calls | Reports | Probes},
	} {
		selected, err := Select(c.policy, json.RawMessage(c.config))
		if err != nil {
			t.Fatal(err)
		}
		p := selected[0]
		if p.Evidence != c.evidence {
			t.Errorf("%s %s: its evidence is %b, want %b", c.policy, c.config, p.Evidence, c.evidence)
		}
		// Its clients are so quiet that they have no fresh news.
		r := simulate(t, shorter(t, "two-speed-quiet-clients", 3*time.Second), p.Policy, sim.Options{Seed: 1})
		if got := float64(r.Probes) / float64(r.Requests); got < c.least || got > c.most+0.001 {
			t.Errorf("%s %s: %.3f probes a call, want %v to %v", c.policy, c.config, got, c.least, c.most)
		}
	}
}

func TestProbesThatAreLostAreGivenUp(t *testing.T) {
	env := sim.Env{Servers: 2, Random: rand.New(rand.NewPCG(1, 1))}
	b := model(t, OursProbing).New(env).(*oursProbing)
	now := int64(1)
	b.Update(now, []int32{0, 1}, []int32{0, 1})
	probes := 0
	for range 100 {
		now += int64(100 * time.Millisecond)
		_, call := b.Pick(now)
		probes += len(b.Probes(now))
		b.Done(now, call, &sim.Outcome{Code: sim.OK, Heard: true})
	}
	// Each of the two servers is given a second to answer, and another as a pause.
	if probes < 6 || probes > 10 {
		t.Errorf("%d probes in 10 s, of which none is answered", probes)
	}
}
