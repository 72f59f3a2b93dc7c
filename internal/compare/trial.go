package compare

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/evenkeel/evenkeel/internal/compare/machine"
)

// trial is one policy in one scenario.
type trial struct {
	scenario *Scenario
	policy   *Policy
	options  *Options
	seed     uint64
}

// outcome is what a trial measured.
type outcome struct {
	latencies []time.Duration // of all calls, in ascending order; the failed at the deadline
	errors    int
	errorsHit int // of them, at replicas that were down meanwhile
	events    events
	late      time.Duration // the 99th percentile of how late calls were sent
	imbalance float64
	rate      float64 // of the calls that were to be made, per second
	seconds   float64 // that were measured
	busy      float64 // share of the machine; NaN if it is not known
}

// run carries the trial out. Nothing of it is left when it returns.
func (t *trial) run(ctx context.Context) (*outcome, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	f := newFleet(t.options.Start)
	defer f.stop()
	there := replicas - t.scenario.joining
	if err := f.startAll(ctx, t.scenario.speeds[:there]); err != nil {
		return nil, err
	}
	channels, err := dial(ctx, f, t.policy, t.options.Dial)
	if err != nil {
		return nil, err
	}
	defer channels.close()

	steps := t.scenario.Steps(t.seed, t.options.Duration)
	rate := load * t.scenario.capacity(steps, t.options.Duration) / t.options.Work.Seconds()
	plan := newPlan(t.seed, rate, t.options.Work, t.options.Warmup+t.options.Duration)
	begin := time.Now()

	var stepping sync.WaitGroup
	for r := range replicas {
		own := slices.DeleteFunc(slices.Clone(steps), func(s Step) bool { return s.Replica != r })
		stepping.Go(func() {
			if err := f.follow(ctx, begin.Add(t.options.Warmup), own, channels); err != nil && ctx.Err() == nil {
				cancel(err)
			}
		})
	}
	calls, busy := t.call(ctx, begin, plan, channels)
	err = context.Cause(ctx)
	cancel(nil)
	stepping.Wait()
	if err = errors.Join(err, f.check()); err != nil {
		return nil, err
	}
	o := t.sum(plan, calls)
	o.events, o.busy, o.rate, o.seconds = channels.tracker.counted(), busy, rate, t.options.Duration.Seconds()
	return o, nil
}

// call is how a call ended.
type call struct {
	late    time.Duration // how long after its time it was sent
	took    time.Duration // from its time to its end
	err     error
	replica int // -1: it was sent to none
	hit     bool
}

// call makes the calls of a plan, each at its time, whatever has become of the
// others.
func (t *trial) call(ctx context.Context, begin time.Time, plan []arrival, channels *channels) ([]call, float64) {
	calls := make([]call, len(plan))
	timer := time.NewTimer(0)
	defer timer.Stop()
	var wg sync.WaitGroup
	var before machine.Reading
	measuring := false
	for i, a := range plan {
		due := begin.Add(a.at)
		timer.Reset(time.Until(due))
		select {
		case <-timer.C:
		case <-ctx.Done():
			wg.Wait()
			return nil, 0
		}
		if !measuring && a.at >= t.options.Warmup {
			before, measuring = t.options.Machine(), true
		}
		wg.Go(func() { calls[i] = channels.call(ctx, a, due) })
	}
	busy, ok := t.options.Machine().Since(before)
	if !ok {
		busy = math.NaN()
	}
	wg.Wait()
	return calls, busy
}

// sum sums up the calls that came after the warm-up.
func (t *trial) sum(plan []arrival, calls []call) *outcome {
	o := &outcome{}
	var late []time.Duration
	var demand [replicas]float64
	for i, c := range calls {
		if plan[i].at < t.options.Warmup {
			continue
		}
		late = append(late, c.late)
		if c.replica >= 0 {
			demand[c.replica] += float64(plan[i].work) / t.scenario.speeds[c.replica]
		}
		if c.err != nil {
			o.errors++
			if c.hit {
				o.errorsHit++
			}
			c.took = deadline
		}
		o.latencies = append(o.latencies, c.took)
	}
	slices.Sort(o.latencies)
	slices.Sort(late)
	o.late = quantile(late, 0.99)
	o.imbalance = spread(demand[:])
	return o
}

// quantile of values in ascending order, which the share q lies below.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// spread is the standard deviation over the mean.
func spread(values []float64) float64 {
	sum, squares := 0.0, 0.0
	for _, v := range values {
		sum += v
		squares += v * v
	}
	n := float64(len(values))
	if sum == 0 {
		return 0
	}
	return math.Sqrt(max(squares*n/(sum*sum)-1, 0))
}
