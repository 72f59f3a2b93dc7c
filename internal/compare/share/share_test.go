package share

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestCallsShareTheWorkers(t *testing.T) {
	for _, c := range []struct {
		name     string
		calls    int
		speed    float64
		occupied int
		want     time.Duration
	}{
		{"alone", 1, 1, 0, 100 * time.Millisecond},
		{"as many as there are workers", 4, 1, 0, 100 * time.Millisecond},
		{"twice as many", 8, 1, 0, 200 * time.Millisecond},
		{"slow", 4, 0.4, 0, 250 * time.Millisecond},
		{"with three workers taken away", 2, 1, 3, 200 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := newPool(t, Config{Workers: 4, Speed: c.speed, Limit: 100})
			if err := p.Occupy(c.occupied); err != nil {
				t.Fatal(err)
			}
			for _, took := range do(p, c.calls, 100*time.Millisecond) {
				if (took - c.want).Abs() > time.Microsecond {
					t.Errorf("%s: %v, want %v", c.name, took, c.want)
				}
			}
		})
	}
}

func TestACallThatComesLaterSlowsTheOthersFromThenOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Config{Workers: 1, Speed: 1, Limit: 100})
		begin := time.Now()
		var first time.Duration
		var wg sync.WaitGroup
		wg.Go(func() { p.Do(context.Background(), 100*time.Millisecond); first = time.Since(begin) })
		time.Sleep(60 * time.Millisecond)
		p.Do(context.Background(), 100*time.Millisecond) // shares for 80 ms, has 60 left
		second := time.Since(begin)
		wg.Wait()
		if (first-140*time.Millisecond).Abs() > time.Microsecond || (second-200*time.Millisecond).Abs() > time.Microsecond {
			t.Errorf("done after %v and %v, want 140ms and 200ms", first, second)
		}
	})
}

func TestAChangeOfSpeedHoldsForCallsThatAreThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Config{Workers: 1, Speed: 1, Limit: 100})
		time.AfterFunc(50*time.Millisecond, func() { p.SetSpeed(0.5) })
		if took := do(p, 1, 100*time.Millisecond)[0]; (took - 150*time.Millisecond).Abs() > time.Microsecond {
			t.Errorf("took %v, want 150ms", took)
		}
	})
}

func TestWithAllWorkersTakenAwayNothingProgresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Config{Workers: 2, Speed: 1, Limit: 100})
		if err := p.Occupy(2); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Second, func() { p.Occupy(0) })
		if took := do(p, 1, 100*time.Millisecond)[0]; (took - 1100*time.Millisecond).Abs() > time.Microsecond {
			t.Errorf("took %v, want 1.1s", took)
		}
	})
}

func TestACallThatIsGivenUpLeavesItsShareToTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Config{Workers: 1, Speed: 1, Limit: 100})
		ctx, cancel := context.WithTimeout(t.Context(), 40*time.Millisecond)
		defer cancel()
		gaveUp := make(chan error, 1)
		go func() { gaveUp <- p.Do(ctx, time.Hour) }()
		synctest.Wait()
		if took := do(p, 1, 100*time.Millisecond)[0]; (took - 120*time.Millisecond).Abs() > time.Microsecond {
			t.Errorf("took %v, want 120ms", took)
		}
		if err := <-gaveUp; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

func TestAFullPoolTurnsCallsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Config{Workers: 1, Speed: 1, Limit: 2})
		ctx, cancel := context.WithCancel(t.Context())
		for range 2 {
			go p.Do(ctx, time.Hour)
		}
		synctest.Wait()
		if err := p.Do(ctx, 1); !errors.Is(err, ErrFull) {
			t.Errorf("got %v, want ErrFull", err)
		}
		cancel()
	})
}

func TestUtilizationIsTheMeanSinceTheLastReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Config{Workers: 4, Speed: 1, Limit: 100})
		p.Utilization()
		do(p, 2, 100*time.Millisecond)
		time.Sleep(100 * time.Millisecond)
		if u := p.Utilization(); math.Abs(u-0.25) > 1e-6 {
			t.Errorf("utilization %v, want 0.25", u)
		}
		p.Occupy(3)
		time.Sleep(time.Second)
		if u := p.Utilization(); math.Abs(u-0.75) > 1e-6 {
			t.Errorf("utilization %v, want 0.75", u)
		}
	})
}

func TestTimeInWhichTheProcessDidNotRunIsNoWorkDone(t *testing.T) {
	q := queue{workers: 1, speed: 1}
	q.advance(0)
	first, second := q.enter(100e6), q.enter(300e6)
	q.advance(5200e6) // was due at 200e6, but the process was frozen for 5 s
	if !isDone(first) || isDone(second) || q.wake() != 5400e6 {
		t.Errorf("done: %v, %v; the next at %v, want 5400e6", isDone(first), isDone(second), q.wake())
	}
}

func TestLittleLatenessChangesNothing(t *testing.T) {
	q := queue{workers: 1, speed: 1}
	q.advance(0)
	q.enter(100e6)
	second := q.enter(300e6)
	q.advance(250e6) // 50 ms late for the first
	if q.wake() != 400e6 || isDone(second) {
		t.Errorf("the second is done at %v, want 400e6", q.wake())
	}
}

func TestNoWorkIsLostOrDoneTwice(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	q := queue{workers: 3, speed: 1}
	var open []*job
	now, entered, taken := 0.0, 0.0, 0.0
	for range 10_000 {
		now += random.ExpFloat64() * 10e6
		q.advance(now)
		open = slices.DeleteFunc(open, isDone)
		switch random.IntN(4) {
		case 0, 1:
			work := random.ExpFloat64() * 40e6
			entered += work
			open = append(open, q.enter(work))
		case 2:
			if len(open) > 0 {
				i := random.IntN(len(open))
				taken += open[i].target - q.attained
				q.leave(open[i])
				open = slices.Delete(open, i, i+1)
			}
		}
		if len(open) != len(q.jobs) {
			t.Fatalf("%d jobs, want %d", len(q.jobs), len(open))
		}
	}
	left := 0.0
	for _, j := range open {
		left += j.target - q.attained
	}
	done, worked := entered-taken-left, q.busy*q.workers
	if math.Abs(done/worked-1) > 1e-9 {
		t.Errorf("%v ns of work done by workers that were busy for %v ns", done, worked)
	}
}

func TestBadSettingsAreRefused(t *testing.T) {
	for _, c := range []Config{
		{Workers: 0, Speed: 1, Limit: 1},
		{Workers: 1, Speed: 0, Limit: 1},
		{Workers: 1, Speed: math.NaN(), Limit: 1},
		{Workers: 1, Speed: math.Inf(1), Limit: 1},
		{Workers: 1, Speed: 1, Limit: 0},
	} {
		if _, err := NewPool(c); err == nil {
			t.Errorf("%+v: no error", c)
		}
	}
	p := newPool(t, Config{Workers: 2, Speed: 1, Limit: 1})
	for _, n := range []int{-1, 3} {
		if p.Occupy(n) == nil {
			t.Errorf("%d occupied: no error", n)
		}
	}
}

func newPool(t *testing.T, c Config) *Pool {
	t.Helper()
	p, err := NewPool(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// do makes some calls at once and returns how long each took.
func do(p *Pool, calls int, work time.Duration) []time.Duration {
	took := make([]time.Duration, calls)
	begin := time.Now()
	var wg sync.WaitGroup
	for i := range took {
		wg.Go(func() {
			p.Do(context.Background(), work)
			took[i] = time.Since(begin)
		})
	}
	wg.Wait()
	return took
}

func isDone(j *job) bool {
	select {
	case <-j.done:
		return true
	default:
		return false
	}
}
