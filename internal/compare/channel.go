package compare

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	"github.com/evenkeel/evenkeel/internal/compare/backend"
)

// readyWithin is how long a channel may take to get its first connection.
const readyWithin = 30 * time.Second

// lister is a resolver that says what it is told.
type lister struct{ *manual.Resolver }

func (l lister) list(addresses []string) { l.UpdateState(stateOf(addresses)) }

func stateOf(addresses []string) (s resolver.State) {
	for _, a := range addresses {
		s.Endpoints = append(s.Endpoints, resolver.Endpoint{Addresses: []resolver.Address{{Addr: a}}})
	}
	return s
}

// channels are the clients, each with a channel of its own.
type channels struct {
	tracker *tracker
	conns   [clients]*grpc.ClientConn
	listed  [clients]lister
}

func (c *channels) call(ctx context.Context, a arrival, due time.Time) call {
	ctx, cancel := context.WithDeadline(ctx, due.Add(deadline))
	defer cancel()
	ctx, where := c.tracker.follow(ctx, a.client)
	late := time.Since(due)
	err := backend.Call(ctx, c.conns[a.client], a.work)
	result := call{late: late, took: time.Since(due), err: err}
	result.replica, result.hit = c.tracker.done(where)
	return result
}

func (c *channels) close() {
	for _, conn := range c.conns {
		if conn != nil {
			conn.Close()
		}
	}
}

// publish tells all clients where the replicas are.
func (c *channels) publish(addresses []string) {
	for _, l := range c.listed {
		l.list(addresses)
	}
}

// dial makes the clients and waits until each has a connection.
func dial(ctx context.Context, f *fleet, policy *Policy, options []grpc.DialOption) (*channels, error) {
	c := &channels{tracker: f.tracker}
	options = append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(policy.serviceConfig()),
		grpc.WithStatsHandler(c.tracker),
		grpc.WithNoProxy(),
		grpc.WithIdleTimeout(0),
		grpc.WithStaticStreamWindowSize(backend.WindowSize),
		grpc.WithStaticConnWindowSize(backend.WindowSize),
	}, options...)
	for i := range c.conns {
		c.listed[i] = lister{manual.NewBuilderWithScheme("compare")}
		c.listed[i].InitialState(stateOf(f.addresses()))
		conn, err := grpc.NewClient("compare:///backend", append(options, grpc.WithResolvers(c.listed[i]))...)
		if err != nil {
			c.close()
			return nil, err
		}
		c.conns[i] = conn
		conn.Connect()
	}
	waiting, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for _, conn := range c.conns {
		for s := conn.GetState(); s != connectivity.Ready; s = conn.GetState() {
			if !conn.WaitForStateChange(waiting, s) {
				c.close()
				if ctx.Err() != nil {
					return nil, context.Cause(ctx)
				}
				return nil, fmt.Errorf("the clients did not get connected within %v", readyWithin)
			}
		}
	}
	return c, nil
}
