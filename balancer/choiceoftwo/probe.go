package choiceoftwo

import (
	"context"
	"sync"
	"time"

	v3orcapb "github.com/cncf/xds/go/xds/data/orca/v3"
	v3orcaservice "github.com/cncf/xds/go/xds/service/orca/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/evenkeel/evenkeel/internal/choice"
)

// probeInterval is the reporting interval that a probe asks for. What it wants is the first
// report, which servers send at once; the stream is ended long before a second one is due.
const probeInterval = time.Hour

// prober asks the server of one connection for load reports: by a stream of the
// standard out-of-band service (xds.service.orca.v3.OpenRcaService), which it ends with
// the first report. It owns the goroutines of its probes, one each, and ends with
// its connection.
type prober struct {
	client v3orcaservice.OpenRcaServiceClient
	alive  context.Context
	end    context.CancelFunc

	mu      sync.Mutex // a WaitGroup that is waited for must not grow from 0
	closed  bool
	running sync.WaitGroup
}

// proberBuilder has gRPC make a prober for a connection. The prober is closed when
// the endpoint no longer wants it, or when the connection's state changes.
type proberBuilder struct{}

var theProberBuilder = &proberBuilder{}

// Build implements balancer.ProducerBuilder.
func (*proberBuilder) Build(conn any) (balancer.Producer, func()) {
	p := &prober{client: v3orcaservice.NewOpenRcaServiceClient(conn.(grpc.ClientConnInterface))}
	p.alive, p.end = context.WithCancel(context.Background())
	return p, p.close
}

// close ends the probes under way and waits for their goroutines. These take no lock
// of gRPC's nor of an endpoint's shell, so that it may be called with such locks held.
func (p *prober) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.end()
	p.running.Wait()
}

// probe sends a probe and calls end, from a goroutine of its own, with its report or
// error. It returns false if the prober is closed; end is then not called.
func (p *prober) probe(end func(*v3orcapb.OrcaLoadReport, error)) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.running.Go(func() { end(p.ask()) })
	return true
}

func (p *prober) ask() (*v3orcapb.OrcaLoadReport, error) {
	ctx, cancel := context.WithTimeout(p.alive, choice.ProbeTimeout)
	defer cancel() // it ends the stream
	stream, err := p.client.StreamCoreMetrics(ctx, &v3orcaservice.OrcaLoadReportRequest{
		ReportInterval: durationpb.New(probeInterval),
	})
	if err != nil {
		return nil, err
	}
	return stream.Recv()
}

// probe sends the probes that are due after a pick.
func (p *picker) probe(now int64, picked int) {
	var room [16]int // as many as there can be under way
	for _, i := range p.fleet.Probes(now, source{}, picked, room[:0]) {
		p.ready[i].endpoint.probe()
	}
}

// probe sends a probe to the endpoint.
func (e *endpoint) probe() {
	prober := e.prober.Load()
	if prober == nil || !prober.probe(e.probed) {
		e.core.ProbeFailed(e.policy.now(), false) // the connection has just gone
		return
	}
	e.policy.probes.Add(1)
}

// probed takes in how a probe ended.
func (e *endpoint) probed(r *v3orcapb.OrcaLoadReport, err error) {
	now := e.policy.now()
	if err != nil {
		e.core.ProbeFailed(now, status.Code(err) == codes.Unimplemented)
		return
	}
	var report choice.Report
	translate(r, e.policy.settings.Load().metrics, &report)
	e.core.Probed(now, report)
}

// updateProber gets the ready connection a prober, or gives it back, as the settings
// say. The caller holds e.mu.
func (e *endpoint) updateProber() {
	if !e.policy.settings.Load().probing {
		e.dropProber()
		return
	}
	if e.ready != nil && e.stopProber == nil {
		p, stop := e.ready.GetOrBuildProducer(theProberBuilder)
		e.prober.Store(p.(*prober))
		e.stopProber = stop
	}
}

// dropProber ends the probes of the endpoint. The caller holds e.mu.
func (e *endpoint) dropProber() {
	if e.stopProber != nil {
		e.prober.Store(nil)
		e.stopProber()
		e.stopProber = nil
	}
}
