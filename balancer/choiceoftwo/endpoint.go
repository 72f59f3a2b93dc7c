package choiceoftwo

import (
	"sync"
	"sync/atomic"
	"time"

	v3orcapb "github.com/cncf/xds/go/xds/data/orca/v3"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/pickfirst"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/orca"
	"google.golang.org/grpc/resolver"

	"github.com/evenkeel/evenkeel/internal/choice"
)

// endpoint is endpointsharding's child for one endpoint: a pick_first, and
// what is learned of the endpoint. The latter so lives for as long as the
// resolver lists the endpoint, through reconnects, and needs no look-up by
// address: it rides on the child's picker.
type endpoint struct {
	balancer.ClientConn // of endpointsharding; NewSubConn and UpdateState are intercepted

	policy    *policy
	pickFirst balancer.Balancer
	core      *choice.Endpoint

	prober atomic.Pointer[prober] // of ready; nil while there is none

	// mu guards the fields below. OnLoadReport and probed do not take it: stopping
	// reports or probes, which is done with mu held, waits for them to return.
	mu         sync.Mutex
	addresses  []resolver.Address
	state      connectivity.State
	ready      balancer.SubConn // the connection that is ready, if one is
	wasReady   bool
	stopOOB    func() // ends the out-of-band reports of ready; nil if there are none
	oobPeriod  time.Duration
	stopProber func() // ends the probes of ready; nil if there are none
}

func (b *policy) newEndpoint(cc balancer.ClientConn, opts balancer.BuildOptions) balancer.Balancer {
	e := &endpoint{ClientConn: cc, policy: b, core: b.group.NewEndpoint(b.now())}
	e.pickFirst = balancer.Get(pickfirst.Name).Build(e, opts)
	b.mu.Lock()
	b.endpoints[e] = struct{}{}
	b.mu.Unlock()
	return e
}

// UpdateClientConnState implements balancer.Balancer.
func (e *endpoint) UpdateClientConnState(s balancer.ClientConnState) error {
	if len(s.ResolverState.Endpoints) == 1 {
		e.mu.Lock()
		e.addresses = s.ResolverState.Endpoints[0].Addresses
		e.mu.Unlock()
		e.core.SetDistance(e.policy.distanceOf(s.ResolverState.Endpoints[0]))
	}
	return e.pickFirst.UpdateClientConnState(s)
}

// ResolverError implements balancer.Balancer.
func (e *endpoint) ResolverError(err error) { e.pickFirst.ResolverError(err) }

// UpdateSubConnState implements balancer.Balancer. gRPC no longer calls it.
func (e *endpoint) UpdateSubConnState(balancer.SubConn, balancer.SubConnState) {}

// ExitIdle implements balancer.Balancer.
func (e *endpoint) ExitIdle() { e.pickFirst.ExitIdle() }

// Close implements balancer.Balancer: the resolver no longer lists the endpoint.
// Calls in flight go on, and their ends are still counted.
func (e *endpoint) Close() {
	e.policy.mu.Lock()
	delete(e.policy.endpoints, e)
	e.policy.mu.Unlock()
	e.policy.metrics.remove(e)
	e.pickFirst.Close()
	e.lost(nil)
}

// UpdateState marks the picker of a ready endpoint as the endpoint's.
func (e *endpoint) UpdateState(s balancer.State) {
	e.mu.Lock()
	e.state = s.ConnectivityState
	e.mu.Unlock()
	if s.ConnectivityState == connectivity.Ready {
		s.Picker = &readyPicker{Picker: s.Picker, endpoint: e}
	}
	e.ClientConn.UpdateState(s)
}

// NewSubConn makes a connection of which the endpoint hears when it is ready.
func (e *endpoint) NewSubConn(addrs []resolver.Address, opts balancer.NewSubConnOptions) (balancer.SubConn, error) {
	var sc balancer.SubConn
	listener := opts.StateListener
	opts.StateListener = func(s balancer.SubConnState) {
		if s.ConnectivityState == connectivity.Ready {
			e.gained(sc)
		} else {
			e.lost(sc)
		}
		if listener != nil {
			listener(s)
		}
	}
	var err error
	//lint:ignore SA1019 it is how a connection is intercepted; only its taking several addresses is to go
	sc, err = e.ClientConn.NewSubConn(addrs, opts)
	return sc, err
}

func (e *endpoint) gained(sc balancer.SubConn) {
	e.lost(nil) // what was asked of another connection
	e.mu.Lock()
	e.ready = sc
	again := e.wasReady
	e.wasReady = true
	e.mu.Unlock()
	if again {
		e.core.Reconnected()
	}
	e.follow()
}

// lost forgets the ready connection, if it is this one; nil means any.
func (e *endpoint) lost(sc balancer.SubConn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ready == nil || (sc != nil && e.ready != sc) {
		return
	}
	e.ready = nil
	if e.stopOOB != nil {
		e.stopOOB()
		e.stopOOB = nil
	}
	e.dropProber()
}

// follow has the ready connection asked for reports as the settings say.
func (e *endpoint) follow() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.updateOOB()
	e.updateProber()
}

// updateOOB asks for out-of-band reports, or no longer does, as the settings say. The
// caller holds e.mu.
func (e *endpoint) updateOOB() {
	period := e.policy.settings.Load().oobPeriod
	if e.stopOOB != nil && period == e.oobPeriod {
		return // asking anew would end one stream and begin another
	}
	if e.stopOOB != nil {
		e.stopOOB()
		e.stopOOB = nil
	}
	if e.ready != nil && period > 0 {
		e.oobPeriod = period
		e.stopOOB = orca.RegisterOOBListener(e.ready, &oobListener{e}, orca.OOBListenerOptions{ReportInterval: period})
	}
}

// oobListener is a value of its own at each registration, so that a late
// report of an old connection cannot be mistaken for the listener of a new one.
type oobListener struct{ endpoint *endpoint }

// OnLoadReport implements orca.OOBListener.
func (l *oobListener) OnLoadReport(r *v3orcapb.OrcaLoadReport) {
	p := l.endpoint.policy
	var report choice.Report
	translate(r, p.settings.Load().metrics, &report)
	l.endpoint.core.Reported(p.now(), report)
}

// readyPicker is the pick_first picker of an endpoint that is ready.
type readyPicker struct {
	balancer.Picker
	endpoint *endpoint
}

// address is the endpoint's first one, by which people know it.
func (e *endpoint) address() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.addresses) == 0 {
		return ""
	}
	return e.addresses[0].Addr
}
