package gateway

import (
	"sync"
	"time"
)

const (
	// waitPatience is for how long a caller may keep the gateway waiting while
	// more is held for all of them than Limits.HeldBytes.
	waitPatience = time.Second
	// heldSmall is what is not worth counting: less than a request itself takes.
	heldSmall = 4 << 10
)

// waiting bounds what is held for callers who keep the gateway waiting: answers
// that they do not take, and bodies whose end does not come. Each of these is
// bounded, and so is its time, but there may be as many as there are connections
// and streams. Where more than most is held for all, who has kept the gateway
// waiting for longest is let go: at once if it is twice as much, and otherwise
// as soon as that is longer than waitPatience, so that callers who only come at
// the same time are served.
type waiting struct {
	most int64

	mu    sync.Mutex // guards what follows, and the waits in the ring
	held  int64
	ring  wait // of the waits, the longest first, behind the one that stands for none
	timer *time.Timer
}

// wait is for one caller, one time after the other. It is used by one goroutine
// at a time.
type wait struct {
	all *waiting
	// letGo ends the wait from outside: what is waited for fails.
	letGo func()

	prev, next *wait // nil while there is nothing to wait for
	bytes      int64
	since      time.Time
	gone       bool
	letting    sync.Mutex // held while letGo is called
}

func newWaiting(most int64) *waiting {
	a := &waiting{most: most}
	a.ring.prev, a.ring.next = &a.ring, &a.ring
	return a
}

// hold says that the caller is waited for, from now on if it was not, and how
// much is held meanwhile. It returns false if the caller was let go: then it is
// not waited for any more.
func (w *wait) hold(bytes int64) bool {
	a := w.all
	a.mu.Lock()
	if w.gone {
		a.mu.Unlock()
		return false
	}
	if w.next == nil {
		w.prev, w.next, w.since = a.ring.prev, &a.ring, time.Now()
		w.prev.next, a.ring.prev = w, w
		w.bytes = 0
	}
	a.held += bytes - w.bytes
	w.bytes = bytes
	over := a.held > a.most
	a.mu.Unlock()
	if over {
		a.relieve()
	}
	return true
}

// done ends a wait, if one has begun, and reports whether the caller was let go.
// After it, letGo is not called.
func (w *wait) done() (gone bool) {
	w.all.mu.Lock()
	if w.next != nil {
		w.all.remove(w)
	}
	gone = w.gone
	w.all.mu.Unlock()
	if gone {
		w.letting.Lock() // until that is over
		defer w.letting.Unlock()
	}
	return gone
}

// remove takes a wait out. The lock is held.
func (a *waiting) remove(w *wait) {
	w.prev.next, w.next.prev = w.next, w.prev
	w.prev, w.next = nil, nil
	a.held -= w.bytes
}

// relieve lets callers go until what is held is within its bounds.
func (a *waiting) relieve() {
	for w := a.longest(); w != nil; w = a.longest() {
		w.letGo()
		w.letting.Unlock()
	}
}

// longest returns who is to be let go, or nil. Who alone is waited for stays:
// one answer may be larger than all is meant to be.
func (a *waiting) longest() *wait {
	a.mu.Lock()
	defer a.mu.Unlock()
	w := a.ring.next
	if a.held <= a.most || w.next == &a.ring {
		return nil
	}
	if left := waitPatience - time.Since(w.since); a.held <= 2*a.most && left > 0 {
		if a.timer == nil {
			a.timer = time.AfterFunc(left, a.later)
		}
		return nil
	}
	a.remove(w)
	w.gone = true
	w.letting.Lock()
	return w
}

func (a *waiting) later() {
	a.mu.Lock()
	a.timer = nil
	a.mu.Unlock()
	a.relieve()
}
