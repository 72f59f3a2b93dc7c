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
	s := searcher{Options: o, matches: pair(policies)}
	if len(s.matches) == 0 {
		return s.summary, errors.New("there must be " + policy.Ours + ", or " + policy.OursProbing + ", and another policy that knows no more")
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
	matches []match
	summary Summary
}

// match is a peer and that of ours which it is compared with.
type match struct{ ours, peer policy.Named }

// pair finds for each other policy the one of ours that it is fair to compare it with:
// that which knows no less and, of two, the one that knows no more than is needed.
func pair(policies []policy.Named) (matches []match) {
	for _, p := range policies {
		if p.IsOurs() || p.Evidence&policy.Truth != 0 {
			continue
		}
		var best policy.Named
		for _, ours := range policies {
			if ours.IsOurs() && p.Within(ours) && (best.Policy == nil || ours.Within(best)) {
				best = ours
			}
		}
		if best.Policy != nil {
			matches = append(matches, match{best, p})
		}
	}
	return matches
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
	match
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
	results, err := s.run(ctx, sc, s.matches, 1, glance)
	if err != nil {
		return nil, err
	}
	var suspects []suspect
	for _, both := range s.matches {
		x := suspect{match: both}
		for _, m := range measures(sc) {
			if m.suspicious(m.compare(results[both.ours.Name], results[both.peer.Name])) {
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
	var matches []match
	for _, x := range suspects {
		matches = append(matches, x.match)
	}
	results, err := s.run(ctx, sc, matches, seed, look)
	if err != nil {
		return nil, err
	}
	var left []suspect
	for _, x := range suspects {
		sure := suspect{match: x.match}
		ours, theirs := results[x.ours.Name], results[x.peer.Name]
		for j, m := range x.measures {
			c := m.compare(ours, theirs)
			if !m.loses(c) {
				continue
			}
			sure.measures, sure.first = append(sure.measures, m), append(sure.first, c)
			if found != nil {
				found(x, j, c, beside(&m, ours, theirs))
			}
		}
		if len(sure.measures) > 0 {
			left = append(left, sure)
		}
	}
	return left, nil
}

// run runs the policies of all matches on the same seeds, and returns their results by name.
func (s *searcher) run(ctx context.Context, sc *scenario.Scenario, matches []match, seed uint64, seeds int) (map[string][]*sim.Result, error) {
	policies := make(map[string]policy.Named)
	for _, m := range matches {
		policies[m.ours.Name], policies[m.peer.Name] = m.ours, m.peer
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(s.Parallel)
	results := make(map[string][]*sim.Result)
	for name, p := range policies {
		of := make([]*sim.Result, seeds)
		results[name] = of
		for j := range seeds {
			group.Go(func() (err error) {
				of[j], err = sim.Run(ctx, sc, p.Policy, sim.Options{Seed: seed + uint64(j)})
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
