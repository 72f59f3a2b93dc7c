package orca

import (
	"errors"
	"fmt"
	"log/slog"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc/codes"

	"github.com/evenkeel/evenkeel/orca/internal/host"
)

// Defaults and ranges of the options.
const (
	DefaultWindow = time.Second
	minWindow     = 100 * time.Millisecond
	maxWindow     = 5 * time.Minute

	DefaultMinReportingInterval = 100 * time.Millisecond
	leastMinReportingInterval   = time.Millisecond

	// maxNameLength keeps the reports small, and an entry's length in one byte.
	maxNameLength = 64
)

// Option configures a Reporter.
type Option func(*config)

type config struct {
	window      time.Duration
	minInterval time.Duration
	faults      codeSet
	logger      *slog.Logger
	utilization *source
	named       []source
	readHost    func(time.Time) host.Usage
	errs        []error // of options that were not right
}

// source is a function of the user's that gives a number.
type source struct {
	name    string
	read    func() float64
	unsound bool // the last value was, and that has been logged
}

func newConfig(opts []Option) (*config, error) {
	c := &config{
		window:      DefaultWindow,
		minInterval: DefaultMinReportingInterval,
		faults:      defaultFaults,
		readHost:    host.NewReader().Read,
	}
	for _, opt := range opts {
		opt(c)
	}
	if c.logger == nil {
		c.logger = slog.Default()
	}
	return c, errors.Join(c.errs...)
}

func (c *config) errorf(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf("orca: "+format, args...))
}

// WithUtilization takes the application's own utilization: the share in use of
// what limits it, such as workers or connections; 1 is full, more is overload.
// Clients prefer it to the CPU's. The value is read ten times a window and its
// mean is reported, so current should say how things are at the moment.
//
// current is called by one goroutine, and must not block: while it does, reports
// get old. Values that are negative, infinite or not a number are left out of
// the mean and logged; if there are no others in a window, the application's
// utilization is not reported. WithUtilization excludes WithQueue.
func WithUtilization(current func() float64) Option {
	return func(c *config) {
		if current == nil {
			c.errorf("WithUtilization: the function is nil")
			return
		}
		c.setUtilization(current)
	}
}

// WithQueue takes as the application's utilization the length of its queue, in
// any unit, over the length it is meant to have at most, target, which is at
// least 1. See WithUtilization for the rest.
func WithQueue(length func() int, target int) Option {
	return func(c *config) {
		if length == nil {
			c.errorf("WithQueue: the function is nil")
			return
		}
		if target < 1 {
			c.errorf("WithQueue: target is %d: give at least 1", target)
			return
		}
		c.setUtilization(func() float64 { return float64(length()) / float64(target) })
	}
}

func (c *config) setUtilization(read func() float64) {
	if c.utilization != nil {
		c.errorf("the application's utilization is given twice: use one WithUtilization or WithQueue")
		return
	}
	c.utilization = &source{name: "utilization", read: read}
}

// WithNamedMetric adds a named metric to all reports. A client may take it for
// the server's utilization (metricNamesForComputingUtilization, gRFC A114), as
// "named_metrics.NAME". The name is at most 64 bytes of UTF-8; each metric adds
// its name's length and 13 bytes to every answer.
//
// current is called ten times a window, and the latest value is reported. It is
// called by one goroutine, and must not block. A value that is negative,
// infinite or not a number is not reported, and logged.
func WithNamedMetric(name string, current func() float64) Option {
	return func(c *config) {
		if err := c.checkName(name); err != nil {
			c.errs = append(c.errs, err)
			return
		}
		if current == nil {
			c.errorf("WithNamedMetric(%q): the function is nil", name)
			return
		}
		c.named = append(c.named, source{name: name, read: current})
	}
}

func (c *config) checkName(name string) error {
	switch {
	case name == "":
		return errors.New("orca: WithNamedMetric: the name is empty")
	case len(name) > maxNameLength:
		return fmt.Errorf("orca: WithNamedMetric(%q): the name has %d bytes: at most %d, since it is sent with every answer", name, len(name), maxNameLength)
	case !utf8.ValidString(name):
		return fmt.Errorf("orca: WithNamedMetric(%q): the name is not valid UTF-8", name)
	case name == MetricInFlight || name == MetricUptime || name == MetricDraining || name == MetricLatency:
		return fmt.Errorf("orca: WithNamedMetric(%q): the reporter sends this one itself: choose another name", name)
	}
	for _, other := range c.named {
		if other.name == name {
			return fmt.Errorf("orca: WithNamedMetric(%q): given twice", name)
		}
	}
	return nil
}

// WithWindow sets the length of time that rates and utilizations are means over:
// 100ms to 5m, one second by default. A longer one is steadier, a shorter one
// sooner right.
func WithWindow(length time.Duration) Option {
	return func(c *config) {
		if length < minWindow || length > maxWindow {
			c.errorf("WithWindow: %v is not between %v and %v", length, minWindow, maxWindow)
			return
		}
		c.window = length
	}
}

// WithMinReportingInterval sets the shortest interval at which a client gets
// out-of-band reports: at least 1ms, 100ms by default. A client that asks for a
// shorter one gets this one.
func WithMinReportingInterval(interval time.Duration) Option {
	return func(c *config) {
		if interval < leastMinReportingInterval {
			c.errorf("WithMinReportingInterval: %v is less than %v", interval, leastMinReportingInterval)
			return
		}
		c.minInterval = interval
	}
}

// WithErrorCodes sets which codes of an answer count in eps, instead of those
// that tell of the server's own fault: UNKNOWN, DEADLINE_EXCEEDED,
// RESOURCE_EXHAUSTED, INTERNAL, UNAVAILABLE and DATA_LOSS. None means that eps
// is always 0.
func WithErrorCodes(faults ...codes.Code) Option {
	return func(c *config) {
		set, err := newCodeSet(faults)
		if err != nil {
			c.errs = append(c.errs, err)
			return
		}
		c.faults = set
	}
}

// WithLogger sets where unsound values of the application's are logged, by
// default slog.Default(). Each source is logged when it becomes unsound, not at
// every value.
func WithLogger(logger *slog.Logger) Option {
	return func(c *config) { c.logger = logger }
}
