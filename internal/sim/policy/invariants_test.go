package policy

import (
	"fmt"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/internal/sim"
	"github.com/evenkeel/evenkeel/internal/sim/scenario"
)

func TestAServerThatMisreportsAttractsAtMostTwiceItsFairShare(t *testing.T) {
	if raceEnabled {
		t.Skip("nothing here is concurrent: run without the race detector")
	}
	for _, factor := range []float64{0.01, 0.25, 4} {
		for _, field := range []string{"utilization", "in_flight", "rps"} {
			text := fmt.Sprintf(`
name: liar
load: 0.4
warmup: 2s
duration: 4s
servers:
  - {count: 1, reports: {wrong: {servers: 1, by: [%v, %v], fields: [%s]}}}
  - {count: 9}
clients: [{count: 5}]
`, factor, factor, field)
			s, err := scenario.Parse("liar.yaml", []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{Ours, OursProbing} {
				mine, sum := 0.0, 0.0
				for seed := range uint64(3) { // of a few seconds, one may be unlucky
					r := simulate(t, s, model(t, name), sim.Options{Seed: seed})
					mine += r.Busy[0]
					for _, b := range r.Busy {
						sum += b
					}
				}
				if share := mine / sum * 10; share > 2 {
					t.Errorf("%s, %s times %v or its inverse: the server has %.2f times its fair share", name, field, factor, share)
				}
			}
		}
	}
}

func TestEveryServerIsUsed(t *testing.T) {
	if raceEnabled {
		t.Skip("nothing here is concurrent: run without the race detector")
	}
	// At light load, where the fast servers are idle, the slow ones are rightly left
	// alone until what is known of them has faded, which takes 30 s.
	for name, within := range map[string]time.Duration{
		"two-speed": 13 * time.Second, "silent": 13 * time.Second, "light-load": 30 * time.Second,
	} {
		s := shorter(t, name, within)
		for seed := range uint64(3) {
			for i, b := range simulate(t, s, model(t, Ours), sim.Options{Seed: seed}).Busy {
				if b == 0 {
					t.Errorf("%s: server %d had nothing to do", name, i)
				}
			}
		}
	}
}
