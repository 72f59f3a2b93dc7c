//go:build !race

// A thousand real connections take the race detector half a minute.

package compose

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/resolver/manual"
)

// crowd is a channel of a thousand endpoints, which one server stands for: it
// is the client that is tested. Each has an address and a connection of its own.
type crowd struct {
	*client
	server   *host
	resolver *manual.Resolver

	mu    sync.Mutex
	conns map[string]net.Conn
	gone  atomic.Bool // all but the last refuse to be dialed
}

func newCrowd(t *testing.T) *crowd {
	n := newNetwork(t)
	c := &crowd{server: n.start("crowd"), conns: make(map[string]net.Conn)}
	c.resolver = manual.NewBuilderWithScheme("test")
	c.resolver.InitialState(listed(0))
	c.client = n.client("test:///crowd", c.resolver,
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig": [{"choice_of_two": {}}]}`),
		grpc.WithContextDialer(c.dial))
	n.await("a thousand endpoints ready", func() bool { return len(n.listed(connectivity.Ready)) == thousand })
	c.state(connectivity.Ready)
	return c
}

func (c *crowd) dial(ctx context.Context, address string) (net.Conn, error) {
	if c.gone.Load() && address != last {
		return nil, fmt.Errorf("nobody listens at %q", address)
	}
	conn, err := c.server.dial(ctx)
	if err == nil {
		c.mu.Lock()
		c.conns[address] = conn
		c.mu.Unlock()
	}
	return conn, err
}

// leave has all but the last die at once.
func (c *crowd) leave() {
	c.gone.Store(true)
	c.mu.Lock()
	defer c.mu.Unlock()
	for address, conn := range c.conns {
		if address != last {
			conn.Close()
		}
	}
}

// alone checks that the channel is ready and the last endpoint serves all calls.
func (c *crowd) alone() {
	c.t.Helper()
	c.state(connectivity.Ready)
	before := c.network.endpoints()[last].Picks
	c.counted(100)
	if got := c.network.endpoints()[last].Picks - before; got != 100 {
		c.t.Errorf("the last endpoint got %d of 100 calls", got)
	}
	c.network.idle()
}

func TestTheChannelStaysReadyWhileOneOfAThousandIsAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t)
		c.counted(2000)
		c.network.idle()
		c.leave()
		c.network.await("one left", func() bool { return len(c.network.listed(connectivity.TransientFailure)) == thousand-1 })
		c.alone()
		time.Sleep(2 * time.Second) // they try again, and fail
		c.alone()
	})
}

func TestTheChannelStaysReadyWhileOneOfAThousandIsListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t)
		c.during(func() {
			c.resolver.UpdateState(listed(thousand - 1))
			c.network.await("one listed", func() bool { return len(c.network.endpoints()) == 1 })
		})
		c.alone()
	})
}
