package overload

import (
	"math/rand/v2"
	"testing"
	"time"
)

// usual is a world that the tests vary: capacity for 800 calls a second.
func usual() world {
	return world{
		backends: 4, workers: 8, service: exponential, mean: 40 * time.Millisecond, methods: []float64{1},
		load: 3, deadline: time.Second, critical: 0.1, shed: 0.3,
		warmUp: 15 * time.Second, length: 35 * time.Second, seed: 1, limited: true,
	}
}

// The bar of the project: with three times the load that the backends can do,
// they do more than nine tenths of what they can, and important calls take less
// than three times as long as without load. Without the limiter, next to
// nothing is answered in time.
func TestAtThreeTimesTheCapacityBackendsWorkAtTheirPeak(t *testing.T) {
	for _, c := range []struct {
		name              string
		backends, workers int
		service           func(*rand.Rand) float64
	}{
		{"4 backends of 8 workers, all calls alike", 4, 8, constant},
		{"4 backends of 8 workers, calls differ", 4, 8, exponential},
		{"4 backends of 8 workers, some calls take very long", 4, 8, logNormal},
		{"1 backend of 4 workers", 1, 4, exponential},
		{"10 backends of 16 workers", 10, 16, exponential},
		{"20 backends of 2 workers, all calls alike", 20, 2, constant},
		{"20 backends of 2 workers, some calls take very long", 20, 2, logNormal},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := usual()
			w.backends, w.workers, w.service = c.backends, c.workers, c.service
			// As many calls a second, however many workers.
			w.mean = time.Duration(c.backends*c.workers) * time.Second / 800
			w.deadline = 40 * w.mean
			idle, overloaded, unlimited := w, w, w
			idle.load, unlimited.limited = 0.1, false
			unlimited.length = w.warmUp + 5*time.Second
			unloaded, limited, collapsed := idle.run(), overloaded.run(), unlimited.run()
			slower := limited.p99[Critical] / unloaded.p99[Critical]
			t.Logf("goodput %.3f, in the worst second %.3f; without the limiter %.3f", limited.goodput, limited.lowest, collapsed.goodput)
			t.Logf("p99 of critical calls %.2f times the unloaded one", slower)
			t.Logf("served: critical %.4f, default %.3f, sheddable %.3f", limited.served[Critical], limited.served[Default], limited.served[Sheddable])
			if limited.goodput < 0.9 {
				t.Error("goodput is below nine tenths of the peak")
			}
			if slower >= 3 {
				t.Error("critical calls take three times as long")
			}
			if limited.served[Critical] < 0.97 || limited.served[Default] < 4*limited.served[Sheddable] {
				t.Error("what is important is not served first")
			}
			if collapsed.goodput > 0.2 {
				t.Error("it does not collapse without the limiter: the experiment shows nothing")
			}
		})
	}
}

// Whatever calls itself critical, it is limited, too.
func TestCriticalCallsAloneDoNotOverloadEither(t *testing.T) {
	for _, shape := range [][2]int{{4, 8}, {1, 4}} {
		w := usual()
		w.backends, w.workers, w.service, w.critical, w.shed = shape[0], shape[1], constant, 1, 0
		w.mean = time.Duration(w.backends*w.workers) * time.Second / 800
		w.deadline = 40 * w.mean
		idle := w
		idle.load = 0.1
		r, unloaded := w.run(), idle.run()
		slower := r.p99[Critical] / unloaded.p99[Critical]
		if r.goodput < 0.9 || slower >= 4 {
			t.Errorf("%v: goodput %.3f, p99 %.2f times the unloaded one, limit %d", shape, r.goodput, slower, r.limit)
		}
	}
}

func TestNothingIsRefusedWhileThereIsRoom(t *testing.T) {
	for _, service := range []func(*rand.Rand) float64{constant, exponential, logNormal} {
		for _, load := range []float64{0.1, 0.5, 0.7} {
			w := usual()
			w.service, w.load = service, load
			if r := w.run(); r.refused != 0 {
				t.Errorf("at a load of %v, %d calls were refused", load, r.refused)
			}
		}
	}
}

func TestAnHourOfOverloadDoesNotWearTheMeasureOut(t *testing.T) {
	w := usual()
	w.backends, w.workers = 1, 2
	w.mean, w.deadline = 100*time.Millisecond, 2*time.Second
	w.length = time.Minute
	short := w.run()
	w.warmUp, w.length = 59*time.Minute, time.Hour
	long := w.run()
	if long.goodput < 0.9 || long.p99[Critical] > 1.5*short.p99[Critical] {
		t.Errorf("after an hour %+v, after a minute %+v", long, short)
	}
}

func TestTheLimitFollowsTheCapacity(t *testing.T) {
	for name, change := range map[string]func(*simulation){
		"three quarters of the workers leave": func(s *simulation) { s.bring(6) },
		"calls take three times as long":      func(s *simulation) { s.mean *= 3 },
		"workers hang for five seconds": func(s *simulation) {
			s.bring(8)
			s.after(5*time.Second, func() { s.bring(0) })
		},
		"workers come back": func(s *simulation) {
			s.bring(7)
			s.after(10*time.Second, func() { s.bring(0) })
		},
	} {
		for _, service := range []func(*rand.Rand) float64{constant, exponential} {
			w := usual()
			w.service = service
			w.change, w.changeAt = change, 20*time.Second
			w.warmUp, w.length = 50*time.Second, 60*time.Second
			r := w.run()
			t.Logf("%s: goodput %.3f, limit %d", name, r.goodput, r.limit)
			if r.goodput < 0.9 {
				t.Errorf("%s: goodput %.3f", name, r.goodput)
			}
		}
	}
}

// A gateway must not make an outage of a dependency that became slower. It does
// refuse calls until it knows that it is not for the load.
func TestCallsThatBecomeSlowerForAnotherReasonAreServedAgainWithinAMinute(t *testing.T) {
	w := usual()
	w.load, w.service = 0.2, exponential
	w.change, w.changeAt = func(s *simulation) { s.mean *= 3 }, 20*time.Second
	w.warmUp, w.length = 65*time.Second, 90*time.Second
	r := w.run()
	if r.served[Default] < 0.99 || r.served[Sheddable] < 0.98 {
		t.Errorf("%+v", r)
	}
}

func TestAMixWithSlowMethodsIsNotTakenForOverload(t *testing.T) {
	w := usual()
	w.methods = []float64{1, 1, 1, 1, 1, 10}
	w.load, w.length = 0.2, 25*time.Second
	// From one call in six to nearly one in two.
	w.change, w.changeAt = func(s *simulation) { s.slow = 0.3 }, 15*time.Second
	if r := w.run(); r.refused != 0 {
		t.Errorf("%d calls were refused", r.refused)
	}
}
