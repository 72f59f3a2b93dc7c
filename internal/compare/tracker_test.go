package compare

import (
	"math/rand/v2"
	"testing"
)

func TestCallsAreCountedWhereTheyWereSent(t *testing.T) {
	tr := newTracker()
	tr.at(0, "a")
	tr.at(1, "b")
	send := func(client int, address string) *sent {
		_, s := tr.follow(t.Context(), client)
		tr.sentTo(s, address)
		return s
	}
	before := send(0, "a")
	elsewhere := send(0, "b")
	over := send(1, "a")
	if r, hit := tr.done(over); r != 0 || hit {
		t.Errorf("a call that ended before: replica %d, hit %v", r, hit)
	}

	if err := tr.takeDown(0, func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	piled := send(0, "a") // this client waits there already
	probe := send(1, "a")
	moved := send(2, "a")
	tr.sentTo(moved, "b") // gRPC tries again
	if want := (events{inFlight: 1, probes: 2, piled: 1}); tr.counted() != want {
		t.Errorf("%+v, want %+v", tr.counted(), want)
	}
	tr.isBack(0)
	after := send(3, "a")
	for name, c := range map[string]struct {
		call *sent
		r    int
		hit  bool
	}{
		"in flight": {before, 0, true}, "elsewhere": {elsewhere, 1, false}, "piled on": {piled, 0, true},
		"probe": {probe, 0, true}, "tried again": {moved, 1, false}, "after": {after, 0, false},
	} {
		if r, hit := tr.done(c.call); r != c.r || hit != c.hit {
			t.Errorf("%s: replica %d, hit %v", name, r, hit)
		}
	}
	if tr.inFlight != [replicas][clients]int{} {
		t.Errorf("left in flight: %v", tr.inFlight)
	}
	_, never := tr.follow(t.Context(), 0)
	if r, hit := tr.done(never); r != -1 || hit {
		t.Errorf("a call that was never sent: %d, %v", r, hit)
	}
}

func TestInFlightReturnsToZeroWhateverHappens(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	tr := newTracker()
	addresses := []string{"a", "b", "c", "unknown"}
	for r, a := range addresses[:3] {
		tr.at(r, a)
	}
	var open []*sent
	for range 5000 {
		switch random.IntN(6) {
		case 0, 1:
			_, s := tr.follow(t.Context(), random.IntN(clients))
			open = append(open, s)
		case 2, 3:
			if len(open) > 0 {
				tr.sentTo(open[random.IntN(len(open))], addresses[random.IntN(4)])
			}
		case 4:
			if len(open) > 0 {
				i := random.IntN(len(open))
				tr.done(open[i])
				open[i] = open[len(open)-1]
				open = open[:len(open)-1]
			}
		case 5:
			tr.takeDown(random.IntN(3), func() error { return nil })
			tr.isBack(random.IntN(3))
		}
	}
	for _, s := range open {
		tr.done(s)
	}
	if tr.inFlight != [replicas][clients]int{} {
		t.Errorf("%v", tr.inFlight)
	}
}
