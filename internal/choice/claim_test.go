package choice

import (
	"math"
	"slices"
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

// What the scale of the claims is learned from must not be made of claims. Else, where a few are
// much slower than most, it grows with what it was learned from: until whoever was called last
// costs a part of what all others are taken to cost, and has all calls.
func TestTheScaleOfClaimsDoesNotFeedOnItself(t *testing.T) {
	for name, rps := range map[string]float64{"idle": 0.05, "with accounts of few requests": 2} {
		const n, minutes = 20, 2
		g, f, now := provenFleet(t, DefaultParams(), n)
		random := newRandom(1)
		takes := func(i int) int64 {
			typical := 10 * ms
			if i%5 == 0 {
				typical *= 8
			}
			return int64(float64(typical) * (0.8 + 0.4*unit(random)))
		}
		var calls [n]int
		var prior, first float64
		for step := range minutes * 600 {
			now += 100 * ms
			if step%10 == 0 {
				for i := range n {
					latency := takes(i)
					r := claims(0, latency)
					r.RPS, r.Utilization, r.Uptime = rps, rps*float64(latency)/float64(sec), time.Duration(now)
					f.Endpoint(i).Reported(now, r)
				}
			}
			if step%5 == 0 {
				i := f.Pick(now, random)
				calls[i]++
				answer(f.Endpoint(i), now, takes(i))
			} else {
				g.refresh(now, f.endpoints)
			}
			if prior = g.shared.Load().prior / float64(ms); step == 300 {
				first = prior
			}
		}
		if truth := 10 * math.Pow(8, 0.2); prior > 2*truth || prior < truth/2 || prior > 1.5*first || prior < first/1.5 {
			t.Errorf("%s: typical are %.4g ms, %.4g after half a minute, want about %.3g", name, prior, first, truth)
		}
		if scale := math.Exp(g.claimScale.value()); scale > 2 || scale < 0.5 {
			t.Errorf("%s: calls are taken to last %.4g times what servers claim, want as long", name, scale)
		}
		if most := slices.Max(calls[:]); most > minutes*120*9/10 {
			t.Errorf("%s: of %d calls one endpoint has %d: %v", name, minutes*120, most, calls)
		}
	}
}

// What was seen of a server long ago says nothing of what it claims now.
func TestCallsOfLongAgoDoNotTeachTheScaleOfClaims(t *testing.T) {
	g, f, now := provenFleet(t, DefaultParams(), 2)
	now += 40 * sec
	f.Endpoint(0).Reported(now, claims(0, ms))
	if n := g.claimScale.count.Load(); n != 0 {
		t.Errorf("calls of 40 s before have taught the scale %v", g.claimScale.value())
	}
	answer(f.Endpoint(0), now, 10*ms)
	f.Endpoint(0).Reported(now+10*ms, claims(0, ms))
	if n := g.claimScale.count.Load(); n != 1 {
		t.Error("a call of just now has taught the scale nothing")
	}
}

// A server that was slow when it had much to do, and has nothing to do any more, gives no
// account: what it gave is forgotten, though it may be heard of every second.
func TestAnAccountIsForgottenOfAServerThatIsIdle(t *testing.T) {
	for name, hear := range map[string]func(*Endpoint, int64, Report){
		"out of band": (*Endpoint).Reported, "by probes": (*Endpoint).Probed,
	} {
		p := DefaultParams()
		p.ProbesPerCall = 1
		g, f, now := provenFleet(t, p, 4)
		slow := f.Endpoint(3)
		ratio := func() float64 { return costAt(slow, now) / costAt(f.Endpoint(0), now) }
		for range 50 {
			now += 100 * ms
			for i := range 4 {
				r, latency := busy(0), 10*ms
				if i == 3 {
					r.RPS, latency = r.RPS/10, 100*ms
				}
				told(f.Endpoint(i), now, latency, r)
			}
			g.refresh(now, f.endpoints)
		}
		if r := ratio(); r < 2 {
			t.Fatalf("by its account and by its calls a server is ten times as slow; it costs %v times as much", r)
		}
		for range 45 {
			now += sec
			for i := range 4 {
				r := claims(0, 10*ms) // as all others do
				r.Utilization, r.RPS, r.Uptime = 0.004, 0.2, time.Duration(now)
				hear(f.Endpoint(i), now, r)
			}
			g.refresh(now, f.endpoints)
		}
		if r := ratio(); r > 1.1 || r < 0.9 {
			t.Errorf("%s: 45 s after it had something to do it costs %v times as much as others, want as much", name, r)
		}
		// So what it claims is all that there is, and is heeded at once.
		now += sec
		hear(slow, now, claims(0, 100*ms))
		if r := ratio(); r < 2 {
			t.Errorf("%s: it claims to be ten times as slow as others, and costs %v times as much", name, r)
		}
	}
}

// What is heard of a new server is neither forgotten with the old one nor compared with it.
func TestWhatANewServerClaimsIsItsOwn(t *testing.T) {
	g, f, now := provenFleet(t, DefaultParams(), 3)
	e, other := f.Endpoint(0), f.Endpoint(1)
	for range 20 {
		now += 10 * ms
		for i := range 3 {
			r := claims(0, 10*ms)
			r.Uptime = time.Hour + time.Duration(now)
			f.Endpoint(i).Reported(now, r)
		}
	}
	before, scale := costAt(e, now), g.claimScale.value()
	r := claims(0, 100*ms)
	r.Uptime = time.Second
	e.Reported(now, r)
	if after := costAt(e, now); after < 3*before {
		t.Errorf("the new server claims to be ten times as slow; the old one cost %v, it costs %v, another %v", before, after, costAt(other, now))
	}
	if after := g.claimScale.value(); after != scale {
		t.Errorf("by the claim of a new server and the calls of the old one the scale has changed from %v to %v", scale, after)
	}
}
