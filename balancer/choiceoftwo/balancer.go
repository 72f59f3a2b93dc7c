package choiceoftwo

import (
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/endpointsharding"
	"google.golang.org/grpc/balancer/pickfirst"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/serviceconfig"

	"github.com/evenkeel/evenkeel/internal/choice"
)

func init() {
	balancer.Register(NewBuilder())
}

// NewBuilder returns a builder of the policy, for balancer.Register. One
// without options is registered already; register another only to give it
// options, before any client is made, in main or in an init.
func NewBuilder(opts ...Option) balancer.Builder {
	b := &builder{}
	for _, opt := range opts {
		opt(b)
	}
	return b
}

// Option is an option of NewBuilder.
type Option func(*builder)

// WithMonitor has every client that uses the policy watched by m.
func WithMonitor(m *Monitor) Option {
	return func(b *builder) { b.monitor = m }
}

type builder struct {
	monitor   *Monitor
	explainer *Explainer
	distance  func(resolver.Endpoint) time.Duration
}

func (*builder) Name() string { return Name }

// ParseConfig implements balancer.ConfigParser.
func (*builder) ParseConfig(data json.RawMessage) (serviceconfig.LoadBalancingConfig, error) {
	c, err := ParseConfig(data)
	if err != nil {
		return nil, err
	}
	return &c, nil
}

// Build implements balancer.Builder.
func (bb *builder) Build(cc balancer.ClientConn, opts balancer.BuildOptions) balancer.Balancer {
	b := &policy{
		ClientConn: cc,
		target:     opts.Target.String(),
		epoch:      time.Now(),
		monitor:    bb.monitor,
		explainer:  bb.explainer,
		distance:   bb.distance,
		endpoints:  make(map[*endpoint]struct{}),
	}
	b.group = choice.NewGroup(choice.DefaultParams(), bb.monitor != nil)
	b.settings.Store(newSettings(&Config{}))
	b.metrics = newMetrics(b, cc.MetricsRecorder())
	b.child = endpointsharding.NewBalancer(b, opts, b.newEndpoint, endpointsharding.Options{})
	b.monitor.add(b)
	return b
}

// policy is one client's balancer. It hands endpointsharding a builder of
// endpoints (endpoint.go), each of which owns a pick_first, and is itself the
// ClientConn that endpointsharding reports to.
//
// Lock order: endpointsharding calls UpdateState with its own lock held, so
// nothing here calls down into the child with mu held.
type policy struct {
	balancer.ClientConn // of the channel; UpdateState is intercepted

	target    string
	epoch     time.Time // of the core's clock
	child     balancer.Balancer
	group     *choice.Group
	monitor   *Monitor
	explainer *Explainer                            // nil if picks are not explained
	distance  func(resolver.Endpoint) time.Duration // where the resolver does not say it; may be nil
	settings  atomic.Pointer[settings]
	methods   methods
	metrics   *metrics
	probes    atomic.Uint64 // that were sent

	mu        sync.Mutex
	endpoints map[*endpoint]struct{} // all that there are, ready or not
	state     connectivity.State
}

// settings are what calls and reports are judged by. They are replaced whole.
type settings struct {
	errorCodes uint32 // a bit for each code that counts
	metrics    []metricName
	oobPeriod  time.Duration // 0: no out-of-band reports
	probing    bool
}

func newSettings(c *Config) *settings {
	s := &settings{
		errorCodes: c.errorCodes(),
		metrics:    parseMetricNames(c.MetricNamesForComputingUtilization),
		probing:    c.ProbesPerCall > 0,
	}
	if c.EnableOOBLoadReport {
		s.oobPeriod = or(c.OOBReportingPeriod, defaultOOBReportingPeriod, 0)
	}
	return s
}

// now is the core's clock: nanoseconds since this policy was built. It is
// never 0, which to the core means "never".
func (b *policy) now() int64 { return int64(time.Since(b.epoch)) + 1 }

// UpdateClientConnState implements balancer.Balancer.
func (b *policy) UpdateClientConnState(s balancer.ClientConnState) error {
	config, ok := s.BalancerConfig.(*Config)
	if !ok {
		return fmt.Errorf("%s: got a config of type %T: %w", Name, s.BalancerConfig, balancer.ErrBadResolverState)
	}
	b.group.SetParams(config.Params())
	b.settings.Store(newSettings(config))
	b.mu.Lock()
	endpoints := make([]*endpoint, 0, len(b.endpoints))
	for e := range b.endpoints {
		endpoints = append(endpoints, e)
	}
	b.mu.Unlock()
	for _, e := range endpoints {
		e.follow()
	}
	return b.child.UpdateClientConnState(balancer.ClientConnState{
		// Without it, outlier detection and client-side health checks would do nothing.
		ResolverState: pickfirst.EnableHealthListener(s.ResolverState),
	})
}

// ResolverError implements balancer.Balancer.
func (b *policy) ResolverError(err error) { b.child.ResolverError(err) }

// UpdateSubConnState implements balancer.Balancer. gRPC no longer calls it.
func (b *policy) UpdateSubConnState(balancer.SubConn, balancer.SubConnState) {}

// ExitIdle implements balancer.Balancer.
func (b *policy) ExitIdle() { b.child.ExitIdle() }

// Close implements balancer.Balancer.
func (b *policy) Close() {
	b.monitor.remove(b)
	b.child.Close()
	b.metrics.close()
}

// UpdateState takes what endpointsharding says of the endpoints and gives the
// channel a picker over the ready ones. If none is ready, the aggregate state
// and picker are right as they are: they queue calls, or fail them.
func (b *policy) UpdateState(s balancer.State) {
	children := endpointsharding.ChildStatesFromPicker(s.Picker)
	ready := make([]*readyPicker, 0, len(children))
	for _, child := range children {
		if p, ok := child.State.Picker.(*readyPicker); ok && child.State.ConnectivityState == connectivity.Ready {
			ready = append(ready, p)
		}
	}
	b.mu.Lock()
	b.state = s.ConnectivityState
	b.mu.Unlock()
	if len(ready) > 0 {
		s.Picker = b.newPicker(ready)
	}
	b.ClientConn.UpdateState(s)
}
