package compare

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evenkeel/evenkeel/internal/compare/backend"
	"github.com/evenkeel/evenkeel/internal/compare/machine"
)

// run compares in fake time, on a machine that is as busy in each trial as busy
// says, in percent. It returns which trials there were.
func run(t *testing.T, busy []int, rounds int) (rows []Row, trials []string, err error) {
	t.Helper()
	policies := twoPolicies(t)
	s := even(t)
	synctest.Test(t, func(t *testing.T) {
		options := *newBubble().options()
		options.Rounds, options.Duration, options.Warmup = rounds, time.Second/4, 0
		options.Progress = func(p Progress) {
			trials = append(trials, fmt.Sprintf("%d %s", p.Round, p.Policy))
			if p.Done >= p.Total {
				t.Errorf("%+v is one too many", p)
			}
		}
		var reading machine.Reading
		reads := 0
		options.Machine = func() machine.Reading { // twice in each trial
			reading.Total += 100
			reading.Idle += uint64(100 - busy[(reads/2)%len(busy)])
			reads++
			return reading
		}
		rows, err = Run(t.Context(), []Scenario{s}, policies, options)
	})
	return rows, trials, err
}

func TestEveryPolicyHasItsTrialInEachRoundInAnyOrder(t *testing.T) {
	rows, trials, err := run(t, []int{50}, 3)
	if err != nil || len(rows) != 2 || rows[0].RoundsUsed != 3 || rows[0].RoundsDiscarded != 0 {
		t.Fatalf("%+v, %v", rows, err)
	}
	first := map[string]int{}
	for i := 0; i < len(trials); i += 2 {
		pair := []string{trials[i], trials[i+1]}
		first[strings.Fields(pair[0])[1]]++
		slices.Sort(pair)
		if n := i/2 + 1; !slices.Equal(pair, []string{fmt.Sprint(n, " choice_of_two"), fmt.Sprint(n, " round_robin")}) {
			t.Errorf("round %d has %v", n, pair)
		}
	}
	if len(first) != 2 {
		t.Errorf("always the same is first: %v", first)
	}
}

func TestARoundOnABusyMachineIsDiscardedWhole(t *testing.T) {
	// The second trial of the first round is disturbed, then the first of the next.
	rows, trials, err := run(t, []int{50, 71, 80, 70, 70, 70, 70}, 2)
	if err != nil || rows[0].RoundsUsed != 2 || rows[0].RoundsDiscarded != 2 || *rows[0].MachineBusyPct != 70 {
		t.Errorf("%+v, %v", rows, err)
	}
	if len(trials) != 7 {
		t.Errorf("trials: %v", trials)
	}
}

func TestItGivesUpOnAMachineThatIsAlwaysBusy(t *testing.T) {
	rows, trials, err := run(t, []int{90}, 2)
	if !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), "noisy") || len(trials) != 4 {
		t.Errorf("%v after %v", err, trials)
	}
	if len(rows) != 2 || rows[0].RoundsUsed != 0 || rows[0].RoundsDiscarded != 4 {
		t.Errorf("%+v", rows)
	}
}

func TestATrialThatFailsIsTriedOnceMore(t *testing.T) {
	for _, failures := range []int{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			options := *newBubble().options()
			options.Duration, options.Warmup = time.Second/4, 0
			start, taken := options.Start, errors.New("the port is taken")
			var trial atomic.Int32
			options.Start = func(ctx context.Context, c backend.Config) (Replica, error) {
				if c.Speed == 0.4 && int(trial.Add(1)) <= failures {
					return nil, taken
				}
				return start(ctx, c)
			}
			s := even(t)
			s.speeds[3] = 0.4
			rows, err := Run(t.Context(), []Scenario{s}, twoPolicies(t)[:1], options)
			if failures == 1 && (err != nil || rows[0].RoundsUsed != 1) {
				t.Errorf("after one failure: %v, %+v", err, rows)
			}
			if failures == 2 && (!errors.Is(err, taken) || !strings.Contains(err.Error(), "noisy, choice_of_two: replica 3")) {
				t.Errorf("after two failures: %v", err)
			}
		})
	}
}
