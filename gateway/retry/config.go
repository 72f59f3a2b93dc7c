package retry

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/evenkeel/evenkeel/gateway/internal/setting"
)

// Config says when calls are made again, and how much time they get. Zero stands
// for the default of each field; [Wrap] refuses values outside the stated ranges
// with the field's name.
type Config struct {
	// MaxAttempts is how often a call is made at most, the first time included.
	// 1 to 5, as in gRFC A6; default 3. 1 makes none again.
	MaxAttempts int

	// Codes are those that another try may cure. Default UNAVAILABLE. OK,
	// CANCELLED, INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS,
	// PERMISSION_DENIED, UNAUTHENTICATED, FAILED_PRECONDITION, OUT_OF_RANGE and
	// UNIMPLEMENTED are refused: they would be the same again.
	Codes []codes.Code

	// Idempotent are methods that may be made again although their protos do
	// not say so, by full name: `/package.Service/Method`.
	Idempotent []string

	// InitialBackoff is the longest wait before the first retry; each further
	// one may be twice as long, up to MaxBackoff. The wait is drawn evenly from
	// nothing up to that. 1 ms to 1 min; default 25 ms and 500 ms.
	InitialBackoff, MaxBackoff time.Duration

	// AttemptTimeout ends an attempt that takes longer, so that another one may
	// be made. Only calls that may be made again have it. 1 ms to 1 h; default
	// none.
	AttemptTimeout time.Duration

	// Timeout is how long a unary call may take whose context has no deadline.
	// 1 ms to 24 h; default 15 s. Streams without a deadline have none.
	Timeout time.Duration

	// Reserve is how much of its time a call does not get, so that its caller
	// can still be answered; at most a tenth of it. Up to 10 s; default 20 ms.
	// Negative for none.
	Reserve time.Duration

	// Budget bounds how many retries there are.
	Budget Budget

	// Now, Random and Sleep are for tests. Defaults: [time.Now]; a number from
	// 0 up to 1 of math/rand/v2; a timer that ends with the context.
	Now    func() time.Time
	Random func() float64
	Sleep  func(context.Context, time.Duration) error
}

// Budget bounds retries over all calls of a connection.
type Budget struct {
	// Ratio is how many retries there may be for each call. Above 0 to 1;
	// default 0.1: retries add a tenth of the load at most.
	Ratio float64
	// MinPerSecond is how many retries there may be besides, so that few calls
	// can be made again, too. Up to 1000; default 3. Negative for none.
	MinPerSecond float64
}

var pointless = []codes.Code{
	codes.OK, codes.Canceled, codes.InvalidArgument, codes.NotFound, codes.AlreadyExists, codes.PermissionDenied,
	codes.Unauthenticated, codes.FailedPrecondition, codes.OutOfRange, codes.Unimplemented,
}

// complete checks a config and sets its defaults. An error starts with the
// field.
func (c *Config) complete() error {
	setting.Default(&c.MaxAttempts, 3)
	setting.Default(&c.InitialBackoff, 25*time.Millisecond)
	setting.Default(&c.MaxBackoff, max(500*time.Millisecond, c.InitialBackoff))
	setting.Default(&c.Timeout, 15*time.Second)
	setting.Default(&c.Reserve, 20*time.Millisecond)
	setting.Default(&c.Budget.Ratio, 0.1)
	setting.Default(&c.Budget.MinPerSecond, 3)
	c.Reserve = max(c.Reserve, 0)
	c.Budget.MinPerSecond = max(c.Budget.MinPerSecond, 0)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Random == nil {
		c.Random = rand.Float64
	}
	if c.Sleep == nil {
		c.Sleep = sleep
	}
	return cmp.Or(
		setting.InRange("MaxAttempts", c.MaxAttempts, 1, 5),
		setting.InRange("InitialBackoff", c.InitialBackoff, time.Millisecond, time.Minute),
		setting.InRange("MaxBackoff", c.MaxBackoff, c.InitialBackoff, time.Minute),
		c.checkAttemptTimeout(),
		setting.InRange("Timeout", c.Timeout, time.Millisecond, 24*time.Hour),
		setting.InRange("Reserve", c.Reserve, 0, 10*time.Second),
		setting.InRange("Budget.Ratio", c.Budget.Ratio, 0.001, 1),
		setting.InRange("Budget.MinPerSecond", c.Budget.MinPerSecond, 0, 1000),
		c.completeCodes(),
		c.checkIdempotent(),
	)
}

func (c *Config) checkAttemptTimeout() error {
	if c.AttemptTimeout == 0 {
		return nil
	}
	return setting.InRange("AttemptTimeout", c.AttemptTimeout, time.Millisecond, time.Hour)
}

func (c *Config) completeCodes() error {
	if c.Codes == nil {
		c.Codes = []codes.Code{codes.Unavailable}
	}
	for i, code := range c.Codes {
		if code > codes.Unauthenticated || slices.Contains(pointless, code) {
			return fmt.Errorf("Codes[%d]: %v would be the same again; choose from those that pass, such as UNAVAILABLE and ABORTED", i, code)
		}
	}
	return nil
}

func (c *Config) checkIdempotent() error {
	for i, method := range c.Idempotent {
		service, name, ok := strings.Cut(strings.TrimPrefix(method, "/"), "/")
		if !ok || !strings.HasPrefix(method, "/") || service == "" || name == "" || strings.Contains(name, "/") {
			return fmt.Errorf("Idempotent[%d]: %q is not the full name of a method, /package.Service/Method", i, method)
		}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
