package overload

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// usual is a world that the tests vary: capacity for 1600 calls a second.
func usual() world {
	return world{
		backends: 4, workers: 8, service: exponential, mean: 20 * time.Millisecond, methods: []float64{1},
		load: 3, deadline: time.Second, critical: 0.1, shed: 0.3,
		warmUp: 8 * time.Second, length: 20 * time.Second, seed: 1, limited: true,
	}
}

// The bar of the project: with three times the load that the backends can do,
// they do more than nine tenths of what they can, and important calls take less
// than three times as long as without load. Without the limiter, next to
// nothing is answered in time.
func TestAtThreeTimesTheCapacityBackendsWorkAtTheirPeak(t *testing.T) {
	services := map[string]func(*rand.Rand) float64{"constant": constant, "exponential": exponential, "logNormal": logNormal}
	for _, shape := range [][2]int{{1, 4}, {4, 8}, {10, 16}, {20, 2}} {
		for name, service := range services {
			t.Run(fmt.Sprintf("%dx%d %s", shape[0], shape[1], name), func(t *testing.T) {
				w := usual()
				w.backends, w.workers, w.service = shape[0], shape[1], service
				if shape[0]*shape[1] > 100 {
					w.warmUp, w.length = 5*time.Second, 10*time.Second // more calls a second
				}
				idle, overloaded, unlimited := w, w, w
				idle.load, unlimited.limited = 0.1, false
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
				if limited.served[Critical] < 0.98 || limited.served[Default] < 4*limited.served[Sheddable] {
					t.Error("what is important is not served first")
				}
				if collapsed.goodput > 0.2 {
					t.Error("it does not collapse without the limiter: the experiment shows nothing")
				}
			})
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
func TestCallsThatBecomeSlowerForAnotherReasonAreServedAgainWithinSeconds(t *testing.T) {
	w := usual()
	w.load, w.service = 0.2, exponential
	w.change, w.changeAt = func(s *simulation) { s.mean *= 3 }, 20*time.Second
	w.warmUp, w.length = 24*time.Second, 40*time.Second
	r := w.run()
	if r.served[Default] < 0.999 || r.served[Sheddable] < 0.99 {
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
