package orca

import (
	"sync/atomic"
	"time"
)

// steps is how many times the window is sampled while it passes.
const steps = 10

// tally counts finished calls and, of those, failed ones, in one word: its lower
// half counts the finished and its upper half the failed, each modulo 2^32. One
// addition counts both, so that no reader ever sees a failed call that has not
// finished.
type tally struct{ word atomic.Uint64 }

func (t *tally) add(failed bool) {
	if failed {
		t.word.Add(1<<32 | 1)
		return
	}
	t.word.Add(1)
}

// since returns the calls counted between two readings of the word. The carry
// that the lower half gives the upper one when it overflows cancels out in the
// difference, as long as fewer than 2^32 calls finish in between.
func since(before, now uint64) (finished, failed uint64) {
	diff := now - before
	return diff & (1<<32 - 1), diff >> 32
}

// sample is what had been counted, since the reporter began, at a moment. The
// difference between two samples is what happened in between.
type sample struct {
	at       time.Time
	finished uint64
	failed   uint64
	// cpu is the integral of CPU utilization over time, in seconds: CPU time
	// divided by the cores there were at the time.
	cpu float64
	// application is the integral of the application's utilization, over the
	// applicationTime seconds for which it was known.
	application     float64
	applicationTime float64
}

// rates are means over one window.
type rates struct {
	window      time.Duration
	rps         float64
	eps         float64
	cpu         float64
	application float64
}

// window keeps the samples of the last length of time.
type window struct {
	length  time.Duration
	samples [steps + 1]sample // the newest is at next-1
	next    int
	count   int
}

// add puts in a sample, and returns the means over the window that ends with it.
func (w *window) add(s sample) rates {
	w.samples[w.next] = s
	w.next = (w.next + 1) % len(w.samples)
	w.count = min(w.count+1, len(w.samples))
	return between(w.base(s.at), s)
}

// base returns the sample the window begins with: the youngest that is as old as
// the window is long, or else the oldest. A step that came a little early must
// not make the window a whole step longer, hence the half step of tolerance.
func (w *window) base(now time.Time) sample {
	enough := w.length - w.length/steps/2
	var s sample
	for back := range w.count {
		s = w.samples[(w.next-1-back+2*len(w.samples))%len(w.samples)]
		if now.Sub(s.at) >= enough {
			break
		}
	}
	return s
}

// between returns the means between two samples; nothing if no time is between
// them.
func between(from, to sample) rates {
	elapsed := to.at.Sub(from.at)
	if elapsed <= 0 {
		return rates{}
	}
	seconds := elapsed.Seconds()
	r := rates{
		window: elapsed,
		rps:    float64(to.finished-from.finished) / seconds,
		eps:    float64(to.failed-from.failed) / seconds,
		cpu:    (to.cpu - from.cpu) / seconds,
	}
	if known := to.applicationTime - from.applicationTime; known > 0 {
		r.application = (to.application - from.application) / known
	}
	return r
}
