package choice

import (
	"testing"
	"time"
)

// claims is a report of a server that tells nothing but how many are there and what they take.
func claims(inFlight float64, latency int64) Report {
	r := NoReport()
	r.InFlight, r.Latency = inFlight, time.Duration(latency)
	return r
}

// Of a server that this client never called, and that is idle, what it says of its latency
// is all that tells how fast it is.
func TestWhatAServerSaysOfItsLatencyTellsHowSlowItIs(t *testing.T) {
	p := DefaultParams()
	p.ProbesPerCall = 1
	g, f, now := provenFleet(t, p, 3)
	unknown := g.NewEndpoint(now)
	unknown.prove(now)
	for i := range 2 {
		f.Endpoint(i).Probed(now, claims(0, 2*ms)) // calls of 10 ms: 8 ms are the way
	}
	if g.claimScale.count.Load() == 0 {
		t.Fatal("nothing was learned of the scale")
	}
	before := costAt(unknown, now)
	unknown.Probed(now, claims(0, 20*ms))
	if after := costAt(unknown, now); after < 3*before {
		t.Errorf("it says that it is ten times as slow as others; its cost was %v, and is %v", before, after)
	}
	if unknown.perRequestFrom != FromLatency {
		t.Errorf("the time of a request is from %v, want reported latency", unknown.perRequestFrom)
	}
}

// How long the way is, and what kind of mean a server takes, does not matter: only how servers
// differ is heeded.
func TestAllServersMayClaimTheSame(t *testing.T) {
	for _, latency := range []int64{1, 2 * ms, 1000 * sec} {
		_, f, now := provenFleet(t, DefaultParams(), 3)
		before := costAt(f.Endpoint(0), now)
		for range 3 {
			for i := range 3 {
				now += ms
				f.Endpoint(i).Probed(now, claims(0, latency))
			}
		}
		if after := costAt(f.Endpoint(0), now); after < 0.99*before || after > 1.01*before {
			t.Errorf("all claim %v ns: the cost of one was %v, and is %v", latency, before, after)
		}
	}
}

// What a server says with a call is of that call's client to judge by the call itself.
func TestALatencyThatComesWithACallIsNotHeeded(t *testing.T) {
	_, f, now := provenFleet(t, DefaultParams(), 2)
	told(f.Endpoint(0), now, 10*ms, claims(0, 3600*sec))
	if c := &f.Endpoint(0).claim; c.at != 0 {
		t.Errorf("it was taken in: %+v", c)
	}
}
