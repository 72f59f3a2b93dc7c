// Package work makes a replica behave like a server with real work to do,
// without burning the machine it runs on. Each call occupies one of a few virtual
// workers for a time drawn at random; calls that find none free wait their turn,
// and too many are turned away. Nothing but timers is spent.
//
//	pool, err := work.NewPool(work.Config{Workers: 2, Speed: 0.3, Mean: 12 * time.Millisecond})
//	err = pool.Do(ctx) // as long as a call would take, or ErrFull at once
//
// Times are lognormal, as those of real services tend to be: most are short, a
// few are long.
package work

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// ErrFull means that as many calls wait already as may.
var ErrFull = errors.New("work: the queue is full")

const (
	// sigma is the spread of service times: the standard deviation of their
	// logarithm. With 0.6 one in a hundred takes 3.4 times the mean.
	sigma = 0.6
	// queuePerWorker calls may wait for each worker.
	queuePerWorker = 25
)

// Config describes a pool.
type Config struct {
	// Workers is how many calls are worked on at once. At least 1.
	Workers int
	// Speed divides the service times. Above 0; 1 is normal.
	Speed float64
	// Mean is the mean service time at speed 1. 0 means that calls take no time.
	Mean time.Duration
}

// Pool is a set of virtual workers. Its methods may be called concurrently.
type Pool struct {
	workers int
	mean    time.Duration
	free    *semaphore.Weighted // first come, first served

	mu    sync.Mutex
	speed float64
	calls int // worked on or waiting
}

// NewPool makes a pool.
func NewPool(c Config) (*Pool, error) {
	switch {
	case c.Workers < 1:
		return nil, fmt.Errorf("work: %d workers: want at least 1", c.Workers)
	case c.Mean < 0:
		return nil, fmt.Errorf("work: mean service time %v: want at least 0", c.Mean)
	}
	p := &Pool{
		workers: c.Workers,
		mean:    c.Mean,
		free:    semaphore.NewWeighted(int64(c.Workers)),
	}
	return p, p.SetSpeed(c.Speed)
}

// SetSpeed changes how fast the workers are, for calls that begin from now on.
func (p *Pool) SetSpeed(speed float64) error {
	if !(speed > 0) || math.IsInf(speed, 0) {
		return fmt.Errorf("work: speed %v: want a number above 0", speed)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.speed = speed
	return nil
}

// Do waits for a worker and occupies it for one service time. It returns early
// with ctx's error when ctx ends, and at once with ErrFull when too many wait.
func (p *Pool) Do(ctx context.Context) error {
	if p.mean == 0 {
		return nil
	}
	if !p.enter() {
		return ErrFull
	}
	defer p.leave()
	if err := p.free.Acquire(ctx, 1); err != nil {
		return err
	}
	defer p.free.Release(1)

	done := time.NewTimer(p.serviceTime())
	defer done.Stop()
	select {
	case <-done.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Load is how many calls there are for each worker at the moment: 1 when all are
// busy, more when calls wait.
func (p *Pool) Load() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return float64(p.calls) / float64(p.workers)
}

func (p *Pool) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.calls >= p.workers*(1+queuePerWorker) {
		return false
	}
	p.calls++
	return true
}

func (p *Pool) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls--
}

func (p *Pool) serviceTime() time.Duration {
	p.mu.Lock()
	mean := float64(p.mean) / p.speed
	p.mu.Unlock()
	return time.Duration(mean * math.Exp(sigma*rand.NormFloat64()-sigma*sigma/2))
}
