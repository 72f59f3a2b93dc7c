package sim

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestTheAgendaYieldsTheEarliestSource(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for _, n := range []int{1, 2, 5, 70} {
		a, times := newAgenda(n), make([]int64, n)
		for i := range times {
			times[i] = never
		}
		for range 5000 {
			i := random.IntN(n)
			times[i] = random.Int64N(100)
			if random.IntN(5) == 0 {
				times[i] = never
			}
			a.set(int32(i), times[i])
			source, at := a.next()
			if at != slices.Min(times) || times[source] != at {
				t.Fatalf("n=%d: source %d at %d; the times are %v", n, source, at, times)
			}
			if a.when(int32(i)) != times[i] {
				t.Fatalf("n=%d: source %d is at %d, want %d", n, i, a.when(int32(i)), times[i])
			}
		}
	}
}

func TestALaneIsInOrderOfTimeAndOfArrival(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 2))
	var l lane
	last, lastRequest := int64(-1), int32(-1)
	for i := range int32(20_000) {
		if first := l.push(entry{at: last + 1 + random.Int64N(30), request: i}); first && l.next() < last {
			t.Fatal("the head is in the past")
		}
		if random.IntN(3) > 0 || i > 15_000 {
			e := l.pop()
			if e.at < last || (e.at == last && e.request < lastRequest) {
				t.Fatalf("%v came after %d", e, last)
			}
			last, lastRequest = e.at, e.request
		}
	}
}
