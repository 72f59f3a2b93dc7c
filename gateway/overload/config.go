package overload

import (
	"cmp"
	"math/rand/v2"
	"time"

	"github.com/evenkeel/evenkeel/gateway/internal/setting"
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
	setting.Default(&c.MinLimit, 2)
	setting.Default(&c.MaxLimit, 10_000)
	setting.Default(&c.InitialLimit, min(max(100, c.MinLimit), c.MaxLimit))
	setting.Default(&c.Tolerance, 2)
	setting.Default(&c.DefaultShare, 0.9)
	setting.Default(&c.SheddableShare, min(0.75, c.DefaultShare))
	setting.Default(&c.Window, 100*time.Millisecond)
	setting.Default(&c.Probe, 30*time.Second)
	setting.Default(&c.RetryAfter, time.Second)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Random == nil {
		c.Random = rand.Float64
	}
	return cmp.Or(
		setting.InRange("MaxLimit", c.MaxLimit, 1, 1_000_000),
		setting.InRange("MinLimit", c.MinLimit, 1, c.MaxLimit),
		setting.InRange("InitialLimit", c.InitialLimit, c.MinLimit, c.MaxLimit),
		setting.InRange("Tolerance", c.Tolerance, 1.1, 10),
		setting.InRange("DefaultShare", c.DefaultShare, 0.1, 1),
		setting.InRange("SheddableShare", c.SheddableShare, 0.1, c.DefaultShare),
		setting.InRange("Window", c.Window, time.Millisecond, time.Minute),
		setting.InRange("Probe", c.Probe, time.Second, time.Hour),
		setting.InRange("RetryAfter", c.RetryAfter, time.Millisecond, time.Hour),
	)
}
