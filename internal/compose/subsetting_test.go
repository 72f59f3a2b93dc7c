package compose

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	_ "google.golang.org/grpc/balancer/randomsubsetting"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
)

func subsetting(size int) string {
	return fmt.Sprintf(`{"loadBalancingConfig": [{"random_subsetting_experimental": {
		"subsetSize": %d, "childPolicy": [{"choice_of_two": {"errorCodes": ["NOT_FOUND"]}}]}}]}`, size)
}

func TestRandomSubsettingBoundsTheEndpoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		hosts := n.startAll(0, 10)
		c, _ := n.resolved(subsetting(3), hosts...)
		n.await("three endpoints ready", func() bool { return len(n.listed(connectivity.Ready)) == 3 })
		c.state(connectivity.Ready)
		subset := n.listed(connectivity.Ready)
		if got := len(n.endpoints()); got != 3 {
			t.Errorf("the policy has %d endpoints", got)
		}
		for i, got := range c.counted(300, hosts...) {
			switch in := slices.Contains(subset, hosts[i].address); {
			case in && got < 40:
				t.Errorf("%s of the subset got %d of 300 calls", hosts[i].address, got)
			case !in && got+hosts[i].dials.Load() > 0:
				t.Errorf("%s, not of the subset, got %d calls", hosts[i].address, got)
			}
		}
		n.idle()
	})
}

// random_subsetting writes its child's config anew from what was parsed.
func TestAConfigSurvivesRandomSubsetting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		hosts := n.startAll(0, 3)
		c, _ := n.resolved(subsetting(2), hosts...)
		n.await("two endpoints ready", func() bool { return len(n.listed(connectivity.Ready)) == 2 })
		for _, h := range hosts {
			h.answer(fails(codes.NotFound))
		}
		for range 10 {
			_ = c.call()
		}
		n.idle()
		var failures uint64
		for _, e := range n.endpoints() {
			failures += e.Failures
		}
		if failures != 10 {
			t.Errorf("%d failures are known of 10: errorCodes did not arrive", failures)
		}
	})
}

func TestASubsetThatChangesKeepsWhatWasLearnedOfTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		hosts := n.startAll(0, 10)
		c, r := n.resolved(subsetting(4), hosts...)
		n.await("four endpoints ready", func() bool { return len(n.listed(connectivity.Ready)) == 4 })
		c.counted(100)
		before, subset := n.picks(), n.listed(connectivity.Ready)

		leaves := subset[0]
		r.UpdateState(listing(slices.DeleteFunc(slices.Clone(hosts), func(h *host) bool { return h.address == leaves })))
		n.await("another in its place", func() bool {
			now := n.listed(connectivity.Ready)
			return len(now) == 4 && !slices.Contains(now, leaves)
		})
		delete(before, leaves)
		n.kept(before)
		c.state(connectivity.Ready)
		c.counted(100)
		n.idle()
	})
}
