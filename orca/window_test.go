package orca

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// at is a moment of a clock that starts at 0.
func at(d time.Duration) time.Time { return time.Unix(0, 0).Add(d) }

func TestRatesAreOfTheLastWindow(t *testing.T) {
	w := window{length: time.Second}
	var got rates
	// 100 calls in the first second, then 20, of which 5 failed, in the second.
	for step := range 21 {
		s := sample{at: at(time.Duration(step) * 100 * time.Millisecond)}
		s.finished = uint64(min(step, 10)*10 + max(step-10, 0)*2)
		s.failed = uint64(max(step-10, 0) / 2)
		s.cpu = float64(step) * 0.1 * 0.7
		got = w.add(s)
	}
	if got.window != time.Second || got.rps != 20 || got.eps != 5 || !near(got.cpu, 0.7) {
		t.Errorf("rates %+v, want 20 calls/s, 5 errors/s and 0.7 of the CPU over 1s", got)
	}
}

func near(a, b float64) bool { return a-b < 1e-9 && b-a < 1e-9 }

func TestAYoungWindowBeginsWithTheReporter(t *testing.T) {
	w := window{length: time.Second}
	if got := w.add(sample{at: at(0)}); got != (rates{}) {
		t.Errorf("rates %+v at the first sample, want none", got)
	}
	got := w.add(sample{at: at(100 * time.Millisecond), finished: 3})
	if got.window != 100*time.Millisecond || !near(got.rps, 30) {
		t.Errorf("rates %+v, want 30 calls/s over 100ms", got)
	}
}

func TestLateStepsMakeTheWindowLongerNotShorter(t *testing.T) {
	w := window{length: time.Second}
	w.add(sample{at: at(0)})
	w.add(sample{at: at(900 * time.Millisecond), finished: 90})
	got := w.add(sample{at: at(1700 * time.Millisecond), finished: 170})
	if got.window != 1700*time.Millisecond || !near(got.rps, 100) {
		t.Errorf("rates %+v, want 100 calls/s over 1.7s", got)
	}
}

func TestAStepThatComesALittleEarlyDoesNotStretchTheWindow(t *testing.T) {
	w := window{length: time.Second}
	var got rates
	for step := range 30 {
		early := time.Duration(step%2) * time.Millisecond
		got = w.add(sample{at: at(time.Duration(step)*100*time.Millisecond - early)})
	}
	if off := got.window - time.Second; off < -50*time.Millisecond || off > 50*time.Millisecond {
		t.Errorf("window %v, want 1s", got.window)
	}
}

func TestAStoppedProcessLeavesTheWindowAfterItsLength(t *testing.T) {
	w := window{length: time.Second}
	w.add(sample{at: at(0)})
	// Frozen for a minute; then 10 calls in each step.
	var got rates
	for step := range 11 {
		got = w.add(sample{
			at:       at(time.Minute + time.Duration(step)*100*time.Millisecond),
			finished: uint64(step * 10),
		})
	}
	if got.window != time.Second || got.rps != 100 {
		t.Errorf("rates %+v, want 100 calls/s over 1s", got)
	}
}

// TestTheWindowIsWhatASlowReferenceSays compares with keeping all samples.
func TestTheWindowIsWhatASlowReferenceSays(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		w := window{length: time.Second}
		all := []sample{{at: at(0)}}
		w.add(all[0])
		for range 60 {
			last := all[len(all)-1]
			finished := uint64(random.IntN(50))
			next := sample{
				// Steps are never early, and sometimes late.
				at:       last.at.Add(100*time.Millisecond + time.Duration(random.ExpFloat64()*float64(30*time.Millisecond))),
				finished: last.finished + finished,
				failed:   last.failed + uint64(random.IntN(int(finished)+1)),
			}
			all = append(all, next)
			got := w.add(next)

			base := all[0]
			for _, s := range all {
				if next.at.Sub(s.at) >= 950*time.Millisecond {
					base = s
				}
			}
			if want := between(base, next); got != want {
				t.Fatalf("rates %+v, want %+v", got, want)
			}
			if got.eps > got.rps {
				t.Fatalf("%v errors/s of %v calls/s", got.eps, got.rps)
			}
		}
	}
}

func TestTheTallySurvivesItsOverflow(t *testing.T) {
	var calls tally
	calls.word.Store(1<<64 - 2) // Two calls before both halves overflow.
	before := calls.word.Load()
	for i := range 10 {
		calls.add(i%5 == 0)
	}
	if finished, failed := since(before, calls.word.Load()); finished != 10 || failed != 2 {
		t.Errorf("%d finished, %d failed, want 10 and 2", finished, failed)
	}
}

func TestFailedCallsNeverExceedFinishedOnes(t *testing.T) {
	var calls tally
	var writers sync.WaitGroup
	const each = 20_000
	for range 4 {
		writers.Go(func() {
			for range each {
				calls.add(true)
			}
		})
	}
	var sumFinished, sumFailed uint64
	for last := uint64(0); sumFinished < 4*each; {
		now := calls.word.Load()
		finished, failed := since(last, now)
		if failed > finished {
			t.Fatalf("%d failed of %d finished", failed, finished)
		}
		sumFinished, sumFailed, last = sumFinished+finished, sumFailed+failed, now
	}
	writers.Wait()
	if sumFailed != 4*each {
		t.Errorf("%d failed, want %d", sumFailed, 4*each)
	}
}
