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
			for seed := range uint64(2) {
				for _, name := range []string{Ours, OursProbing} {
					r := simulate(t, s, model(t, name), sim.Options{Seed: seed})
					sum := 0.0
					for _, b := range r.Busy {
						sum += b
					}
					if share := r.Busy[0] / sum * 10; share > 2 {
						t.Errorf("%s, %s times %v or its inverse: the server has %.2f times its fair share", name, field, factor, share)
					}
				}
			}
		}
	}
}

func TestEveryServerIsUsed(t *testing.T) {
	if raceEnabled {
		t.Skip("nothing here is concurrent: run without the race detector")
	}
	for _, name := range []string{"two-speed", "silent", "light-load"} {
		// At light load, 20 picks a server and client take 13 s; where the fast
		// servers are idle, the slow ones are rightly asked but rarely.
		s := shorter(t, name, 13*time.Second)
		for i, b := range simulate(t, s, model(t, Ours), sim.Options{Seed: 1}).Busy {
			if b == 0 {
				t.Errorf("%s: server %d had nothing to do", name, i)
			}
		}
	}
}
