package ratelimit

import (
	"cmp"
	"time"

	"github.com/evenkeel/evenkeel/gateway/internal/setting"
)

// Bounds of a rate. Together they keep every time that is calculated far from
// where an int64 of nanoseconds ends.
const (
	minPeriod   = time.Millisecond
	maxPeriod   = 31 * 24 * time.Hour
	minInterval = time.Microsecond
	maxRecovery = 366 * 24 * time.Hour
)

// A Rate is how many calls may be made in a time.
type Rate struct {
	// Requests is how many calls a period has room for. At least 1, and at most
	// one for each microsecond of Period.
	Requests int64
	// Period is 1 ms to 31 days.
	Period time.Duration
	// Burst is how many calls may come at once. At least 1; zero stands for as
	// many as Requests. One that takes longer than 366 days to come back is
	// refused.
	Burst int64
}

// complete checks a rate and sets its defaults. An error starts with the field.
func (r *Rate) complete() error {
	if err := cmp.Or(
		setting.InRange("Period", r.Period, minPeriod, maxPeriod),
		setting.InRange("Requests", r.Requests, 1, int64(r.Period/minInterval)),
	); err != nil {
		return err
	}
	if r.Burst == 0 {
		r.Burst = r.Requests
	}
	return setting.InRange("Burst", r.Burst, 1, int64(maxRecovery/r.interval()))
}

// interval is the time that one call takes up. It is rounded up, so that never
// more pass than was said.
func (r Rate) interval() time.Duration {
	n := time.Duration(r.Requests)
	return (r.Period + n - 1) / n
}

// A Result is where a key stands with its rate.
type Result struct {
	// Allowed says whether there was room for the call.
	Allowed bool
	// Remaining is how many calls there is room for now.
	Remaining int64
	// RetryAfter is when there is room for one, if there is none now.
	RetryAfter time.Duration
	// Reset is when all is as if no call had been made.
	Reset time.Duration
}

// Decide is the generic cell rate algorithm, for stores. full is when, on any
// clock, the key will be as if no call had been made; a time that is past, such
// as that of a key not seen before, is as good as now. It returns what full
// becomes if the call is counted.
func (r Rate) Decide(full, now time.Duration) (counted time.Duration, result Result) {
	full = max(full, now)
	counted = full + r.interval()
	// The last call that fits ends within what a burst takes up.
	if over := counted - now - r.recovery(); over > 0 {
		return full, Result{RetryAfter: over, Reset: full - now}
	}
	return counted, Result{Allowed: true, Remaining: r.room(counted - now), Reset: counted - now}
}

// peek is where a key stands when a call is not counted, since another policy
// refused it.
func (r Rate) peek(full, now time.Duration) Result {
	taken := max(full, now) - now
	return Result{Allowed: true, Remaining: r.room(taken), Reset: taken}
}

// recovery is how long it takes until a burst may come again.
func (r Rate) recovery() time.Duration { return r.interval() * time.Duration(r.Burst) }

// room is for how many calls there is room if so much is taken up.
func (r Rate) room(taken time.Duration) int64 { return int64((r.recovery() - taken) / r.interval()) }
