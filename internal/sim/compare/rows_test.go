package compare

import (
	"testing"

	"github.com/evenkeel/evenkeel/internal/sim/policy"
)

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
