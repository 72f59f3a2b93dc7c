package loadreport

import "time"

// steps is how many steps the window of package orca moves in.
const steps = 10

// sample is what had been counted at a moment.
type sample struct {
	at               time.Time
	finished, failed uint64
}

// rates are means over a window.
type rates struct{ rps, eps float64 }

// window keeps the samples of its length. It has no clock and no lock.
type window struct {
	length  time.Duration
	samples []sample // the newest is the last
}

func newWindow(length time.Duration, now time.Time) window {
	return window{length: length, samples: []sample{{at: now}}}
}

// add takes a sample in and returns the means over the window that ends with it:
// since the youngest sample that is as old as the window is long, or else the
// oldest. Half a step of tolerance keeps a step that comes a little early from
// making the window a whole step longer.
func (w *window) add(s sample) rates {
	w.samples = append(w.samples, s)
	enough := w.length - w.length/steps/2
	for len(w.samples) > 2 && s.at.Sub(w.samples[1].at) >= enough {
		w.samples = append(w.samples[:0], w.samples[1:]...)
	}
	from := w.samples[0]
	elapsed := s.at.Sub(from.at).Seconds()
	if elapsed <= 0 {
		return rates{}
	}
	return rates{rps: float64(s.finished-from.finished) / elapsed, eps: float64(s.failed-from.failed) / elapsed}
}
