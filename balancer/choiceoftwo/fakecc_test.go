package choiceoftwo

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"

	v3orcapb "github.com/cncf/xds/go/xds/data/orca/v3"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	estats "google.golang.org/grpc/experimental/stats"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/serviceconfig"
	"google.golang.org/grpc/status"
)

// fakeChannel stands in for a channel: each connection is ready when asked.
// It drives any registered policy, so that policies can be compared.
type fakeChannel struct {
	balancer.ClientConn // nil: what is not overridden is not called

	mu      sync.Mutex
	state   balancer.State
	pending []func() // callbacks, which gRPC never makes from within a call
}

func (c *fakeChannel) NewSubConn(_ []resolver.Address, opts balancer.NewSubConnOptions) (balancer.SubConn, error) {
	return &fakeConnection{channel: c, listener: opts.StateListener}, nil
}

func (c *fakeChannel) later(f func()) {
	c.mu.Lock()
	c.pending = append(c.pending, f)
	c.mu.Unlock()
}

// settle makes the callbacks until there are none left.
func (c *fakeChannel) settle() {
	for {
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
	c.state = s
	c.mu.Unlock()
}
func (c *fakeChannel) ResolveNow(resolver.ResolveNowOptions) {}
func (c *fakeChannel) Target() string                        { return "fake:///service" }
func (c *fakeChannel) MetricsRecorder() estats.MetricsRecorder {
	return estats.UnimplementedMetricsRecorder{}
}

type fakeConnection struct {
	balancer.SubConn
	channel  *fakeChannel
	listener func(balancer.SubConnState)
}

func (s *fakeConnection) Connect() {
	s.channel.later(func() {
		s.listener(balancer.SubConnState{ConnectivityState: connectivity.Connecting})
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

// readyPolicy builds a registered policy over n endpoints, all ready, and
// returns its picker.
func readyPolicy(t testing.TB, name, config string, n int) balancer.Picker {
	t.Helper()
	builder := balancer.Get(name)
	if builder == nil {
		t.Fatalf("no policy %q", name)
	}
	var parsed serviceconfig.LoadBalancingConfig
	if parser, ok := builder.(balancer.ConfigParser); ok && config != "" {
		var err error
		if parsed, err = parser.ParseConfig(json.RawMessage(config)); err != nil {
			t.Fatal(err)
		}
	}
	cc := &fakeChannel{}
	b := builder.Build(cc, balancer.BuildOptions{})
	t.Cleanup(b.Close)
	var s resolver.State
	for i := range n {
		s.Endpoints = append(s.Endpoints, resolver.Endpoint{Addresses: []resolver.Address{{Addr: fmt.Sprintf("10.0.%d.%d:1", i/250, i%250)}}})
	}
	if err := b.UpdateClientConnState(balancer.ClientConnState{ResolverState: s, BalancerConfig: parsed}); err != nil {
		t.Fatal(err)
	}
	b.ExitIdle()
	cc.settle()
	cc.mu.Lock()
	defer cc.mu.Unlock()
	if cc.state.ConnectivityState != connectivity.Ready {
		t.Fatalf("%s is %v", name, cc.state.ConnectivityState)
	}
	return cc.state.Picker
}

// report is what one answer carries.
func report(i int) *v3orcapb.OrcaLoadReport {
	return &v3orcapb.OrcaLoadReport{
		ApplicationUtilization: 0.3 + float64(i%7)/20,
		RpsFractional:          100 + float64(i%5),
		NamedMetrics:           map[string]float64{"in_flight": float64(i % 4), "uptime": 1000},
	}
}

func pickInfo(ctx context.Context) balancer.PickInfo {
	return balancer.PickInfo{FullMethodName: "/test.Service/Unary", Ctx: ctx}
}

// answered ends a call in a way of which the latency does not count: it would
// be that of this machine.
func answered() balancer.DoneInfo {
	return balancer.DoneInfo{BytesSent: true, BytesReceived: true, Err: status.Error(codes.NotFound, "")}
}
