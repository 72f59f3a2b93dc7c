package compare

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/evenkeel/evenkeel/internal/compare/backend"
	"github.com/evenkeel/evenkeel/internal/compare/process"
)

// Replica is a backend that runs.
type Replica interface {
	Address() string
	Tell(backend.Command) error
	Freeze() error
	Thaw() error
	Kill() error
	Done() <-chan struct{} // closed when it has ended
	Err() error            // why, if by itself and not well
}

// Starter starts a backend and waits until it answers.
type Starter func(context.Context, backend.Config) (Replica, error)

// Processes starts backends as processes.
func Processes(s *process.Spawner) Starter {
	return func(ctx context.Context, c backend.Config) (Replica, error) { return s.Start(ctx, c) }
}

// drainWithin is how long a replica may take to drain; longer than any call.
const drainWithin = 5 * time.Second

// fleet is the replicas of a trial.
type fleet struct {
	start   Starter
	tracker *tracker

	mu      sync.Mutex
	running [replicas]Replica // nil: not there, or told to end
	all     []Replica         // all lives
}

func newFleet(start Starter) *fleet { return &fleet{start: start, tracker: newTracker()} }

func (f *fleet) startAll(ctx context.Context, speeds []float64) error {
	errs := make([]error, len(speeds))
	var wg sync.WaitGroup
	for r, speed := range speeds {
		wg.Go(func() { errs[r] = f.begin(ctx, r, "127.0.0.1:0", speed) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// begin starts a replica.
func (f *fleet) begin(ctx context.Context, r int, listen string, speed float64) error {
	replica, err := f.start(ctx, backend.Config{Listen: listen, Workers: workers, Speed: speed, Limit: limit})
	if err != nil {
		return fmt.Errorf("replica %d: %w", r, err)
	}
	f.tracker.at(r, replica.Address())
	f.mu.Lock()
	defer f.mu.Unlock()
	f.running[r] = replica
	f.all = append(f.all, replica)
	return nil
}

func (f *fleet) get(r int) Replica {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.running[r]
}

// end takes a replica off those that are to run, so that its end is no surprise.
func (f *fleet) end(r int) Replica {
	f.mu.Lock()
	defer f.mu.Unlock()
	replica := f.running[r]
	f.running[r] = nil
	return replica
}

func (f *fleet) addresses() (a []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.running {
		if r != nil {
			a = append(a, r.Address())
		}
	}
	return a
}

// check tells whether all that are to run do.
func (f *fleet) check() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, r := range f.running {
		if r == nil {
			continue
		}
		select {
		case <-r.Done():
			return fmt.Errorf("replica %d ended by itself: %v", i, r.Err())
		default:
		}
	}
	return nil
}

// stop ends all replicas, in whatever state they are.
func (f *fleet) stop() {
	f.mu.Lock()
	all := slices.Clone(f.all)
	f.mu.Unlock()
	for _, r := range all {
		r.Kill()
	}
	for _, r := range all {
		<-r.Done()
	}
}

// follow does to a replica what the steps say, at their times after begin.
func (f *fleet) follow(ctx context.Context, begin time.Time, steps []Step, c *channels) error {
	address := ""
	if len(steps) > 0 {
		if r := f.get(steps[0].Replica); r != nil {
			address = r.Address()
		}
	}
	for _, s := range steps {
		timer := time.NewTimer(time.Until(begin.Add(s.At)))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		if err := f.do(ctx, s, address, c); err != nil {
			return fmt.Errorf("%s replica %d: %w", s.Action, s.Replica, err)
		}
	}
	return nil
}

func (f *fleet) do(ctx context.Context, s Step, address string, c *channels) error {
	switch s.Action {
	case SetSpeed:
		return f.get(s.Replica).Tell(backend.Command{Speed: &s.Value})
	case Occupy:
		n := int(s.Value)
		return f.get(s.Replica).Tell(backend.Command{Occupy: &n})
	case Freeze:
		return f.tracker.takeDown(s.Replica, f.get(s.Replica).Freeze)
	case Thaw:
		err := f.get(s.Replica).Thaw()
		f.tracker.isBack(s.Replica)
		return err
	case Kill:
		replica := f.end(s.Replica)
		if err := f.tracker.takeDown(s.Replica, replica.Kill); err != nil {
			return err
		}
		<-replica.Done()
		return nil
	case Start:
		f.tracker.isBack(s.Replica)
		return f.begin(ctx, s.Replica, address, 1)
	case Restart:
		if err := f.drain(ctx, s.Replica); err != nil {
			return err
		}
		return f.begin(ctx, s.Replica, address, 1)
	case Join:
		if err := f.begin(ctx, s.Replica, "127.0.0.1:0", s.Value); err != nil {
			return err
		}
		c.publish(f.addresses())
		return nil
	}
	return fmt.Errorf("no such action")
}

// drain lets a replica end its calls and itself.
func (f *fleet) drain(ctx context.Context, r int) error {
	replica := f.end(r)
	within := drainWithin
	if err := replica.Tell(backend.Command{Drain: &within}); err != nil {
		return err
	}
	select {
	case <-replica.Done():
		return replica.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}
