package orca

import (
	"bytes"
	"log/slog"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestTheApplicationsUtilizationIsAMeanOverTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now atomic.Int64 // percent
		r := newRig(t, newReporter(t, WithUtilization(func() float64 { return float64(now.Load()) / 100 })), &methods{})
		now.Store(20)
		time.Sleep(2050 * time.Millisecond)
		if got := r.report().ApplicationUtilization; !near(got, 0.2) {
			t.Errorf("utilization %v, want 0.2", got)
		}
		now.Store(120)
		time.Sleep(500 * time.Millisecond)
		if got := r.report().ApplicationUtilization; !near(got, 0.7) {
			t.Errorf("utilization %v half a window later, want 0.7", got)
		}
		time.Sleep(500 * time.Millisecond)
		if got := r.report().ApplicationUtilization; !near(got, 1.2) {
			t.Errorf("utilization %v a window later, want 1.2", got)
		}
	})
}

func TestAQueueAtItsTargetIsFullUtilization(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newReporter(t, WithQueue(func() int { return 30 }, 20)), &methods{})
		time.Sleep(1050 * time.Millisecond)
		if got := r.report().ApplicationUtilization; !near(got, 1.5) {
			t.Errorf("utilization %v, want 1.5", got)
		}
	})
}

func TestUnsoundValuesAreNeverSent(t *testing.T) {
	for _, unsound := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), -0.1} {
		synctest.Test(t, func(t *testing.T) {
			var value atomic.Uint64
			value.Store(math.Float64bits(unsound))
			current := func() float64 { return math.Float64frombits(value.Load()) }
			var logged bytes.Buffer
			r := newRig(t, newReporter(t, WithUtilization(current), WithNamedMetric("queue", current),
				WithLogger(slog.New(slog.NewJSONHandler(&logged, nil)))), &methods{})
			time.Sleep(3050 * time.Millisecond)

			report := r.report()
			if _, ok := report.NamedMetrics["queue"]; ok || report.ApplicationUtilization != 0 {
				t.Errorf("%v is sent: %v", unsound, report)
			}
			if got := strings.Count(logged.String(), "is not sent"); got != 2 {
				t.Errorf("%d lines logged, want one for each metric:\n%s", got, logged.String())
			}
			if strings.Contains(logged.String(), "ERROR") {
				t.Errorf("the value does not print: %s", logged.String())
			}

			// Sound values are sent at once, and not diluted by the others.
			value.Store(math.Float64bits(0.5))
			time.Sleep(100 * time.Millisecond)
			report = r.report()
			if report.NamedMetrics["queue"] != 0.5 || !near(report.ApplicationUtilization, 0.5) {
				t.Errorf("report %v after the value became 0.5", report)
			}
		})
	}
}

func TestAWildUtilizationIsForgottenWithItsWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var value atomic.Uint64
		value.Store(math.Float64bits(math.MaxFloat64))
		r := newRig(t, newReporter(t, WithUtilization(func() float64 { return math.Float64frombits(value.Load()) })), &methods{})
		time.Sleep(5050 * time.Millisecond)
		if got := r.report().ApplicationUtilization; !near(got, maxUtilization) {
			t.Errorf("utilization %v, want %v", got, maxUtilization)
		}
		value.Store(math.Float64bits(0.25))
		time.Sleep(time.Second)
		if got := r.report().ApplicationUtilization; !near(got, 0.25) {
			t.Errorf("utilization %v a window later, want 0.25", got)
		}
	})
}

func TestNamedMetricsAreSentWithAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newReporter(t,
			WithNamedMetric("queue", func() float64 { return 7 }),
			WithNamedMetric("cache_misses", func() float64 { return 0 })), &methods{})
		time.Sleep(150 * time.Millisecond)
		named := r.report().NamedMetrics
		if misses, ok := named["cache_misses"]; named["queue"] != 7 || misses != 0 || !ok {
			t.Errorf("named metrics %v, want queue 7 and cache_misses 0", named)
		}
	})
}
