package work

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"
)

func TestServiceTimesHaveTheMeanOverTheSpeed(t *testing.T) {
	for _, speed := range []float64{0.3, 1, 4} {
		synctest.Test(t, func(t *testing.T) {
			p := pool(t, Config{Workers: 1, Speed: speed, Mean: 10 * time.Millisecond})
			const calls = 20_000
			began := time.Now()
			for range calls {
				if err := p.Do(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			got, want := time.Since(began)/calls, time.Duration(float64(10*time.Millisecond)/speed)
			// The standard error of the mean of that many is 0.5 %.
			if math.Abs(float64(got-want)) > 0.04*float64(want) {
				t.Errorf("speed %v: mean %v, want %v", speed, got, want)
			}
		})
	}
}

func TestWorkersWorkAtOnceAndTheRestWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pool(t, Config{Workers: 2, Speed: 1e-3, Mean: time.Second})
		ctx, cancel := context.WithCancel(t.Context())
		for range 5 {
			go p.Do(ctx)
		}
		synctest.Wait()
		if p.free.TryAcquire(1) {
			t.Error("a worker is free although calls wait")
		}
		if p.Load() != 2.5 {
			t.Errorf("load %v, want 2.5", p.Load())
		}
		cancel()
		synctest.Wait()
		if p.Load() != 0 || !p.free.TryAcquire(2) {
			t.Errorf("load %v after all calls were given up, or workers still busy", p.Load())
		}
	})
}

func TestTooManyAreTurnedAwayAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pool(t, Config{Workers: 2, Speed: 1, Mean: time.Hour})
		ctx, cancel := context.WithCancel(t.Context())
		for range 2 * (1 + queuePerWorker) {
			go p.Do(ctx)
		}
		synctest.Wait()
		if err := p.Do(ctx); !errors.Is(err, ErrFull) {
			t.Errorf("got %v, want ErrFull", err)
		}
		cancel()
	})
}

func TestACallThatIsGivenUpFreesItsWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pool(t, Config{Workers: 1, Speed: 1, Mean: time.Hour})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.Do(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the deadline", err)
		}
		if !p.free.TryAcquire(1) {
			t.Error("the worker is still busy")
		}
	})
}

func TestWithoutAServiceTimeCallsTakeNone(t *testing.T) {
	p := pool(t, Config{Workers: 1, Speed: 1})
	if err := p.Do(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestBadSettingsAreRefused(t *testing.T) {
	for _, c := range []Config{
		{Workers: 0, Speed: 1},
		{Workers: 1, Speed: 0},
		{Workers: 1, Speed: math.NaN()},
		{Workers: 1, Speed: math.Inf(1)},
		{Workers: 1, Speed: 1, Mean: -1},
	} {
		if _, err := NewPool(c); err == nil {
			t.Errorf("%+v: no error", c)
		}
	}
}

func pool(t *testing.T, c Config) *Pool {
	t.Helper()
	p, err := NewPool(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
