package choiceoftwo

import (
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/resolver"
)

// zoned is a resolver state in which each endpoint is as far as is said.
func zoned(distances map[string]time.Duration, names ...string) resolver.State {
	s := state(names...)
	for i, name := range names {
		s.Endpoints[i] = SetDistance(s.Endpoints[i], distances[name])
	}
	return s
}

func TestANearEndpointGetsTheCallsUntilItIsBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t, Config{}, 3)
		far := map[string]time.Duration{"s1": 5 * time.Millisecond, "s2": 5 * time.Millisecond}
		m.resolver.UpdateState(zoned(far, "s0", "s1", "s2"))
		synctest.Wait()
		for name, s := range m.servers {
			s.answer(takes(10*time.Millisecond + far[name]))
		}
		m.calls(100)
		if n := m.counted(200)["s0"]; n < 190 {
			t.Errorf("the near endpoint got %d of 200 calls, one at a time", n)
		}
		for range 60 { // as many at once as are enough to spill
			go m.call(10 * time.Second)
			time.Sleep(100 * time.Microsecond)
		}
		busy := m.endpoints()
		if near, all := busy["s0"].InFlight, busy["s1"].InFlight+busy["s2"].InFlight; all < near {
			t.Errorf("with %d calls in flight at the near endpoint, the two others have %d", near, all)
		}
		time.Sleep(time.Minute)
	})
}

func TestADistanceThatChangesCountsAtOnceAndKeepsTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t, Config{}, 2)
		for _, near := range []string{"s0", "s1"} {
			far := map[string]time.Duration{"s0": time.Second, "s1": time.Second}
			far[near] = 0
			m.resolver.UpdateState(zoned(far, "s0", "s1"))
			synctest.Wait()
			if n := m.counted(50)[near]; n < 49 { // the other may be tried once
				t.Errorf("%s is near, and got %d of 50 calls", near, n)
			}
		}
		for name, e := range m.endpoints() {
			if e.Picks == 0 && name == "s0" {
				t.Error("what was counted of s0 is lost: it was made anew")
			}
		}
	})
}

func TestDistancesOfEndpointsThatTheResolverKnowsNoneOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mapDistance = func(e resolver.Endpoint) time.Duration {
			if e.Addresses[0].Addr == "s0" {
				return time.Second
			}
			return 0
		}
		defer func() { mapDistance = nil }()
		m := newMesh(t, Config{}, 2)
		m.calls(5)
		if n := m.counted(50)["s0"]; n > 1 {
			t.Errorf("s0 is far, and got %d of 50 calls", n)
		}
		// What the resolver says goes first.
		m.resolver.UpdateState(zoned(map[string]time.Duration{"s1": 2 * time.Second}, "s0", "s1"))
		synctest.Wait()
		if n := m.counted(50)["s1"]; n > 1 {
			t.Errorf("s1 is far, as the resolver says, and got %d of 50 calls", n)
		}
	})
}

func TestADistanceIsAnAttributeLikeOthers(t *testing.T) {
	e := SetDistance(resolver.Endpoint{}, time.Millisecond)
	if d, ok := GetDistance(e); d != time.Millisecond || !ok {
		t.Errorf("got %v, %v", d, ok)
	}
	if _, ok := GetDistance(resolver.Endpoint{}); ok {
		t.Error("an endpoint without a distance has one")
	}
	if !e.Attributes.Equal(SetDistance(resolver.Endpoint{}, time.Millisecond).Attributes) ||
		e.Attributes.Equal(SetDistance(resolver.Endpoint{}, time.Second).Attributes) {
		t.Error("attributes are not compared by what they say")
	}
}
