package overload

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"time"
)

// Config says how a [Limiter] limits. Zero stands for the default of each field;
// [New] refuses values outside the stated ranges with the field's name.
type Config struct {
	// InitialLimit is how many calls may be in flight before anything was
	// measured. MinLimit to MaxLimit; default 100, or the nearest of those.
	InitialLimit int

	// MinLimit and MaxLimit bound the limit, however long calls take. 1 to
	// 1,000,000; default 2 and 10,000.
	MinLimit, MaxLimit int

	// Tolerance is how much longer calls may take than they do at light load:
	// the limit settles where their mean is so many times as long. More keeps
	// every worker busy even if the load is spread unevenly over them, less
	// keeps calls short. 1.1 to 10; default 2.
	Tolerance float64

	// DefaultShare and SheddableShare are what part of the limit calls of these
	// classes may fill, together with all others; the rest is kept for those
	// before them. 0.1 to 1, and SheddableShare at most DefaultShare; default
	// 0.9 and 0.75. At least one call of each fits.
	DefaultShare, SheddableShare float64

	// Window is how long is measured, at least, before the limit is changed.
	// 1 ms to 1 min; default 100 ms.
	Window time.Duration

	// Probe is how long the limit may hold calls back before the load is made
	// light for a moment, to see how long calls take then. Up to one time in
	// ten is added by chance, so that many gateways do not do it at once. 1 s
	// to 1 h; default 30 s.
	Probe time.Duration

	// RetryAfter is what callers that are refused are told to wait. 1 ms to
	// 1 h; default 1 s.
	RetryAfter time.Duration

	// Now is the clock. Default [time.Now].
	Now func() time.Time

	// Random returns a number from 0 up to 1. It is called with a lock held.
	// Default: that of math/rand/v2.
	Random func() float64
}

// complete checks a config and sets its defaults. An error starts with the
// field.
func (c *Config) complete() error {
	setDefault(&c.MinLimit, 2)
	setDefault(&c.MaxLimit, 10_000)
	setDefault(&c.InitialLimit, min(max(100, c.MinLimit), c.MaxLimit))
	setDefault(&c.Tolerance, 2)
	setDefault(&c.DefaultShare, 0.9)
	setDefault(&c.SheddableShare, min(0.75, c.DefaultShare))
	setDefault(&c.Window, 100*time.Millisecond)
	setDefault(&c.Probe, 30*time.Second)
	setDefault(&c.RetryAfter, time.Second)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Random == nil {
		c.Random = rand.Float64
	}
	return cmp.Or(
		inRange("MaxLimit", c.MaxLimit, 1, 1_000_000),
		inRange("MinLimit", c.MinLimit, 1, c.MaxLimit),
		inRange("InitialLimit", c.InitialLimit, c.MinLimit, c.MaxLimit),
		inRange("Tolerance", c.Tolerance, 1.1, 10),
		inRange("DefaultShare", c.DefaultShare, 0.1, 1),
		inRange("SheddableShare", c.SheddableShare, 0.1, c.DefaultShare),
		inRange("Window", c.Window, time.Millisecond, time.Minute),
		inRange("Probe", c.Probe, time.Second, time.Hour),
		inRange("RetryAfter", c.RetryAfter, time.Millisecond, time.Hour),
	)
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func inRange[T cmp.Ordered](field string, value, least, most T) error {
	// Written so that a number that is none is out of range.
	if !(value >= least && value <= most) {
		return fmt.Errorf("%s: %v is out of range; %v to %v", field, value, least, most)
	}
	return nil
}
