// Package drive runs balancing policies that are registered with gRPC through
// simulations, so that what is simulated in their stead can be checked.
//
// They read the machine's clock, so it must be done in a bubble of
// testing/synctest, in which time is what the simulation makes it:
//
//	synctest.Test(t, func(t *testing.T) {
//		p := drive.New("round_robin", "{}", t.Fatalf)
//		defer p.Close()
//		result, err := sim.Run(ctx, scenario, p, sim.Options{Seed: 1, Clock: p.Clock})
//	})
package drive

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	v3orcapb "github.com/cncf/xds/go/xds/data/orca/v3"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	estats "google.golang.org/grpc/experimental/stats"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/serviceconfig"
	"google.golang.org/grpc/status"

	"github.com/evenkeel/evenkeel/internal/orcametric"
	"github.com/evenkeel/evenkeel/internal/sim"
)

// Policy is a registered policy as the simulator takes it.
type Policy struct {
	name, config string
	fail         func(format string, args ...any)
	start        time.Time
	balancers    []balancer.Balancer
}

// New returns the policy of that name, with a config in JSON. fail is called
// when it does what it must not, and does not return.
func New(name, config string, fail func(format string, args ...any)) *Policy {
	return &Policy{name: name, config: config, fail: fail, start: time.Now()}
}

// Clock brings the bubble's time to the simulation's.
func (p *Policy) Clock(now int64) {
	if d := time.Until(p.start.Add(time.Duration(now))); d > 0 {
		time.Sleep(d)
	}
}

// Close closes all balancers.
func (p *Policy) Close() {
	for _, b := range p.balancers {
		b.Close()
	}
}

// New implements sim.Policy.
func (p *Policy) New(sim.Env) sim.Balancer {
	builder := balancer.Get(p.name)
	if builder == nil {
		p.fail("no policy %q is registered", p.name)
	}
	// Some seed their generators with the time: no two clients shall have the same.
	time.Sleep(time.Microsecond)
	b := &channel{policy: p}
	b.balancer = builder.Build(b, balancer.BuildOptions{})
	p.balancers = append(p.balancers, b.balancer)
	return b
}

// channel is one client: a channel to the policy, a balancer to the simulator.
type channel struct {
	balancer.ClientConn // nil: what is not overridden is not called
	policy              *Policy
	balancer            balancer.Balancer
	connections         []*connection // those that are not shut down
	reachable           []int32       // servers that take connections, in ascending order
	calls               sim.Slab[func(balancer.DoneInfo)]

	mu      sync.Mutex
	picker  balancer.Picker
	pending []func() // callbacks, which gRPC never makes from within a call
}

func (b *channel) later(f func()) {
	b.mu.Lock()
	b.pending = append(b.pending, f)
	b.mu.Unlock()
}

func (b *channel) settle() {
	for {
		b.mu.Lock()
		pending := b.pending
		b.pending = nil
		b.mu.Unlock()
		if len(pending) == 0 {
			return
		}
		for _, f := range pending {
			f()
		}
	}
}

// Update implements sim.Balancer. The resolver lists what is listed; what is not ready
// loses its connection, and gets none until it is again.
func (b *channel) Update(_ int64, listed, ready []int32) {
	b.reachable = ready
	var config serviceconfig.LoadBalancingConfig
	if parser, ok := balancer.Get(b.policy.name).(balancer.ConfigParser); ok {
		var err error
		if config, err = parser.ParseConfig(json.RawMessage(b.policy.config)); err != nil {
			b.policy.fail("%s: %v", b.policy.name, err)
		}
	}
	var s resolver.State
	for _, server := range listed {
		address := resolver.Address{Addr: fmt.Sprint(server)}
		s.Endpoints = append(s.Endpoints, resolver.Endpoint{Addresses: []resolver.Address{address}})
		s.Addresses = append(s.Addresses, address) // for older policies
	}
	if err := b.balancer.UpdateClientConnState(balancer.ClientConnState{ResolverState: s, BalancerConfig: config}); err != nil {
		b.policy.fail("%s: %v", b.policy.name, err)
	}
	b.balancer.ExitIdle()
	b.settle()
	for _, c := range slices.Clone(b.connections) {
		c.follow()
	}
	b.settle()
}

func (b *channel) isReachable(server int32) bool {
	_, ok := slices.BinarySearch(b.reachable, server)
	return ok
}

// Pick implements sim.Balancer.
func (b *channel) Pick(int64) (int32, int32) {
	b.mu.Lock()
	picker := b.picker
	b.mu.Unlock()
	r, err := picker.Pick(balancer.PickInfo{FullMethodName: "/test.Service/Unary"})
	if err != nil {
		b.policy.fail("%s: %v", b.policy.name, err)
	}
	return r.SubConn.(*connection).server, b.calls.Put(r.Done)
}

// Done implements sim.Balancer.
func (b *channel) Done(_ int64, call int32, o *sim.Outcome) {
	done := b.calls.Take(call)
	if done == nil {
		return
	}
	info := balancer.DoneInfo{BytesSent: true, BytesReceived: o.Heard}
	switch o.Code {
	case sim.Unavailable:
		info.Err = status.Error(codes.Unavailable, "")
	case sim.ResourceExhausted:
		info.Err = status.Error(codes.ResourceExhausted, "")
	case sim.DeadlineExceeded:
		info.Err = status.Error(codes.DeadlineExceeded, "")
	}
	if r := o.Report; r != nil {
		load := &v3orcapb.OrcaLoadReport{
			ApplicationUtilization: max(r.Utilization, 0), RpsFractional: max(r.RPS, 0), Eps: max(r.EPS, 0),
			NamedMetrics: map[string]float64{},
		}
		if r.InFlight >= 0 {
			load.NamedMetrics[orcametric.InFlight] = r.InFlight
		}
		if r.Uptime > 0 {
			load.NamedMetrics[orcametric.Uptime] = r.Uptime.Seconds()
		}
		if r.Draining {
			load.NamedMetrics[orcametric.Draining] = 1
		}
		info.ServerLoad = load
	}
	done(info)
}

// Reported implements sim.Balancer.
func (*channel) Reported(int64, int32, *sim.Report) {}

func (b *channel) NewSubConn(addrs []resolver.Address, opts balancer.NewSubConnOptions) (balancer.SubConn, error) {
	c := &connection{channel: b, listener: opts.StateListener}
	if _, err := fmt.Sscan(addrs[0].Addr, &c.server); err != nil {
		return nil, err
	}
	b.connections = append(b.connections, c)
	return c, nil
}

func (b *channel) UpdateState(s balancer.State) {
	b.mu.Lock()
	b.picker = s.Picker
	b.mu.Unlock()
}
func (b *channel) ResolveNow(resolver.ResolveNowOptions) {}
func (b *channel) Target() string                        { return "sim:///service" }
func (b *channel) MetricsRecorder() estats.MetricsRecorder {
	return estats.UnimplementedMetricsRecorder{}
}

// connection is ready when it was asked to connect and its server is reachable, and idle
// again when that is no longer so.
type connection struct {
	balancer.SubConn
	channel  *channel
	server   int32
	state    connectivity.State
	listener func(balancer.SubConnState)
}

func (c *connection) Connect() {
	c.channel.later(func() {
		if c.state == connectivity.Idle {
			c.becomes(connectivity.Connecting)
			c.follow()
		}
	})
}

// follow brings the connection to the state that its server allows.
func (c *connection) follow() {
	switch reachable := c.channel.isReachable(c.server); {
	case c.state == connectivity.Connecting && reachable:
		c.becomes(connectivity.Ready)
	case c.state == connectivity.Ready && !reachable:
		c.becomes(connectivity.Idle)
	}
}

func (c *connection) becomes(s connectivity.State) {
	c.state = s
	c.listener(balancer.SubConnState{ConnectivityState: s})
}
func (c *connection) RegisterHealthListener(f func(balancer.SubConnState)) {
	c.channel.later(func() { f(balancer.SubConnState{ConnectivityState: connectivity.Ready}) })
}
func (c *connection) Shutdown() {
	c.state = connectivity.Shutdown
	c.channel.connections = slices.DeleteFunc(c.channel.connections, func(other *connection) bool { return other == c })
}
func (c *connection) GetOrBuildProducer(balancer.ProducerBuilder) (balancer.Producer, func()) {
	return nil, func() {}
}
