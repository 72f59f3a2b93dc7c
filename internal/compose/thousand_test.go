package compose

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/connectivity"
	estats "google.golang.org/grpc/experimental/stats"
	"google.golang.org/grpc/resolver"

	"github.com/evenkeel/evenkeel/balancer/choiceoftwo"
)

const thousand = 1000

// member is the address of one of a thousand.
func member(i int) string { return fmt.Sprintf("10.1.%d.%d:80", i/250, i%250) }

var last = member(thousand - 1)

// listed are a thousand endpoints from a resolver, or the last of them.
func listed(from int) (s resolver.State) {
	for i := from; i < thousand; i++ {
		s.Endpoints = append(s.Endpoints, resolver.Endpoint{Addresses: []resolver.Address{{Addr: member(i)}}})
	}
	return s
}

func TestAThousandEndpointsAreAllUsedAndTheLastKeepsTheStateReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		monitor := choiceoftwo.NewMonitor()
		n := &network{t: t, monitor: monitor}
		cc := &fakeChannel{}
		policy := choiceoftwo.NewBuilder(choiceoftwo.WithMonitor(monitor)).Build(cc, balancer.BuildOptions{})
		defer policy.Close()
		update := func(s resolver.State) {
			if err := policy.UpdateClientConnState(balancer.ClientConnState{ResolverState: s, BalancerConfig: &choiceoftwo.Config{}}); err != nil {
				t.Fatal(err)
			}
			policy.ExitIdle()
			cc.settle()
		}

		update(listed(0))
		if got := len(n.listed(connectivity.Ready)); got != thousand {
			t.Fatalf("%d endpoints are ready", got)
		}
		if unused := use(t, n, cc); unused > 0 {
			t.Errorf("%d endpoints were never used", unused)
		}
		n.idle()

		cc.leave()
		if got := n.listed(connectivity.Ready); len(got) != 1 || got[0] != last {
			t.Errorf("ready are %v, want the last alone", got)
		}
		alone(t, n, cc)
		update(listed(thousand - 1))
		if got := len(n.endpoints()); got != 1 {
			t.Errorf("%d endpoints are known, of which one is listed", got)
		}
		alone(t, n, cc)
		if cc.wavered {
			t.Error("once ready, the policy said that it is not")
		}
	})
}

// use makes calls until all endpoints have had one, and returns how many did
// not. A call finds a given endpoint once in a thousand: after fifty thousand,
// the chance that one is left out is 1000 e^-50. A tenth mostly does.
func use(t *testing.T, n *network, cc *fakeChannel) (unused int) {
	for range 50 {
		for range thousand {
			cc.call(t)
		}
		unused = 0
		for _, picks := range n.picks() {
			if picks == 0 {
				unused++
			}
		}
		if unused == 0 {
			break
		}
	}
	return unused
}

// alone checks that the last endpoint gets all calls.
func alone(t *testing.T, n *network, cc *fakeChannel) {
	t.Helper()
	before := n.endpoints()[last].Picks
	for range 100 {
		cc.call(t)
	}
	if got := n.endpoints()[last].Picks - before; got != 100 {
		t.Errorf("the last endpoint got %d of 100 calls", got)
	}
	n.idle()
}

// fakeChannel stands in for a channel whose connections are all ready when they
// are asked for, until all but the last leave.
type fakeChannel struct {
	balancer.ClientConn // nil: what is not overridden is not called

	mu          sync.Mutex
	state       balancer.State
	wavered     bool // it was ready, and then was not
	connections []*fakeConnection
	gone        bool
	pending     []func() // callbacks, which gRPC never makes from within a call
}

// call makes a call that takes a millisecond.
func (c *fakeChannel) call(t *testing.T) {
	t.Helper()
	c.mu.Lock()
	picker := c.state.Picker
	c.mu.Unlock()
	result, err := picker.Pick(balancer.PickInfo{FullMethodName: "/test.Service/Unary", Ctx: context.Background()})
	if err != nil {
		t.Fatalf("pick: %v", err)
	}
	time.Sleep(time.Millisecond) // fake
	result.Done(balancer.DoneInfo{BytesSent: true, BytesReceived: true})
}

// leave ends all connections but the last, and refuses others.
func (c *fakeChannel) leave() {
	c.mu.Lock()
	c.gone = true
	connections := c.connections
	c.mu.Unlock()
	for _, s := range connections {
		if s.address != last {
			c.later(func() { s.listener(balancer.SubConnState{ConnectivityState: connectivity.Idle}) })
		}
	}
	c.settle()
}

func (c *fakeChannel) refuses(address string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gone && address != last
}

func (c *fakeChannel) later(f func()) {
	c.mu.Lock()
	c.pending = append(c.pending, f)
	c.mu.Unlock()
}

// settle makes the callbacks until there are none left.
func (c *fakeChannel) settle() {
	for {
		synctest.Wait()
		c.mu.Lock()
		pending := c.pending
		c.pending = nil
		c.mu.Unlock()
		if len(pending) == 0 {
			return
		}
		for _, f := range pending {
			f()
		}
	}
}

func (c *fakeChannel) UpdateState(s balancer.State) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wavered = c.wavered || (c.state.ConnectivityState == connectivity.Ready && s.ConnectivityState != connectivity.Ready)
	c.state = s
}

func (c *fakeChannel) NewSubConn(addrs []resolver.Address, opts balancer.NewSubConnOptions) (balancer.SubConn, error) {
	s := &fakeConnection{channel: c, address: addrs[0].Addr, listener: opts.StateListener}
	c.mu.Lock()
	c.connections = append(c.connections, s)
	c.mu.Unlock()
	return s, nil
}

func (c *fakeChannel) ResolveNow(resolver.ResolveNowOptions) {}
func (c *fakeChannel) Target() string                        { return "fake:///crowd" }
func (c *fakeChannel) MetricsRecorder() estats.MetricsRecorder {
	return estats.UnimplementedMetricsRecorder{}
}

type fakeConnection struct {
	balancer.SubConn
	channel  *fakeChannel
	address  string
	listener func(balancer.SubConnState)
}

func (s *fakeConnection) Connect() {
	s.channel.later(func() {
		s.listener(balancer.SubConnState{ConnectivityState: connectivity.Connecting})
		if s.channel.refuses(s.address) {
			s.listener(balancer.SubConnState{
				ConnectivityState: connectivity.TransientFailure,
				ConnectionError:   fmt.Errorf("nobody listens at %q", s.address),
			})
			return
		}
		s.listener(balancer.SubConnState{ConnectivityState: connectivity.Ready})
	})
}

func (s *fakeConnection) RegisterHealthListener(f func(balancer.SubConnState)) {
	s.channel.later(func() { f(balancer.SubConnState{ConnectivityState: connectivity.Ready}) })
}

func (s *fakeConnection) Shutdown() {}

func (s *fakeConnection) GetOrBuildProducer(balancer.ProducerBuilder) (balancer.Producer, func()) {
	return nil, func() {}
}
