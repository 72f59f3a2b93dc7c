package choiceoftwo

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
)

func TestTheAggregateStateIsHonest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t, Config{}, 2)
		if s := m.conn.GetState(); s != connectivity.Ready {
			t.Errorf("with all ready, though in probation, the state is %v", s)
		}
		for _, s := range m.servers {
			s.grpc.Stop()
		}
		time.Sleep(30 * time.Second)
		if s := m.conn.GetState(); s != connectivity.TransientFailure {
			t.Errorf("with none reachable the state is %v", s)
		}
		if code := status.Code(m.call(time.Second)); code != codes.Unavailable {
			t.Errorf("a call fails with %v", code)
		}
		m.add(startServer("s0"))
		time.Sleep(3 * time.Minute) // longer than the backoff
		m.calls(5)
	})
}

func TestAnEmptyListFailsCallsWithAReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t, Config{}, 1)
		m.calls(1)
		m.resolver.UpdateState(state())
		if err := m.call(time.Second); status.Code(err) != codes.Unavailable {
			t.Errorf("error %v", err)
		}
	})
}

func TestAnEndpointThatDrainsWithGoAwayLosesNoCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t, Config{}, 3)
		for _, s := range m.servers {
			s.answer(takes(50 * time.Millisecond))
		}
		var wg sync.WaitGroup
		errs := make(chan error, 400)
		for range 400 {
			wg.Go(func() {
				if err := m.call(10 * time.Second); err != nil {
					errs <- err
				}
			})
			time.Sleep(2 * time.Millisecond)
			if len(errs) == 0 && m.server("s1").calls.Load() == 20 {
				go m.server("s1").grpc.GracefulStop()
			}
		}
		wg.Wait()
		close(errs)
		for err := range errs {
			t.Errorf("a call was lost: %v", err)
		}
	})
}

func TestEndpointChurnLosesNoCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t, Config{}, 6)
		for _, s := range m.servers {
			s.answer(takes(30 * time.Millisecond))
		}
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						if err := m.call(5 * time.Second); err != nil {
							t.Errorf("a call was lost: %v", err)
						}
					}
				}
			})
		}
		for i := range 60 {
			var names []string
			for j := range 6 {
				if j == i%6 || (i+j)%3 != 0 {
					names = append(names, fmt.Sprintf("s%d", j))
				}
			}
			m.resolver.UpdateState(state(names...))
			time.Sleep(20 * time.Millisecond)
		}
		close(stop)
		wg.Wait()
		for name, e := range m.endpoints() {
			if e.InFlight != 0 {
				t.Errorf("%s still has %d in flight", name, e.InFlight)
			}
		}
	})
}

// Behind a headless Kubernetes service a new pod is seen when the name is
// resolved again, which a lost connection brings about.
func TestMaxConnectionAgeBringsNewPodsIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		aging := grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionAge: 20 * time.Second, MaxConnectionAgeGrace: 5 * time.Second,
		})
		a, b := startServerWith("a", aging), startServerWith("b", aging)
		m := newMeshOf(t, Config{}.ServiceConfig(), a)
		b.serve()
		m.mu.Lock()
		m.servers["b"] = b
		m.mu.Unlock()
		// What DNS would answer from now on.
		m.resolver.ResolveNowCallback = resolveTo(m, "a", "b")
		m.calls(10)
		if n := b.calls.Load(); n != 0 {
			t.Fatalf("the new pod got %d calls before anybody knew of it", n)
		}
		// The new pod is warmed up for 90 s, and gets less than its share till then.
		for range 150 {
			m.calls(2)
			time.Sleep(time.Second)
		}
		if n := b.calls.Load(); n < 10 {
			t.Errorf("the new pod got %d of 300 calls", n)
		}
	})
}

func TestAThousandEndpointsAreAllUsed(t *testing.T) {
	p := readyPolicy(t, Name, "{}", 1000)
	used := make(map[any]bool)
	for range 20000 {
		r, err := p.Pick(pickInfo(context.Background()))
		if err != nil {
			t.Fatal(err)
		}
		used[r.SubConn] = true
		r.Done(answered())
	}
	if len(used) != 1000 {
		t.Errorf("%d of 1000 were used", len(used))
	}
}
