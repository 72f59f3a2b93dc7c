// Package search looks for scenarios in which the module's policy loses to
// another that knows no more: it draws scenarios at random, runs the policies
// on the same calls and looks again, on fresh seeds, at what looks like a loss.
//
//	summary, err := search.Run(ctx, policies, search.Options{Draws: 100, Found: show})
//
// A loss is a p99 more than 1.05 times the other's, or a median more than 1.10
// times, with a 99 % interval above 1; or 0.05 percentage points more errors.
// Above 100 % load it is a goodput lower by a factor of 1.02 instead.
package search

import (
	"context"
	"errors"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/evenkeel/evenkeel/internal/sim"
	"github.com/evenkeel/evenkeel/internal/sim/policy"
	"github.com/evenkeel/evenkeel/internal/sim/scenario"
)

// Options say how to search. The search ends with Draws or at Until, whichever
// comes first; a zero value is no bound.
type Options struct {
	Seed     uint64 // the draws are those of this seed
	First    int    // the number of the first draw
	Draws    int
	Until    time.Time
	Parallel int // runs at a time; default one for each processor
	// Scenarios are looked at instead of any that are drawn.
	Scenarios []*scenario.Scenario
	// Found, if set, is called with each loss; Progress after each scenario.
	Found    func(Loss)
	Progress func(Summary)
}

// Loss is a scenario in which ours loses to another by some measure, twice.
type Loss struct {
	Scenario *scenario.Scenario
	Peer     string
	Measure  string // p99, p50, error_pct or goodput
	First    Comparison
	Again    Comparison
	// Beside has the other measures, of the same runs as Again: a lower median
	// may be bought with a higher p99.
	Beside map[string]Comparison
}

// Summary is how far a search is.
type Summary struct {
	Scenarios int // that were looked at
	Suspects  int // that looked like a loss
	Losing    int // in which there is one
	Calls     uint64
}

// How many seeds are looked at: few to suspect, more to be sure, and as many
// fresh ones again.
const (
	glance = 3
	look   = 10
)

// Run searches. When the context is done it returns what it has, without an
// error.
func Run(ctx context.Context, policies []policy.Named, o Options) (Summary, error) {
	if o.Parallel == 0 {
		o.Parallel = runtime.GOMAXPROCS(0)
	}
	s := searcher{Options: o}
	for _, p := range policies {
		switch {
		case p.Name == policy.Ours:
			s.ours = p
		case p.Evidence&policy.Truth == 0:
			s.peers = append(s.peers, p)
		}
	}
	var peers []policy.Named
	for _, p := range s.peers {
		if p.Within(s.ours) {
			peers = append(peers, p)
		}
	}
	s.peers = peers
	if s.ours.Policy == nil || len(peers) == 0 {
		return s.summary, errors.New("there must be " + policy.Ours + " and another policy that knows no more")
	}
	for i := 0; s.more(i); i++ {
		if err := s.examine(ctx, s.next(i)); err != nil {
			if ctx.Err() != nil {
				err = nil
			}
			return s.summary, err
		}
	}
	return s.summary, nil
}

type searcher struct {
	Options
	ours    policy.Named
	peers   []policy.Named
	summary Summary
}

func (s *searcher) more(i int) bool {
	if len(s.Scenarios) > 0 {
		return i < len(s.Scenarios)
	}
	return (s.Draws == 0 || i < s.Draws) && (s.Until.IsZero() || time.Now().Before(s.Until))
}

func (s *searcher) next(i int) *scenario.Scenario {
	if len(s.Scenarios) > 0 {
		return s.Scenarios[i]
	}
	return Draw(s.Seed, s.First+i)
}

// suspect is a peer that ours may lose to, and by what.
type suspect struct {
	peer     policy.Named
	measures []measure
	first    []Comparison
}

// examine looks for losses in one scenario.
func (s *searcher) examine(ctx context.Context, sc *scenario.Scenario) error {
	suspects, err := s.suspects(ctx, sc)
	if err != nil {
		return err
	}
	if len(suspects) > 0 {
		s.summary.Suspects++
	}
	if suspects, err = s.confirm(ctx, sc, suspects, 1+glance, nil); err != nil {
		return err
	}
	lost := false
	_, err = s.confirm(ctx, sc, suspects, 1+glance+look, func(x suspect, i int, again Comparison, beside map[string]Comparison) {
		lost = true
		if s.Found != nil {
			s.Found(Loss{sc, x.peer.Name, x.measures[i].name, x.first[i], again, beside})
		}
	})
	if err != nil {
		return err
	}
	s.summary.Scenarios++
	if lost {
		s.summary.Losing++
	}
	if s.Progress != nil {
		s.Progress(s.summary)
	}
	return nil
}

// suspects takes a glance at all peers.
func (s *searcher) suspects(ctx context.Context, sc *scenario.Scenario) ([]suspect, error) {
	results, err := s.run(ctx, sc, append([]policy.Named{s.ours}, s.peers...), 1, glance)
	if err != nil {
		return nil, err
	}
	var suspects []suspect
	for i, p := range s.peers {
		x := suspect{peer: p}
		for _, m := range measures(sc) {
			if m.suspicious(m.compare(results[0], results[i+1])) {
				x.measures = append(x.measures, m)
			}
		}
		if len(x.measures) > 0 {
			suspects = append(suspects, x)
		}
	}
	return suspects, nil
}

// confirm looks at the suspects on fresh seeds, and returns those that are
// losses there. Each is shown to found, if there is one.
func (s *searcher) confirm(ctx context.Context, sc *scenario.Scenario, suspects []suspect, seed uint64, found func(suspect, int, Comparison, map[string]Comparison)) ([]suspect, error) {
	if len(suspects) == 0 {
		return nil, nil
	}
	policies := []policy.Named{s.ours}
	for _, x := range suspects {
		policies = append(policies, x.peer)
	}
	results, err := s.run(ctx, sc, policies, seed, look)
	if err != nil {
		return nil, err
	}
	var left []suspect
	for i, x := range suspects {
		sure := suspect{peer: x.peer}
		for j, m := range x.measures {
			c := m.compare(results[0], results[i+1])
			if !m.loses(c) {
				continue
			}
			sure.measures, sure.first = append(sure.measures, m), append(sure.first, c)
			if found != nil {
				found(x, j, c, beside(&m, results[0], results[i+1]))
			}
		}
		if len(sure.measures) > 0 {
			left = append(left, sure)
		}
	}
	return left, nil
}

// run runs the policies on the same seeds.
func (s *searcher) run(ctx context.Context, sc *scenario.Scenario, policies []policy.Named, seed uint64, seeds int) ([][]*sim.Result, error) {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(s.Parallel)
	results := make([][]*sim.Result, len(policies))
	for i, p := range policies {
		results[i] = make([]*sim.Result, seeds)
		for j := range seeds {
			group.Go(func() (err error) {
				results[i][j], err = sim.Run(ctx, sc, p.Policy, sim.Options{Seed: seed + uint64(j)})
				return err
			})
		}
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for _, of := range results {
		for _, r := range of {
			s.summary.Calls += r.Requests
		}
	}
	return results, nil
}
