package compare

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"google.golang.org/grpc"

	"github.com/evenkeel/evenkeel/internal/compare/machine"
)

// Options say how to compare.
type Options struct {
	// Start starts the replicas.
	Start Starter
	// Rounds is how many rounds of each scenario are to be used. When twice as many
	// have been discarded, there are no more.
	Rounds int
	// Duration is for how long a trial measures, after it has made calls for
	// Warmup.
	Duration, Warmup time.Duration
	// Work is the mean work of a call: the time it takes alone at speed 1. The
	// calls' rate follows from it.
	Work time.Duration
	// MaxBusy is how busy the machine may be, as a share, for a round to be used.
	MaxBusy float64
	// Seed is that of the first round.
	Seed uint64
	// Progress, unless it is nil, hears of each trial before it begins.
	Progress func(Progress)

	// Machine reads how busy the machine is; nil for package machine. What it
	// cannot read is the zero Reading.
	Machine func() machine.Reading
	// Dial adds to how the clients dial.
	Dial []grpc.DialOption
}

// Progress is how far it is.
type Progress struct {
	Scenario, Policy string
	Round, Rounds    int // from 1
	Discarded        int // rounds of this scenario
	Done, Total      int // trials; more if rounds are discarded
}

// Run compares the policies in the scenarios. When ctx ends, or a trial fails, it
// returns what has been measured until then and the error.
func Run(ctx context.Context, scenarios []Scenario, policies []Policy, options Options) ([]Row, error) {
	if options.Machine == nil {
		options.Machine = readMachine
	}
	if options.Progress == nil {
		options.Progress = func(Progress) {}
	}
	var rows []Row
	var unusable []string
	progress := Progress{Rounds: options.Rounds, Total: len(scenarios) * len(policies) * options.Rounds}
	for i := range scenarios {
		rounds, discarded, err := runScenario(ctx, &scenarios[i], policies, &options, &progress)
		if err == nil && len(rounds) == 0 {
			unusable = append(unusable, scenarios[i].Name)
		}
		if len(rounds) > 0 || err == nil {
			rows = append(rows, rowsOf(&scenarios[i], policies, rounds, discarded)...)
		}
		if err != nil {
			return rows, err
		}
	}
	if len(unusable) > 0 {
		return rows, fmt.Errorf("%w: %s", ErrBusy, strings.Join(unusable, ", "))
	}
	return rows, nil
}

// ErrBusy means that of some scenarios no round could be used.
var ErrBusy = errors.New("the machine was too busy in every round")

func readMachine() machine.Reading {
	r, err := machine.Read()
	if err != nil {
		return machine.Reading{} // Since tells that it is not known
	}
	return r
}

// round has an outcome for each policy.
type round []*outcome

func runScenario(ctx context.Context, s *Scenario, policies []Policy, options *Options, progress *Progress) (rounds []round, discarded int, err error) {
	progress.Scenario = s.Name
	for seed := options.Seed; len(rounds) < options.Rounds && discarded < 2*options.Rounds; seed++ {
		progress.Round, progress.Discarded = len(rounds)+1, discarded
		r, err := runRound(ctx, s, policies, options, seed, progress)
		switch {
		case err != nil:
			return rounds, discarded, err
		case r == nil:
			discarded++
		default:
			rounds = append(rounds, r)
		}
	}
	return rounds, discarded, nil
}

// runRound tries each policy, in any order. It gives up, and returns nil, when the
// machine is too busy.
func runRound(ctx context.Context, s *Scenario, policies []Policy, options *Options, seed uint64, progress *Progress) (round, error) {
	r := make(round, len(policies))
	for n, i := range rand.New(rand.NewPCG(seed, 3)).Perm(len(policies)) {
		progress.Policy = policies[i].Name
		options.Progress(*progress)
		t := &trial{scenario: s, policy: &policies[i], options: options, seed: seed}
		o, err := t.run(ctx)
		if err != nil && ctx.Err() == nil {
			// A replica's port may be taken while it restarts. Hours of measuring
			// must not end there.
			o, err = t.run(ctx)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			return nil, fmt.Errorf("%s, %s: %w", s.Name, policies[i].Name, err)
		}
		if o.busy > options.MaxBusy { // false if it is not known
			progress.Done -= n
			return nil, nil
		}
		r[i] = o
		progress.Done++
	}
	return r, nil
}
