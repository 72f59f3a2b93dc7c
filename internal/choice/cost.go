package choice

import "math"

const (
	// unknownPerRequest stands in while nobody in the fleet has answered. Any
	// value does: all endpoints are then compared by their in-flight alone.
	unknownPerRequest = 1e6
	// errorPenalty is how steeply errors raise the cost: at an error rate of
	// 5 % it is 1.5 times as high, at 50 % some 11 times.
	errorPenalty = 10
	// patience is how many times as long as it takes on average until a call in flight is
	// answered nothing may be heard before that counts. Of answers that come at random one in
	// 400 takes as long; where calls differ much more do.
	patience = 6
	// neglectedPicks is how many picks for each endpoint one is neglected before its cost
	// counts half. Fewer would be felt where servers differ or are busy: with 100 the tail is
	// 3 % longer where some have become slow.
	neglectedPicks = 1000
	// negligible is how much of that is not worth a division.
	negligible = 1.02
	// maxUtilizationQueue bounds the queue that a utilization near 1 stands for.
	maxUtilizationQueue = 20
)

// outlook is what does not differ between the endpoints that one pick looks at.
type outlook struct {
	*shared
	now       int64
	distances *distances // of the fleet that is picked from; nil if there are none

	explanation *Explanation // nil, but for a pick now and then
}

func (g *Group) outlook(now int64) outlook { return outlook{shared: g.shared.Load(), now: now} }

// fade is how much knowledge of time at is worth now: 1 when it is news,
// falling linearly to 0 over the window.
func (o *outlook) fade(at int64) float64 {
	age := o.now - at
	switch {
	case at == 0 || age >= o.window:
		return 0
	case age <= o.window>>paceSlack:
		return 1
	}
	return 1 - float64(age)*o.params.perWindow
}

// cost is the time, in nanoseconds, that one more call is expected to take:
//
//	max(about at least(per-request time x (queue + 1), certain per-request time x spare), unusual silence) x error penalty
//
// A pick adds to the queue what may have come since it was heard of.
func (e *Endpoint) cost(o *outlook, f *facts) float64 {
	cost, _ := e.estimate(o, f, float64(e.inFlight()), 0)
	if rate := o.errorRate(f); rate > 0 {
		cost *= penalty(rate)
	}
	return cost
}

// estimate is the cost of an endpoint without errors, and the queue that it is
// made from, where own are this client's calls in flight, and unseen is how many
// of others may have come.
func (e *Endpoint) estimate(o *outlook, f *facts, own, unseen float64) (cost, queue float64) {
	cost, queue = o.expect(f, own, unseen)
	if own > 0 {
		// Where nothing was heard for so long, it is likely to be as long again.
		cost = max(cost, e.unusualSilence(o.now, cost/own))
	}
	return cost, queue
}

// expect is the same for an endpoint that answers.
func (o *outlook) expect(f *facts, own, unseen float64) (cost, queue float64) {
	perRequest := o.perRequest(f)
	queue = o.queue(f, own, perRequest)
	cost = perRequest * (queue + 1 + unseen)
	if o.spare > 0 {
		cost = atLeastAbout(cost, o.certain(f)*o.spare)
	}
	return cost, queue
}

// penalty is the factor by which an error rate raises the cost.
func penalty(rate float64) float64 { return 1 + errorPenalty*rate/(1.01-rate) }

func (o *outlook) perRequest(f *facts) float64 {
	return o.prior + o.fade(f.perRequestAt)*(float64(f.perRequest)-o.prior)
}

// certain is the per-request time as far as it is beyond doubt; the rest is what is typical.
func (o *outlook) certain(f *facts) float64 {
	return o.prior + o.fade(f.perRequestAt)*(float64(f.certain)-o.prior)
}

// queue is how many calls are expected to be before a new one. It is never
// less than this client's own in-flight. Where nothing was heard, others are
// presumed to have there what they have elsewhere.
func (o *outlook) queue(f *facts, own, perRequest float64) float64 {
	known := o.fade(f.reportedAt)
	if known == 0 || f.inFlight < 0 && f.utilization < 0 {
		return own + o.others
	}
	others := float64(f.inFlightMean) * (1 - o.ownShare)
	if f.inFlight >= 0 { // a utilization is a mean over some time: of the moment it says nothing
		then := max(float64(f.inFlight)-float64(f.ownThen), 0)
		others += o.news.worth(float64(o.now-f.reportedAt), perRequest) * (then - others)
	}
	return own + o.others + known*(others-o.others)
}

// utilizationQueue is how many are in an M/M/1 queue at a utilization.
func utilizationQueue(utilization float64) float64 {
	u := min(utilization, 0.99)
	return min(u/(1-u), maxUtilizationQueue)
}

// silence is for how long calls have waited with none answered, in nanoseconds.
func (e *Endpoint) silence(now int64) int64 {
	if e.inFlight() <= e.streams.Load() {
		return 0
	}
	return max(now-e.waitingSince.Load(), 0)
}

// unusualSilence is how much longer calls have waited with none answered, in nanoseconds,
// than may be where it takes that long on average until one is.
func (e *Endpoint) unusualSilence(now int64, average float64) float64 {
	return max(float64(e.silence(now))-patience*average, 0)
}

// neglect is what the cost is divided by, because no call has been made to the endpoint for
// long. What is known of it may be wrong, and only a call can show that. The dearer it is the
// longer it is left, so that what it costs to find out is the same: at most one call in
// neglectedPicks takes as much longer as one usually takes.
func (e *Endpoint) neglect(o *outlook, own int64) float64 {
	since := e.waitingSince.Load()
	if own > 0 || since == 0 {
		return 1
	}
	return 1 + max(float64(o.now-since), 0)*o.neglected
}

// errorRate is the higher of what this client saw and what the server says.
func (o *outlook) errorRate(f *facts) float64 {
	if f.errorRate <= 0 && f.reportedErrorRate <= 0 {
		return 0
	}
	return max(float64(f.errorRate)*o.fade(f.errorAt), float64(f.reportedErrorRate)*o.fade(f.reportedAt))
}

// weight is which part of its fair share, 0 to 1, the endpoint may have now:
// less than 1 while its server is young, or shortly after probation.
func (e *Endpoint) weight(o *outlook) float64 {
	p := o.params
	w := ramp(o.now-e.startedAt.Load(), int64(p.SlowStartWindow), p.SlowStartAggression, p.SlowStartMinWeight)
	if proven := e.provenAt.Load(); proven != notProven {
		w = min(w, ramp(o.now-proven, int64(p.ProbationRamp), 1, p.SlowStartMinWeight))
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
