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

// waiting bounds what is held for all callers together: answers that they do not
// take, and bodies, from when they begin until their calls have ended. Each of
// these is bounded, and so is its time, but there may be as many as there are
// connections and streams.
//
// Where more than most is held for callers who keep the gateway waiting, the one
// who has done so for longest is let go: at once if it is twice as much, and
// otherwise as soon as that is longer than waitPatience, so that callers who only
// come at the same time are served. Where twice as much is held in all, no more
// is taken of bodies: what is held for calls that the backend works on cannot be
// let go.
//
// What may have come of a stream behind the message that is written counts only
// when its caller is waited for longer than waitPatience: it takes time to come,
// and many streams that are taken as fast as they are written are written at once.
type waiting struct {
	most int64

	mu      sync.Mutex // guards what follows, and the waits in the ring
	held    int64      // for callers who are waited for
	ahead   int64      // what may be held besides for those who are waited for
	late    int64      // of that, what counts
	calling int64      // for those who wait for the backend
	ring    wait       // of the waits, the longest first, behind the one that stands for none
	fresh   *wait      // the first in the ring that does not count as late yet
	timer   *time.Timer
}

// wait is for one caller, one time after the other.
type wait struct {
	all *waiting
	// letGo ends the wait from outside: what is waited for fails.
	letGo func()
	// ahead is what may be held besides while the caller is waited for.
	ahead int64

	prev, next *wait  // nil while there is nothing to wait for
	bytes      int64  // that are counted
	in         *int64 // where they are; nil for nowhere
	since      time.Time
	late       bool // it has lasted for waitPatience
	gone       bool
	letting    sync.Mutex // held while letGo is called
}

func newWaiting(most int64) *waiting {
	a := &waiting{most: most}
	a.ring.prev, a.ring.next, a.fresh = &a.ring, &a.ring, &a.ring
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
		a.ahead += w.ahead
		if a.fresh == &a.ring {
			a.fresh = w
		}
	}
	a.count(w, &a.held, bytes)
	over := a.held+a.ahead > a.most
	a.mu.Unlock()
	if over {
		a.relieve()
	}
	return true
}

// take is hold, for what may be refused.
func (w *wait) take(bytes int64) bool {
	a := w.all
	a.mu.Lock()
	if others := a.held + a.calling - w.bytes; others > 0 && others+bytes > 2*a.most {
		a.remove(w)
		w.gone = true
	}
	a.mu.Unlock()
	return w.hold(bytes)
}

// keep says that it is the backend that is waited for, and how much is held
// meanwhile. It reports whether the caller was let go before.
func (w *wait) keep(bytes int64) (gone bool) {
	return w.end(func() {
		w.all.remove(w)
		if bytes >= heldSmall && !w.gone {
			w.all.count(w, &w.all.calling, bytes)
		}
	})
}

// done says that nothing is held any more. It reports whether the caller was let
// go. After it, letGo is not called.
func (w *wait) done() (gone bool) { return w.end(func() { w.all.remove(w) }) }

// close is done, for good.
func (w *wait) close() (gone bool) {
	w.end(func() {
		w.all.remove(w)
		gone, w.gone = w.gone, true
	})
	return gone
}

func (w *wait) end(how func()) (gone bool) {
	w.all.mu.Lock()
	how()
	gone = w.gone
	w.all.mu.Unlock()
	if gone {
		w.letting.Lock() // until that is over
		defer w.letting.Unlock()
	}
	return gone
}

// The lock is held while these are called.

// count says where how many bytes are counted from now on.
func (a *waiting) count(w *wait, in *int64, bytes int64) {
	if w.in != nil {
		*w.in -= w.bytes
	}
	*in += bytes
	w.in, w.bytes = in, bytes
}

func (a *waiting) remove(w *wait) {
	if w.next != nil {
		if a.fresh == w {
			a.fresh = w.next
		}
		w.prev.next, w.next.prev = w.next, w.prev
		w.prev, w.next = nil, nil
		a.ahead -= w.ahead
		if w.late {
			a.late -= w.ahead
			w.late = false
		}
	}
	if w.in != nil {
		*w.in -= w.bytes
	}
	w.in, w.bytes = nil, 0
}

// relieve lets callers go until what is held is within its bounds.
func (a *waiting) relieve() {
	for w := a.longest(); w != nil; w = a.longest() {
		w.letGo()
		w.letting.Unlock()
	}
}

// longest returns who is to be let go, or nil. Who alone is waited for stays: one
// answer may be larger than all are meant to be.
func (a *waiting) longest() *wait {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.age(time.Now())
	w := a.ring.next
	switch {
	case a.held+a.ahead <= a.most || w.next == &a.ring:
		return nil
	case a.held+a.late <= a.most || !w.late && a.held <= 2*a.most:
		if a.timer == nil {
			a.timer = time.AfterFunc(waitPatience-time.Since(a.fresh.since), a.later)
		}
		return nil
	}
	a.remove(w)
	w.gone = true
	w.letting.Lock()
	return w
}

// age finds out who has become late. The lock is held.
func (a *waiting) age(now time.Time) {
	for ; a.fresh != &a.ring && now.Sub(a.fresh.since) >= waitPatience; a.fresh = a.fresh.next {
		a.fresh.late = true
		a.late += a.fresh.ahead
	}
}

func (a *waiting) later() {
	a.mu.Lock()
	a.timer = nil
	a.mu.Unlock()
	a.relieve()
}
