package choiceoftwo

import (
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/codes"
)

// withBuilder registers a builder for the length of a test.
func withBuilder(t *testing.T, b balancer.Builder) {
	balancer.Register(b)
	t.Cleanup(func() { balancer.Register(NewBuilder()) })
}

func TestCallsSpreadOverAllEndpoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t, Config{}, 4)
		for name, n := range m.counted(400) {
			if n < 50 {
				t.Errorf("%s got %d of 400 calls", name, n)
			}
		}
		for name, e := range m.endpoints() {
			if e.InFlight != 0 {
				t.Errorf("%s has %d in flight after the last call", name, e.InFlight)
			}
		}
	})
}

func TestAFailingEndpointIsPassedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t, Config{}, 4)
		m.calls(100)
		m.server("s1").answer(fails(codes.Unavailable))
		if n := m.counted(200)["s1"]; n > 3 {
			t.Errorf("the failing endpoint got %d of 200 calls", n)
		}
		// What is known of it fades over 30 s, and it is tried again.
		m.server("s1").answer(takes(0))
		time.Sleep(31 * time.Second)
		if n := m.counted(400)["s1"]; n < 20 {
			t.Errorf("30 s after it recovered the endpoint got %d of 400 calls", n)
		}
	})
}

func TestAFrozenEndpointDoesNotBecomeAttractive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t, Config{}, 3)
		m.calls(60)
		m.server("s0").answer(takes(time.Hour))
		lost := 0
		for range 600 {
			if m.call(2*time.Second) != nil {
				lost++
			}
			time.Sleep(100 * time.Millisecond)
		}
		if lost > 6 {
			t.Errorf("%d of 600 calls in a minute were lost to a frozen endpoint", lost)
		}
	})
}

func TestCallsGoOnWhenAnEndpointIsRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t, Config{}, 2)
		m.calls(20)
		for _, s := range m.servers {
			s.answer(takes(time.Second))
		}
		errs := make(chan error, 20)
		for range 20 {
			go func() { errs <- m.call(10 * time.Second) }()
		}
		time.Sleep(100 * time.Millisecond)
		m.resolver.UpdateState(state("s1"))
		for range 20 {
			if err := <-errs; err != nil {
				t.Errorf("a call in flight was lost: %v", err)
			}
		}
	})
}
