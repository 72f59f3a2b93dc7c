package policy

import (
	"encoding/json"
	"testing"

	"github.com/evenkeel/evenkeel/internal/sim"
	"github.com/evenkeel/evenkeel/internal/sim/scenario"
)

// A config decides which codes count, in a simulation too: a server that fails by one
// that does not is not left alone.
func TestWhichCodesCountIsOfTheConfig(t *testing.T) {
	s, err := scenario.Parse("failing.yaml", []byte(`
name: failing
load: 0.4
warmup: 2s
duration: 4s
servers: [{count: 4}]
clients: [{count: 2}]
reports: {per_call: false} # they say how many calls fail, too
events: [{at: 1s, servers: "0", do: fail_fast}]
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		config      string
		least, most float64 // percent of errors
	}{
		{"", 0, 1},
		{`{"errorCodes": ["UNAVAILABLE"]}`, 0, 1},
		{`{"errorCodes": ["INTERNAL"]}`, 15, 100},
	} {
		p, err := Select(Ours, json.RawMessage(c.config))
		if err != nil {
			t.Fatal(err)
		}
		if got := simulate(t, s, p[0].Policy, sim.Options{Seed: 1}).ErrorPercent(); got < c.least || got > c.most {
			t.Errorf("%s: %.2f %% errors, want %v to %v", c.config, got, c.least, c.most)
		}
	}
}
