package compare

import (
	"math"

	"github.com/evenkeel/evenkeel/internal/sim"
	"github.com/evenkeel/evenkeel/internal/sim/policy"
	"github.com/evenkeel/evenkeel/internal/sim/stat"
)

// rowsOf makes the rows of the cells of one scenario.
func rowsOf(cells []*cell) []Row {
	var rows []Row
	for _, c := range cells {
		if c.shown {
			rows = append(rows, c.row(cells))
		}
	}
	return rows
}

func (c *cell) row(all []*cell) Row {
	p99 := c.quantiles(0.99)
	r := Row{
		Scenario: c.scenario.Name, Policy: c.policy.Name, Seeds: len(c.results),
		P50: mean(c.quantiles(0.5)), P90: mean(c.quantiles(0.9)), P999: mean(c.quantiles(0.999)),
		P99OK:             known(mean(c.each(func(r *sim.Result) float64 { return r.Answers.Quantile(0.99) / float64(r.Unit) }))),
		ErrorPct:          mean(c.errors()),
		GoodputRPS:        mean(c.each((*sim.Result).Goodput)),
		UtilizationSpread: mean(c.each(spread)),
	}
	if len(c.scenario.Network.Zones) > 0 {
		r.NearPct = known(mean(c.each(near)))
	}
	var ci stat.Interval
	r.P99, ci = stat.Positive(p99)
	r.P99CI = interval(ci)
	probes := uint64(0)
	merged := new(stat.Histogram)
	for _, x := range c.results {
		r.Requests += x.Requests
		probes += x.Probes
		merged.Merge(&x.All)
	}
	r.ProbesPerRequest = float64(probes) / float64(max(r.Requests, 1))
	r.Detail = &Detail{All: merged, Unit: float64(c.results[0].Unit), First: c.results[0]}

	if o := best(all, func(x *cell) bool { return x.policy.Evidence&policy.Truth != 0 }); o != nil {
		r.OracleRatio, r.OracleRatioCI = c.over(o)
	}
	if peer := best(all, c.isPeer); peer != nil {
		r.BestPeer = &peer.policy.Name
		r.BestPeerRatio, r.BestPeerRatioCI = c.over(peer)
	}
	return r
}

// isPeer tells whether another policy may be compared with this one: it is no
// oracle and knows no more. The module's own, with probing and without, are no
// peers of each other.
func (c *cell) isPeer(other *cell) bool {
	both := c.policy.IsOurs() && other.policy.IsOurs()
	return other != c && !both && other.policy.Evidence&policy.Truth == 0 && other.policy.Within(c.policy)
}

// best is, of the cells that are wanted, that with the lowest p99.
func best(cells []*cell, wanted func(*cell) bool) *cell {
	var b *cell
	least := math.Inf(1)
	for _, c := range cells {
		if !wanted(c) {
			continue
		}
		if p := mean(c.quantiles(0.99)); p < least {
			b, least = c, p
		}
	}
	return b
}

// over is the ratio of the mean p99s, with the interval of the paired ratios.
func (c *cell) over(other *cell) (*float64, *[2]float64) {
	a, b := c.quantiles(0.99), other.quantiles(0.99)
	_, ci := stat.Ratio(a, b)
	return known(mean(a) / mean(b)), interval(ci)
}

func (c *cell) each(f func(*sim.Result) float64) []float64 {
	values := make([]float64, len(c.results))
	for i, r := range c.results {
		values[i] = f(r)
	}
	return values
}

func (c *cell) quantiles(q float64) []float64 {
	return c.each(func(r *sim.Result) float64 { return r.All.Quantile(q) / float64(r.Unit) })
}

func (c *cell) errors() []float64 { return c.each((*sim.Result).ErrorPercent) }

func mean(values []float64) float64 {
	m, _ := stat.Mean(values)
	return m
}

// spread is of the time in which each server was there: one that joins late is not a
// server that is little used.
func spread(r *sim.Result) float64 {
	used := make([]float64, 0, len(r.Busy))
	for i, b := range r.Busy {
		if r.There[i] > 0 {
			used = append(used, b/r.There[i])
		}
	}
	m := mean(used)
	squares := 0.0
	for _, u := range used {
		squares += (u - m) * (u - m)
	}
	if m == 0 || len(used) == 0 {
		return 0
	}
	return math.Sqrt(squares/float64(len(used))) / m
}

// near is the share of answers that came from the client's own zone, in percent.
func near(r *sim.Result) float64 { return 100 * float64(r.Near) / float64(r.Answers.Count()) }

// known is nil for what JSON cannot say.
func known(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}

func interval(ci stat.Interval) *[2]float64 {
	if known(ci.Low) == nil || known(ci.High) == nil {
		return nil
	}
	return &[2]float64{ci.Low, ci.High}
}
