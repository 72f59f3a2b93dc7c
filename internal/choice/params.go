package choice

import "time"

// Params are what the decisions depend on. DefaultParams gives each field's
// default; the policy's public config documents and checks them.
type Params struct {
	// ErrorRateThreshold: an endpoint with a higher error rate is passed over.
	// 1 or more turns this off.
	ErrorRateThreshold float64
	// UtilizationThreshold: an endpoint with a higher utilization is passed
	// over. 0 turns this off.
	UtilizationThreshold float64
	// FreshCandidates is how many of the endpoints that answered last a pick
	// looks at, to compare the cheapest with one drawn at random. 0 for none:
	// two drawn at random are compared.
	FreshCandidates int
	// FilterDraws is how many endpoints are looked at, at most, in search of
	// two that are not passed over. At least 2.
	FilterDraws int
	// PanicThreshold is the share of endpoints, 0 to 1, that must be left by
	// the filters for them to be heeded.
	PanicThreshold float64
	// DecayWindow is how long knowledge takes to fade to nothing without news.
	DecayWindow time.Duration
	// SlowStartWindow is how long a new server is warmed up; 0 for not at all.
	SlowStartWindow time.Duration
	// SlowStartAggression bends the ramp: the weight is (age/window)^(1/aggression).
	SlowStartAggression float64
	// SlowStartMinWeight is the weight, 0 to 1, that warmup begins with.
	SlowStartMinWeight float64
	// ProbationRamp is how long an endpoint that leaves probation takes to
	// get its whole share.
	ProbationRamp time.Duration
	// StreamAnswerAge is how long a stream must have been open to count as an
	// answer.
	StreamAnswerAge time.Duration
	// UnansweredFailures is how many failed calls in a row without an answer
	// send an endpoint back to probation.
	UnansweredFailures int
	// MaxPushback bounds how long an endpoint can ask to be passed over.
	MaxPushback time.Duration

	// DistanceWeight is for how much expected latency a unit of distance counts
	// while what is nearer is idle. 0: no endpoint is preferred for being near.
	DistanceWeight float64

	// ProbesPerCall is how many probes, at most, are sent for each call, on average.
	// 0 turns probing off.
	ProbesPerCall float64

	perWindow float64 // 1/DecayWindow
}

// DefaultParams returns the defaults.
func DefaultParams() Params {
	return Params{
		ErrorRateThreshold:  0.5,
		FreshCandidates:     4,
		FilterDraws:         8,
		PanicThreshold:      0.5,
		DecayWindow:         30 * time.Second,
		SlowStartWindow:     90 * time.Second,
		SlowStartAggression: 1,
		SlowStartMinWeight:  0.1,
		ProbationRamp:       10 * time.Second,
		StreamAnswerAge:     5 * time.Second,
		UnansweredFailures:  3,
		MaxPushback:         30 * time.Second,
		DistanceWeight:      2,
	}
}
