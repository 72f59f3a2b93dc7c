package latencies

import (
	"sync"
	"testing"
	"time"
)

func near(t *testing.T, what string, got, want time.Duration) {
	t.Helper()
	if got < want*99/100 || got > want*101/100 {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestCallsAreTakenTogetherByHowManyWereInFlight(t *testing.T) {
	var h History
	if d := h.Typical(0, 0); d != 0 {
		t.Errorf("before there was a call it is %v", d)
	}
	for range 10 {
		h.Add(0, 0, 10*time.Millisecond)
		h.Add(0, 20, time.Second)
	}
	near(t, "idle", h.Typical(0, 0), 10*time.Millisecond)
	near(t, "with one", h.Typical(0, 1), 10*time.Millisecond)
	near(t, "with 20", h.Typical(0, 20), time.Second)
	near(t, "with 35", h.Typical(0, 35), time.Second)
	for _, n := range []int{4, 100, 1e6} {
		if d := h.Typical(0, n); d != 0 {
			t.Errorf("with %d, which is not about as many as there were, it is %v", n, d)
		}
	}
}

func TestTheMeanIsGeometricAndOfLate(t *testing.T) {
	var h History
	h.Add(0, 0, time.Millisecond)
	h.Add(0, 0, 100*time.Millisecond)
	near(t, "two", h.Typical(0, 0), 10*time.Millisecond)
	for range 10 * recent {
		h.Add(0, 0, time.Second)
	}
	near(t, "after many", h.Typical(0, 0), time.Second)
}

// A single call is little to go by; with as many in flight as neighbours have calls, they tell.
func TestNeighboursAreAskedWhereCallsAreFew(t *testing.T) {
	var h History
	h.Add(0, 3, time.Hour)
	for range enough {
		h.Add(0, 5, time.Second)
	}
	near(t, "with three", h.Typical(0, 3), time.Second)
	var only History
	only.Add(0, 3, time.Hour)
	near(t, "none else", only.Typical(0, 2), time.Hour)
}

// A server that was slow once and has had no calls since is not to say so for ever.
func TestWhatIsOldIsNotTold(t *testing.T) {
	var h History
	for range recent {
		h.Add(0, 0, time.Second)
	}
	near(t, "after a while", h.Typical(stays, 0), time.Second)
	if d := h.Typical(stays+1, 0); d != 0 {
		t.Errorf("after a long while it is %v", d)
	}
	h.Add(stays+1, 0, time.Millisecond)
	near(t, "after one more call", h.Typical(stays+1, 0), time.Millisecond)
}

func TestWhatIsWrongDoesNoHarm(t *testing.T) {
	var h History
	h.Add(0, -5, -time.Second)
	h.Add(0, 1<<62, 0)
	if d := h.Typical(0, -1); d < 0 || d > 2 {
		t.Errorf("%v", d)
	}
}

func TestCallsMayEndConcurrently(t *testing.T) {
	var h History
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 1000 {
				h.Add(0, 1, time.Millisecond)
				h.Typical(0, 1)
			}
		})
	}
	all.Wait()
	near(t, "all of them", h.Typical(0, 1), time.Millisecond)
}

func BenchmarkAdd(b *testing.B) {
	var h History
	b.ReportAllocs()
	for b.Loop() {
		h.Add(0, 7, 12*time.Millisecond)
	}
}
