package choiceoftwo

import (
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/resolver"
)

// trackingChannel knows the state of the connections that it makes.
type trackingChannel struct {
	*fakeChannel
	connections []*trackedConnection
}

type trackedConnection struct {
	*fakeConnection
	state connectivity.State
}

func (c *trackingChannel) NewSubConn(addrs []resolver.Address, opts balancer.NewSubConnOptions) (balancer.SubConn, error) {
	sc, _ := c.fakeChannel.NewSubConn(addrs, opts)
	tracked := &trackedConnection{fakeConnection: sc.(*fakeConnection), state: connectivity.Idle}
	inner := tracked.listener
	tracked.listener = func(s balancer.SubConnState) {
		if tracked.state == connectivity.Shutdown {
			return
		}
		tracked.state = s.ConnectivityState
		inner(s)
	}
	c.connections = append(c.connections, tracked)
	return tracked, nil
}

func (s *trackedConnection) Shutdown() { s.state = connectivity.Shutdown }

// Connections come and go, endpoints are listed and no longer are; whatever the
// picker of that moment picks is ready, and it picks something if anything is.
func TestOnlyReadyEndpointsArePicked(t *testing.T) {
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) { connectionsComeAndGo(t, seed) })
	}
}

func connectionsComeAndGo(t *testing.T, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 7))
	cc := &trackingChannel{fakeChannel: &fakeChannel{}}
	b := NewBuilder().Build(cc, balancer.BuildOptions{})
	var open []balancer.PickResult
	picked, queued := 0, 0
	for range 300 {
		switch random.IntN(6) {
		case 0:
			listed := 1 + random.IntN(8)
			var names []string
			for _, i := range random.Perm(10)[:listed] {
				names = append(names, string(rune('a'+i)))
			}
			if err := b.UpdateClientConnState(balancer.ClientConnState{ResolverState: state(names...), BalancerConfig: &Config{}}); err != nil {
				t.Fatal(err)
			}
			b.ExitIdle()
		case 1, 2:
			if len(cc.connections) > 0 {
				s := cc.connections[random.IntN(len(cc.connections))]
				if s.state == connectivity.Ready {
					s.listener(balancer.SubConnState{ConnectivityState: connectivity.Idle})
				} else if s.state == connectivity.Connecting {
					s.listener(balancer.SubConnState{ConnectivityState: connectivity.TransientFailure, ConnectionError: errors.New("refused")})
				}
			}
		case 3:
			if len(open) > 0 {
				open[0].Done(answered())
				open = open[1:]
			}
		default:
			cc.settle()
		}
		synctest.Wait() // what leaves idle does so in a goroutine of its own
		picker := cc.fakeChannel.state.Picker
		if picker == nil {
			continue
		}
		result, err := picker.Pick(balancer.PickInfo{FullMethodName: "/test.Service/Unary", Ctx: t.Context()})
		ready := 0
		for _, s := range cc.connections {
			if s.state == connectivity.Ready {
				ready++
			}
		}
		if err != nil {
			if queued++; ready > 0 && cc.fakeChannel.state.ConnectivityState == connectivity.Ready {
				t.Fatalf("seed %d: %d connections are ready, and a pick says %v", seed, ready, err)
			}
			continue
		}
		picked++
		if got := result.SubConn.(*trackedConnection); got.state != connectivity.Ready {
			t.Fatalf("seed %d: picked a connection that is %v", seed, got.state)
		}
		open = append(open, result)
	}
	b.Close()
	for _, r := range open {
		r.Done(answered())
	}
	if picked == 0 {
		t.Errorf("seed %d: nothing was ever picked, and %d picks were queued", seed, queued)
	}
}
