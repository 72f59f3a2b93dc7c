package orca

import (
	"fmt"
	"math"
	"time"
)

// maxUtilization is where an application's utilization is capped. A thousand
// times overloaded is bad enough, and one wild value must not drown all others
// in the sum they are part of.
const maxUtilization = 1000

// sampler measures, at each step of the window, all that is not counted by the
// calls themselves. It has no goroutine and no clock.
type sampler struct {
	config *config
	start  time.Time
	window window

	last    sample // the latest
	word    uint64 // of the tally, at last
	lastCPU time.Duration
}

func newSampler(c *config, start time.Time) sampler {
	s := sampler{
		config:  c,
		start:   start,
		window:  window{length: c.window},
		last:    sample{at: start},
		lastCPU: c.readHost(start).CPU,
	}
	s.window.add(s.last)
	return s
}

// measure takes a sample, with the tally's word of that moment, and returns the
// load over the window that ends with it.
func (s *sampler) measure(now time.Time, word uint64) Load {
	elapsed := now.Sub(s.last.at).Seconds()
	if elapsed <= 0 {
		elapsed = 0 // A clock that stands still; nothing is added below.
	}
	next := s.last
	next.at = now

	finished, failed := since(s.word, word)
	next.finished += finished
	next.failed += failed

	usage := s.config.readHost(now)
	if used := usage.CPU - s.lastCPU; used > 0 && usage.Cores > 0 {
		next.cpu += used.Seconds() / usage.Cores
	}
	if source := s.config.utilization; source != nil {
		if value, ok := s.value(source); ok {
			next.application += min(value, maxUtilization) * elapsed
			next.applicationTime += elapsed
		}
	}
	s.last, s.word, s.lastCPU = next, word, usage.CPU

	means := s.window.add(next)
	return Load{
		RPS:                    means.rps,
		EPS:                    means.eps,
		CPUUtilization:         means.cpu,
		MemUtilization:         share(usage.Resident, usage.MemoryLimit),
		ApplicationUtilization: means.application,
		Uptime:                 now.Sub(s.start),
		NamedMetrics:           s.namedMetrics(),
		Window:                 means.window,
	}
}

// namedMetrics returns the user's metrics that are sound; nil if there are none.
func (s *sampler) namedMetrics() map[string]float64 {
	if len(s.config.named) == 0 {
		return nil
	}
	metrics := make(map[string]float64, len(s.config.named))
	for i := range s.config.named {
		source := &s.config.named[i]
		if value, ok := s.value(source); ok {
			metrics[source.name] = value
		}
	}
	return metrics
}

// value reads a source. An unsound value is no value: sent on, it would mislead
// every client, and NaN would poison their means.
func (s *sampler) value(source *source) (float64, bool) {
	value := source.read()
	sound := value >= 0 && !math.IsInf(value, 1)
	if !sound && !source.unsound {
		s.config.logger.Warn("orca: value is not sent: it must be a number, finite and not negative",
			"metric", source.name, "value", fmt.Sprint(value)) // JSON has no NaN.
	}
	source.unsound = !sound
	return value, sound
}

// share returns the part of limit that used is, at most 1; 0 if either is not
// known.
func share(used, limit uint64) float64 {
	if limit == 0 {
		return 0
	}
	return min(1, float64(used)/float64(limit))
}
