// Package compare runs scenarios under policies over many seeds, and says how
// the policies fare beside one another.
//
//	rows, err := compare.Run(ctx, scenarios, policies, compare.Options{Seeds: 10})
//	err = compare.WriteTable(os.Stdout, rows)
//
// The oracles are always run, for the limit. Runs of one seed see the same
// calls, so comparisons are of pairs.
package compare

import (
	"context"
	"fmt"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/evenkeel/evenkeel/internal/sim"
	"github.com/evenkeel/evenkeel/internal/sim/policy"
	"github.com/evenkeel/evenkeel/internal/sim/scenario"
	"github.com/evenkeel/evenkeel/internal/sim/stat"
)

// Options say how to compare. The zero value of a field stands for its default.
type Options struct {
	Seeds     int    // how many; default 5
	FirstSeed uint64 // the seeds are this and those that follow; default 1
	Parallel  int    // runs at a time; default one for each processor
	Bins      int    // spans of time for which loads are kept, of the first seed
	// Progress, if set, is called after each run, by one caller at a time.
	Progress func(done, total int)
}

// Row is how a policy fares in a scenario. Latencies are in mean service times,
// each the mean over the seeds; intervals have 99 % confidence.
type Row struct {
	Scenario string `json:"scenario"`
	Policy   string `json:"policy"`
	Seeds    int    `json:"seeds"`
	// Of all calls, those that failed counted at the deadline.
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	// P99OK is that of answers alone; nil if there were none.
	P99OK *float64 `json:"p99_ok"`
	// P99CI is of P99; nil with a single seed.
	P99CI    *[2]float64 `json:"p99_ci"`
	ErrorPct float64     `json:"error_pct"`
	Requests uint64      `json:"requests"` // over all seeds
	// OracleRatio is P99 over that of the better oracle; LWL or JSQ.
	OracleRatio   *float64    `json:"oracle_ratio"`
	OracleRatioCI *[2]float64 `json:"oracle_ratio_ci"`
	// BestPeer is, of the other policies compared that are no oracles and know
	// no more than this one, that with the lowest P99; nil if there is none.
	BestPeer        *string     `json:"best_peer"`
	BestPeerRatio   *float64    `json:"best_peer_ratio"`
	BestPeerRatioCI *[2]float64 `json:"best_peer_ratio_ci"`
	GoodputRPS      float64     `json:"goodput_rps"`
	// UtilizationSpread is the standard deviation of the servers' utilization
	// over its mean, each over the time in which it was there.
	UtilizationSpread float64 `json:"utilization_spread"`
	// NearPct is the percentage of answers that came from the client's own
	// zone; nil if there are no zones.
	NearPct *float64 `json:"near_pct"`
	// ProbesPerRequest is how many probes were sent for each call.
	ProbesPerRequest float64 `json:"probes_per_request"`

	Detail *Detail `json:"-"`
}

// Detail is what charts are drawn of.
type Detail struct {
	All   *stat.Histogram // of all seeds
	Unit  float64         // ns of a mean service time
	First *sim.Result     // of the first seed
}

// cell is all runs of a policy in a scenario.
type cell struct {
	scenario *scenario.Scenario
	policy   policy.Named
	shown    bool // not an oracle that runs only for the limit
	results  []*sim.Result
}

// Run compares. The rows are in the order of the scenarios and, within, of the
// policies. When the context ends it returns those of the scenarios that were done,
// and the error.
func Run(ctx context.Context, scenarios []*scenario.Scenario, policies []policy.Named, o Options) ([]Row, error) {
	if o.Seeds == 0 {
		o.Seeds = 5
	}
	if o.FirstSeed == 0 {
		o.FirstSeed = 1
	}
	if o.Parallel == 0 {
		o.Parallel = runtime.GOMAXPROCS(0)
	}
	cells, err := lay(scenarios, policies, o.Seeds)
	if err != nil {
		return nil, err
	}
	failure := runAll(ctx, cells, o)
	var rows []Row
	for len(cells) > 0 {
		n := 1
		for n < len(cells) && cells[n].scenario == cells[0].scenario {
			n++
		}
		done, err := complete(cells[:n])
		if err != nil {
			return nil, err
		}
		if done {
			rows = append(rows, rowsOf(cells[:n])...)
		}
		cells = cells[n:]
	}
	return rows, failure
}

// complete tells whether all runs of a scenario were done. It is an error if one had no
// calls, of which there is nothing to say.
func complete(cells []*cell) (bool, error) {
	for _, c := range cells {
		for _, r := range c.results {
			if r == nil {
				return false, nil
			}
			if r.Requests == 0 {
				return false, fmt.Errorf("%s: no call came in the %v that were measured: it must be longer, or have more calls", c.scenario.Name, r.Span)
			}
		}
	}
	return true, nil
}

// lay lists what is to be run: what was asked for, and the oracles.
func lay(scenarios []*scenario.Scenario, policies []policy.Named, seeds int) ([]*cell, error) {
	all, err := policy.All(nil)
	if err != nil {
		return nil, err
	}
	var cells []*cell
	for _, s := range scenarios {
		asked := map[string]bool{}
		for _, p := range policies {
			asked[p.Name] = true
			cells = append(cells, &cell{s, p, true, make([]*sim.Result, seeds)})
		}
		for _, p := range all {
			if p.Evidence&policy.Truth != 0 && !asked[p.Name] {
				cells = append(cells, &cell{s, p, false, make([]*sim.Result, seeds)})
			}
		}
	}
	return cells, nil
}

func runAll(ctx context.Context, cells []*cell, o Options) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(o.Parallel)
	total := len(cells) * o.Seeds
	done := make(chan struct{}, total)
	reported := make(chan struct{})
	go func() {
		defer close(reported)
		count := 0
		for range done {
			if count++; o.Progress != nil {
				o.Progress(count, total)
			}
		}
	}()
	for _, c := range cells {
		for i := range o.Seeds {
			group.Go(func() error {
				options := sim.Options{Seed: o.FirstSeed + uint64(i)}
				if i == 0 {
					options.Bins = o.Bins
				}
				r, err := sim.Run(ctx, c.scenario, c.policy.Policy, options)
				c.results[i] = r
				done <- struct{}{}
				return err
			})
		}
	}
	err := group.Wait()
	close(done)
	<-reported
	return err
}
