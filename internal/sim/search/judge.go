package search

import (
	"slices"

	"github.com/evenkeel/evenkeel/internal/sim"
	"github.com/evenkeel/evenkeel/internal/sim/scenario"
	"github.com/evenkeel/evenkeel/internal/sim/stat"
)

// measure is something that a policy can lose by.
type measure struct {
	name string
	// allowed is how much worse ours may be: a ratio or, for errors, percentage
	// points.
	allowed float64
	errors  bool // compared by its difference, and without an interval
	of      func(*sim.Result) float64
}

var (
	latencyAndErrors = []measure{
		{name: "p99", allowed: 1.05, of: quantile(0.99)},
		{name: "p50", allowed: 1.10, of: quantile(0.50)},
		{name: "error_pct", allowed: 0.05, errors: true, of: (*sim.Result).ErrorPercent},
	}
	// goodput is turned around, so that more is worse as for the others.
	goodput = []measure{{name: "goodput", allowed: 1.02, of: func(r *sim.Result) float64 { return 1 / max(r.Goodput(), least(r)) }}}
)

// least stands for a goodput of none, which has no ratio to others: half an answer.
func least(r *sim.Result) float64 { return 0.5 / r.Span.Seconds() }

func quantile(q float64) func(*sim.Result) float64 {
	return func(r *sim.Result) float64 { return r.All.Quantile(q) / float64(r.Unit) }
}

// measures are what counts in a scenario: where more is asked of the servers
// than they can do, how much they do.
func measures(s *scenario.Scenario) []measure {
	if s.Load > 1 || s.Load == 0 && s.Offered() > 1 {
		return goodput
	}
	return latencyAndErrors
}

// Comparison is of paired runs: the geometric mean of our figure over theirs
// or, for errors, the mean difference in percentage points.
type Comparison struct {
	Value float64    `json:"value"`
	CI    [2]float64 `json:"ci"` // of 99 % confidence
	Ours  float64    `json:"ours"`
	Peers float64    `json:"peers"`
	Seeds int        `json:"seeds"`
}

func (m *measure) compare(ours, theirs []*sim.Result) Comparison {
	a, b := m.each(ours), m.each(theirs)
	compare := stat.Ratio
	if m.errors {
		compare = stat.Difference
	}
	value, ci := compare(a, b)
	c := Comparison{Value: value, CI: [2]float64{ci.Low, ci.High}, Seeds: len(ours)}
	c.Ours, _ = stat.Mean(a)
	c.Peers, _ = stat.Mean(b)
	return c
}

// beside compares by all measures but one.
func beside(m *measure, ours, theirs []*sim.Result) map[string]Comparison {
	all := map[string]Comparison{}
	for _, other := range append(slices.Clone(latencyAndErrors), goodput...) {
		if other.name != m.name {
			all[other.name] = other.compare(ours, theirs)
		}
	}
	return all
}

func (m *measure) each(results []*sim.Result) []float64 {
	values := make([]float64, len(results))
	for i, r := range results {
		values[i] = m.of(r)
	}
	return values
}

// suspicious tells whether a few runs look like a loss.
func (m *measure) suspicious(c Comparison) bool { return c.Value > m.allowed }

// loses tells whether it is one.
func (m *measure) loses(c Comparison) bool {
	return c.Value > m.allowed && (m.errors || c.CI[0] > 1)
}
