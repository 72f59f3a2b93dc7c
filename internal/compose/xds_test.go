package compose

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	roundrobin "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/round_robin/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
)

func TestBelowXDSOneInstanceSeesTheEndpointsOfAllLocalities(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		p := newPlane(n)
		hosts := append(n.startAll(0, 3), n.start("[fd00::1]:80"))
		p.publish(clusterOf(choiceOfTwo(nil)), locality("a", 1, 0, hosts[:2]...), locality("b", 1, 0, hosts[2:]...))
		c := p.client()
		n.awaitReady(hosts...)
		if got := len(n.policies()); got != 1 {
			t.Fatalf("there are %d instances of the policy", got)
		}
		c.state(connectivity.Ready)
		for i, got := range c.counted(400, hosts...) {
			if got < 40 {
				t.Errorf("%s got %d of 400 calls", hosts[i].address, got)
			}
		}
		n.idle()
	})
}

func TestHostsThatComeAndGoLoseNoCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		p := newPlane(n)
		hosts := n.startAll(0, 6)
		for _, h := range hosts {
			h.answer(takes(20 * time.Millisecond))
		}
		p.publish(clusterOf(choiceOfTwo(nil)), locality("a", 1, 0, hosts...))
		c := p.client()
		n.awaitReady(hosts...)
		c.during(func() {
			for i := range hosts {
				before := n.picks()
				delete(before, hosts[i].address)
				p.publish(p.cluster, locality("a", 1, 0, slices.Delete(slices.Clone(hosts), i, i+1)...))
				n.await("one gone", func() bool { return len(n.endpoints()) == len(hosts)-1 })
				n.kept(before)
				p.publish(p.cluster, locality("a", 1, 0, hosts...))
				n.awaitReady(hosts...)
				c.state(connectivity.Ready)
			}
		})
		n.idle()
	})
}

func TestWithoutEndpointsTheChannelFailsAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		p := newPlane(n)
		hosts := n.startAll(0, 2)
		p.publish(clusterOf(choiceOfTwo(nil)), locality("a", 1, 0, hosts...))
		c := p.client()
		n.awaitReady(hosts...)
		p.publish(p.cluster)
		n.await("a failing channel", func() bool { return c.conn.GetState() == connectivity.TransientFailure })
		if err := c.call(); err == nil {
			t.Error("a call succeeded")
		}
		p.publish(p.cluster, locality("a", 1, 0, hosts...))
		n.awaitReady(hosts...)
		c.state(connectivity.Ready)
		c.counted(20)
		n.idle()
	})
}

// An endpoint may have addresses of both families; it is one all the same.
func TestAnEndpointOfTwoAddressesIsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		p := newPlane(n)
		single, dual := n.start("10.0.0.1:80"), n.start("10.0.0.2:80")
		l := locality("a", 1, 0, single, dual)
		l.LbEndpoints[1].GetEndpoint().AdditionalAddresses = []*endpoint.Endpoint_AdditionalAddress{
			{Address: l.LbEndpoints[1].GetEndpoint().Address},
		}
		l.LbEndpoints[1].GetEndpoint().Address = address("[fd00::2]:80") // where nobody listens, at first
		p.publish(clusterOf(choiceOfTwo(nil)), l)
		c := p.client()
		n.await("two ready endpoints", func() bool { return len(n.listed(connectivity.Ready)) == 2 })
		if e := n.endpoints()["[fd00::2]:80"]; len(e.Addresses) != 2 {
			t.Errorf("the addresses of the endpoint are %v", e.Addresses)
		}
		c.counted(50)
		before := n.picks()

		// It moves to its other address, and is still known.
		other := n.start("[fd00::2]:80")
		dual.kill()
		n.await("a connection to the other address", func() bool { return other.dials.Load() > 0 && len(n.listed(connectivity.Ready)) == 2 })
		for i, got := range c.counted(200, single, other) {
			if got < 40 {
				t.Errorf("of 200 calls, endpoint %d of two got %d", i, got)
			}
		}
		n.kept(before)
		n.idle()
	})
}

func TestBelowWRRLocalityEachLocalityHasAnInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		p := newPlane(n)
		near, far := n.startAll(0, 2), n.startAll(1, 2)
		p.publish(clusterOf(perLocality(choiceOfTwo(nil))), locality("near", 3, 0, near...), locality("far", 1, 0, far...))
		c := p.client()
		n.awaitReady(append(near, far...)...)
		if got := len(n.policies()); got != 2 {
			t.Fatalf("there are %d instances of the policy for two localities", got)
		}
		c.state(connectivity.Ready)
		// A quarter is 200; six standard deviations are 73.
		if got := sum(c.counted(800, far...)); got < 127 || got > 273 {
			t.Errorf("the locality that has a quarter of the weight got %d of 800 calls", got)
		}
		for range 20 {
			if p := n.policies(); p[0].Endpoints[0].Addresses[0] != near[0].address {
				t.Fatal("the instances are not in the order of their addresses")
			}
		}
		before := n.picks()

		// A locality whose hosts are dead must say so, to be left out.
		for _, h := range far {
			h.kill()
		}
		n.awaitReady(near...)
		n.await("a failing instance", func() bool { return n.states()[connectivity.TransientFailure] == 1 })
		c.state(connectivity.Ready)
		c.counted(100)

		// New weights change no instance.
		p.publish(p.cluster, locality("near", 1, 0, near...), locality("far", 7, 0, far...))
		c.counted(20)
		n.kept(before)
		n.idle()
	})
}

func TestPriorityFailsOverWhenAllOfAPriorityDieAndBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		p := newPlane(n)
		first, second := n.startAll(0, 2), n.startAll(1, 2)
		p.publish(clusterOf(choiceOfTwo(nil)), locality("a", 1, 0, first...), locality("b", 1, 1, second...))
		c := p.client()
		n.awaitReady(first...)
		c.counted(50)
		before := n.picks()

		first[0].kill()
		n.awaitReady(first[1])
		c.state(connectivity.Ready)
		if got := sum(c.counted(50, second...)); got != 0 {
			t.Errorf("with half of the first priority alive the second got %d calls", got)
		}

		first[1].kill()
		n.awaitReady(second...)
		c.state(connectivity.Ready)
		if states := n.states(); states[connectivity.TransientFailure] != 1 || states[connectivity.Ready] != 1 {
			t.Errorf("the instances of the two priorities are %v", states)
		}
		if got := sum(c.counted(50, second...)); got != 50 {
			t.Errorf("the second priority got %d of 50 calls", got)
		}

		first[1] = n.start(first[1].address)
		c.during(func() {
			n.await("the first priority back", func() bool { return n.endpoints()[first[1].address].State == connectivity.Ready })
		})
		c.state(connectivity.Ready)
		if got := sum(c.counted(50, first[1])); got != 50 {
			t.Errorf("the first priority, back, got %d of 50 calls", got)
		}
		n.kept(before)
		n.idle()

		// A priority that is not needed is dropped in time.
		time.Sleep(16 * time.Minute)
		synctest.Wait()
		if got := len(n.policies()); got != 1 {
			t.Errorf("there are %d instances of the policy, of which one is used", got)
		}
	})
}

func TestPriorityFailsOverWhenAllOfAPriorityAreEjected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		p := newPlane(n)
		first, second := n.startAll(0, 2), n.startAll(1, 2)
		c := clusterOf(choiceOfTwo(nil))
		c.OutlierDetection = outlierDetection()
		p.publish(c, locality("a", 1, 0, first...), locality("b", 1, 1, second...))
		client := p.client()
		n.awaitReady(first...)
		for _, h := range first {
			h.answer(fails(codes.NotFound))
		}
		for range 100 {
			_ = client.call()
		}
		n.awaitReady(second...)
		client.state(connectivity.Ready)
		client.counted(50)
		for _, h := range first {
			h.answer(takes(0))
		}
		n.await("the first priority back", func() bool { return n.states()[connectivity.Ready] == 2 })
		if got := sum(client.counted(50, first...)); got != 50 {
			t.Errorf("the first priority, back, got %d of 50 calls", got)
		}
		n.idle()
	})
}

func TestANewConfigKeepsWhatWasLearned(t *testing.T) {
	for name, wrap := range map[string]func(*cluster.LoadBalancingPolicy) *cluster.LoadBalancingPolicy{
		"at the top":         func(p *cluster.LoadBalancingPolicy) *cluster.LoadBalancingPolicy { return p },
		"below wrr_locality": perLocality,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t)
				p := newPlane(n)
				hosts := n.startAll(0, 3)
				all := locality("a", 1, 0, hosts...)
				p.publish(clusterOf(wrap(choiceOfTwo(nil))), all)
				c := p.client()
				n.awaitReady(hosts...)
				c.counted(60)
				before := n.picks()
				for _, h := range hosts {
					h.answer(fails(codes.NotFound))
				}
				_ = c.call() // is answered: NOT_FOUND is not the server's fault

				p.publish(clusterOf(wrap(choiceOfTwo(map[string]any{"errorCodes": []any{"NOT_FOUND"}}))), all)
				n.await("the new config in force", func() bool {
					_ = c.call()
					return n.failures() > 0
				})
				n.kept(before)
				for _, h := range hosts {
					if dials := h.dials.Load(); dials != 1 {
						t.Errorf("%s was dialed %d times", h.address, dials)
					}
				}
				c.state(connectivity.Ready)
				n.idle()
			})
		})
	}
}

func TestAnotherPolicyAndBackLosesNoCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		p := newPlane(n)
		hosts := n.startAll(0, 3)
		for _, h := range hosts {
			h.answer(takes(20 * time.Millisecond))
		}
		endpoints := locality("a", 1, 0, hosts...)
		p.publish(clusterOf(choiceOfTwo(nil)), endpoints)
		c := p.client()
		n.awaitReady(hosts...)
		c.during(func() {
			p.publish(clusterOf(policies(&roundrobin.RoundRobin{})), endpoints)
			n.await("the policy gone", func() bool { return len(n.policies()) == 0 })
			time.Sleep(time.Second)
			c.state(connectivity.Ready)
			p.publish(clusterOf(choiceOfTwo(nil)), endpoints)
			n.awaitReady(hosts...)
			c.state(connectivity.Ready)
		})
		for address, picks := range n.picks() {
			if picks == 0 {
				t.Errorf("%s is not used since the policy is back", address)
			}
		}
		n.idle()
	})
}

// outlierDetection is what ejecting says, for a cluster.
func outlierDetection() *cluster.OutlierDetection {
	return &cluster.OutlierDetection{
		Interval:                       seconds(1),
		BaseEjectionTime:               seconds(5),
		MaxEjectionTime:                seconds(5),
		MaxEjectionPercent:             number(100),
		EnforcingSuccessRate:           number(0),
		FailurePercentageThreshold:     number(50),
		EnforcingFailurePercentage:     number(100),
		FailurePercentageMinimumHosts:  number(2),
		FailurePercentageRequestVolume: number(5),
	}
}

// states counts the instances of the policy that are in each state.
func (n *network) states() map[connectivity.State]int {
	states := make(map[connectivity.State]int)
	for _, p := range n.policies() {
		states[p.State]++
	}
	return states
}

// failures are those that count against endpoints.
func (n *network) failures() (total uint64) {
	for _, e := range n.endpoints() {
		total += e.Failures
	}
	return total
}

func sum(counts []int64) (total int64) {
	for _, c := range counts {
		total += c
	}
	return total
}
