package orca

import (
	"context"
	"fmt"
)

// Drain tells clients that the server is going away, and waits until no call is
// in flight or ctx ends. The server goes on serving meanwhile; call
// grpc.Server.GracefulStop next.
//
// From now on every report says draining, and each out-of-band stream sends one
// at once. A client with such a stream knows before Drain returns; others learn
// it from the answers they still get, or from the connection's GOAWAY, which
// loses no call. At last the out-of-band streams are ended, since GracefulStop
// would wait for them for ever.
//
// Streams are in flight too; see [Reporter.Draining] for how a handler of a long
// one learns that it should end. The error says how many calls were left when
// ctx ended. Drain may be called again, to go on waiting.
func (r *Reporter) Drain(ctx context.Context) error {
	r.waited.Store(true)
	r.drainOnce.Do(func() {
		r.mu.Lock()
		r.draining = true
		r.publishLocked()
		r.mu.Unlock()
		// Only now, so that streams that wake find it in the report.
		close(r.drainBegun)
	})
	err := r.wait(ctx, func() bool { return r.inFlight.Load() == 0 })
	left := r.inFlight.Load()
	r.endStreams()
	if err == nil {
		err = r.wait(ctx, func() bool { return r.openStreams() == 0 })
	}
	if err != nil {
		return fmt.Errorf("orca: drain: %d calls and %d out-of-band streams still open: %w", left, r.openStreams(), err)
	}
	return nil
}

// Draining returns a channel that is closed when Drain is called. Handlers of
// streams without an end of their own should return when it is.
func (r *Reporter) Draining() <-chan struct{} {
	return r.drainBegun
}

// wait returns nil once done is true, or else ctx's error. What done looks at
// must wake those who wait when it changes.
func (r *Reporter) wait(ctx context.Context, done func() bool) error {
	for {
		r.mu.Lock()
		changed := r.changed
		r.mu.Unlock()
		if done() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// wakeLocked lets all who wait look again.
func (r *Reporter) wakeLocked() {
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *Reporter) openStreams() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.streams
}
