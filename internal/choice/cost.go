package choice

import "math"

const (
	// unknownPerRequest stands in while nobody in the fleet has answered. Any
	// value does: all endpoints are then compared by their in-flight alone.
	unknownPerRequest = 1e6
	// errorPenalty is how steeply errors raise the cost: at an error rate of
	// 5 % it is 1.5 times as high, at 50 % some 11 times.
	errorPenalty = 10
	// maxUtilizationQueue bounds the queue that a utilization near 1 stands for.
	maxUtilizationQueue = 20
	// inFlightMemory is for how many requests' time a reported in-flight count
	// says more than its mean.
	inFlightMemory = 8
)

// cost is the time, in nanoseconds, that one more call is expected to take:
//
//	max(per-request time x (queue + 1), silence) x error penalty
//
// own is this client's in-flight count.
func (e *Endpoint) cost(now int64, f *facts, own float64) float64 {
	window := int64(e.group.params().DecayWindow)
	known := fade(now, f.perRequestAt, window)
	perRequest := e.group.prior()
	perRequest += known * (f.perRequest - perRequest)

	expected := perRequest * (e.queue(now, f, own, perRequest, window) + 1)
	if silence := float64(e.silence(now)); silence > expected {
		// A call that has waited this long is likely to wait as long again.
		expected = silence
	}
	rate := e.errorRate(now, f, window)
	return expected * (1 + errorPenalty*rate/(1.01-rate))
}

// queue is how many calls are expected to be before a new one. It is never
// less than this client's own in-flight.
func (e *Endpoint) queue(now int64, f *facts, own, perRequest float64, window int64) float64 {
	switch {
	case f.inFlightAt != 0 && fade(now, f.inFlightAt, window) > 0:
		// A report is of the past: its count goes back to the mean of that
		// server, and what was sent since is added.
		age := float64(now-f.inFlightAt) / (inFlightMemory * perRequest)
		seen := f.inFlightMean + (f.inFlight-f.inFlightMean)/(1+age)
		known := fade(now, f.inFlightAt, window)
		return max(own, known*seen+float64(e.sentSince.Load()))
	case f.utilizationAt != 0:
		// In an M/M/1 queue, u/(1-u) are in the system at utilization u.
		u := min(max(f.utilization, 0), 0.99)
		return own + fade(now, f.utilizationAt, window)*min(u/(1-u), maxUtilizationQueue)
	default:
		return own
	}
}

// silence is for how long calls have waited with none answered, in nanoseconds.
func (e *Endpoint) silence(now int64) int64 {
	if e.waiting.Load() == 0 {
		return 0
	}
	return max(now-e.waitingSince.Load(), 0)
}

// errorRate is the higher of what this client saw and what the server says.
func (e *Endpoint) errorRate(now int64, f *facts, window int64) float64 {
	return max(
		f.errorRate*fade(now, f.errorAt, window),
		f.reportedErrorRate*fade(now, f.utilizationAt, window),
	)
}

// fade is how much knowledge of time at is worth now: 1 when it is news,
// falling linearly to 0 over the window.
func fade(now, at, window int64) float64 {
	if at == 0 {
		return 0
	}
	age := now - at
	if age <= 0 {
		return 1
	}
	if age >= window {
		return 0
	}
	return 1 - float64(age)/float64(window)
}

// weight is which part of its fair share, 0 to 1, the endpoint may have now:
// less than 1 while its server is young, or shortly after probation.
func (e *Endpoint) weight(now int64) float64 {
	p := e.group.params()
	w := ramp(now-e.startedAt.Load(), int64(p.SlowStartWindow), p.SlowStartAggression, p.SlowStartMinWeight)
	if proven := e.provenAt.Load(); proven != notProven {
		w = min(w, ramp(now-proven, int64(p.ProbationRamp), 1, p.SlowStartMinWeight))
	}
	return w
}

// ramp rises from low to 1 over the window, bent by aggression as Envoy's slow start.
func ramp(age, window int64, aggression, low float64) float64 {
	if window <= 0 || age >= window {
		return 1
	}
	if age <= 0 {
		return low
	}
	x := float64(age) / float64(window)
	if aggression != 1 {
		x = math.Pow(x, 1/aggression)
	}
	return max(x, low)
}
