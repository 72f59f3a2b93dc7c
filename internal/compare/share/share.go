// Package share has a server take as long for its calls as real work would,
// without burning the machine: calls share a few virtual workers, and nothing
// but a timer is spent.
//
//	pool, err := share.NewPool(share.Config{Workers: 4, Speed: 0.4, Limit: 400})
//	err = pool.Do(ctx, 40*time.Millisecond) // 100 ms when alone, more when not
//
// The workers are shared as a processor is, in small turns: with n calls on K
// workers each call progresses at speed x min(1, K/n). This is the server of the
// simulator (internal/sim), so that the two can be compared.
package share

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"
)

// ErrFull means that the pool holds as many calls as it may.
var ErrFull = errors.New("share: as many calls are worked on as may be")

// Config describes a pool.
type Config struct {
	// Workers is how many calls progress at full speed at once; at least 1.
	Workers int
	// Speed is the work done in a unit of time; above 0, 1 is normal.
	Speed float64
	// Limit is how many calls the pool holds at most; at least 1.
	Limit int
}

// Pool is a set of virtual workers. Its methods may be called concurrently.
type Pool struct {
	limit int
	epoch time.Time

	mu       sync.Mutex
	queue    queue
	timer    *time.Timer
	readAt   float64 // when Utilization was last called
	readBusy float64
}

// NewPool makes a pool.
func NewPool(c Config) (*Pool, error) {
	if c.Workers < 1 {
		return nil, fmt.Errorf("share: %d workers: want at least 1", c.Workers)
	}
	if c.Limit < 1 {
		return nil, fmt.Errorf("share: a limit of %d calls: want at least 1", c.Limit)
	}
	p := &Pool{limit: c.Limit, epoch: time.Now()}
	p.queue.workers = float64(c.Workers)
	p.timer = time.AfterFunc(math.MaxInt64, func() { p.locked(func() error { return nil }) })
	return p, p.SetSpeed(c.Speed)
}

// SetSpeed changes how fast the workers are, also for the calls that are there.
func (p *Pool) SetSpeed(speed float64) error {
	if !(speed > 0) || math.IsInf(speed, 0) {
		return fmt.Errorf("share: speed %v: want a number above 0", speed)
	}
	return p.locked(func() error { p.queue.speed = speed; return nil })
}

// Occupy takes this many workers away from the calls, 0 for none.
func (p *Pool) Occupy(workers int) error {
	return p.locked(func() error {
		if workers < 0 || float64(workers) > p.queue.workers {
			return fmt.Errorf("share: %d workers to occupy: want 0 to %v", workers, p.queue.workers)
		}
		p.queue.occupied = float64(workers)
		return nil
	})
}

// Do takes as long as a call of this much work does. It returns early with ctx's
// error when ctx ends, and at once with ErrFull when the pool is full.
func (p *Pool) Do(ctx context.Context, work time.Duration) error {
	var j *job
	err := p.locked(func() error {
		if len(p.queue.jobs) >= p.limit {
			return ErrFull
		}
		j = p.queue.enter(float64(work))
		return nil
	})
	if err != nil {
		return err
	}
	select {
	case <-j.done:
		return nil
	case <-ctx.Done():
		p.locked(func() error { p.queue.leave(j); return nil })
		return ctx.Err()
	}
}

// Utilization is the mean share of the workers that were busy since it was last
// called; those that are taken away are busy.
func (p *Pool) Utilization() (u float64) {
	p.locked(func() error {
		q := &p.queue
		u = q.busyShare()
		if dt := q.at - p.readAt; dt > 0 {
			u = (q.busy - p.readBusy) / dt
		}
		p.readAt, p.readBusy = q.at, q.busy
		return nil
	})
	return u
}

// locked brings the pool up to date, calls f, and sets the timer to when the next
// call is done.
func (p *Pool) locked(f func() error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := float64(time.Since(p.epoch))
	p.queue.advance(now)
	err := f()
	if wake := p.queue.wake(); math.IsInf(wake, 1) {
		p.timer.Stop()
	} else {
		p.timer.Reset(time.Duration(math.Ceil(wake - now)))
	}
	return err
}
