package compare

import (
	"math"
	"testing"

	"github.com/evenkeel/evenkeel/internal/sim"
	"github.com/evenkeel/evenkeel/internal/sim/policy"
)

func TestAServerThatWasNotThereIsNotOneThatWasLittleUsed(t *testing.T) {
	for _, c := range []struct {
		busy, there []float64
		want        float64
	}{
		{[]float64{0.6, 0.6, 0.3, 0}, []float64{1, 1, 0.5, 0}, 0},
		{[]float64{0.9, 0.3}, []float64{1, 1}, 0.5},
		{[]float64{0, 0}, []float64{1, 1}, 0},
		{[]float64{0, 0}, []float64{0, 0}, 0},
	} {
		if got := spread(&sim.Result{Busy: c.busy, There: c.there}); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%v of %v: %v, want %v", c.busy, c.there, got, c.want)
		}
	}
}

func TestPeersKnowNoMoreAndAreNotOursToo(t *testing.T) {
	named, err := policy.Select("all", nil)
	if err != nil {
		t.Fatal(err)
	}
	of := make(map[string]*cell)
	for _, p := range named {
		of[p.Name] = &cell{policy: p}
	}
	for _, c := range []struct {
		name, other string
		want        bool
	}{
		{policy.Ours, "round_robin", true},
		{policy.Ours, "weighted_round_robin", true},
		{policy.Ours, "prequal", false}, // it probes
		{policy.Ours, policy.OursProbing, false},
		{policy.OursProbing, "prequal", true},
		{policy.OursProbing, "weighted_round_robin", true},
		{policy.OursProbing, policy.Ours, false},
		{policy.OursProbing, "oracle_jsq", false},
		{"prequal", policy.OursProbing, false}, // it reads reports
		{"prequal", "round_robin", true},
		{"weighted_round_robin", policy.Ours, true},
		{"round_robin", "round_robin", false},
	} {
		if got := of[c.name].isPeer(of[c.other]); got != c.want {
			t.Errorf("%s is a peer of %s: %v, want %v", c.other, c.name, got, c.want)
		}
	}
}
