package choiceoftwo

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	v3orcapb "github.com/cncf/xds/go/xds/data/orca/v3"
	v3orcaservice "github.com/cncf/xds/go/xds/service/orca/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpcorca "google.golang.org/grpc/orca"
	"google.golang.org/grpc/status"
)

// probed is a server whose out-of-band service a test answers for.
type probed struct {
	*server
	asked  atomic.Int64
	open   atomic.Int64 // streams
	answer func(context.Context) (*v3orcapb.OrcaLoadReport, error)
}

type probedService struct {
	v3orcaservice.UnimplementedOpenRcaServiceServer
	*probed
}

func (s probedService) StreamCoreMetrics(_ *v3orcaservice.OrcaLoadReportRequest, stream grpc.ServerStreamingServer[v3orcapb.OrcaLoadReport]) error {
	s.asked.Add(1)
	s.open.Add(1)
	defer s.open.Add(-1)
	r, err := s.answer(stream.Context())
	if err != nil {
		return err
	}
	if err := stream.Send(r); err != nil {
		return err
	}
	<-stream.Context().Done()
	return stream.Context().Err()
}

func newProbed(name string, answer func(context.Context) (*v3orcapb.OrcaLoadReport, error)) *probed {
	p := &probed{server: startServer(name), answer: answer}
	v3orcaservice.RegisterOpenRcaServiceServer(p.grpc, probedService{probed: p})
	return p
}

// says answers at once, each time with another report.
func says(inFlight float64) func(context.Context) (*v3orcapb.OrcaLoadReport, error) {
	var said atomic.Int64
	return func(context.Context) (*v3orcapb.OrcaLoadReport, error) {
		return &v3orcapb.OrcaLoadReport{
			ApplicationUtilization: 0.5, RpsFractional: 100 + float64(said.Add(1)),
			NamedMetrics: map[string]float64{"in_flight": inFlight},
		}, nil
	}
}

// fallsSilent never answers.
func fallsSilent(ctx context.Context) (*v3orcapb.OrcaLoadReport, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// quietCalls makes calls that are so far apart that none is news to the next.
func (m *mesh) quietCalls(n int) {
	for range n {
		_ = m.call(10 * time.Second)
		time.Sleep(2 * time.Second)
	}
}

func TestNobodyIsProbedUnlessAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newProbed("a", says(1)), newProbed("b", says(1))
		m := newMeshOf(t, Config{}.ServiceConfig(), a.server, b.server)
		m.quietCalls(20)
		if n := a.asked.Load() + b.asked.Load(); n != 0 {
			t.Errorf("%d probes", n)
		}
	})
}

func TestQuietClientsProbeWithinTheirBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var servers []*server
		var all []*probed
		for _, name := range []string{"a", "b", "c", "d", "e"} {
			p := newProbed(name, says(1))
			all, servers = append(all, p), append(servers, p.server)
		}
		m := newMeshOf(t, Config{ProbesPerCall: 0.5}.ServiceConfig(), servers...)
		asked := int64(0)
		for range 100 {
			m.calls(1)
			synctest.Wait()
			asked = 0
			for _, p := range all {
				asked += p.asked.Load()
				if n := p.open.Load(); n != 0 {
					t.Fatalf("%s has answered, but the stream is left open", p.name)
				}
			}
			time.Sleep(2 * time.Second) // no call is news to the next
		}
		if asked != 50 {
			t.Errorf("%d probes for 100 calls, want 50", asked)
		}
	})
}

func TestABusyClientSendsFewProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var servers []*server
		for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
			s, _ := reporting(t, name, constant(0.5))
			s.answer(takes(20 * time.Millisecond))
			servers = append(servers, s)
		}
		m := newMeshOf(t, Config{ProbesPerCall: 3}.ServiceConfig(), servers...)
		var callers sync.WaitGroup
		defer callers.Wait()
		for range 20 {
			callers.Go(func() {
				for range 400 {
					_ = m.call(time.Second)
				}
			})
			time.Sleep(time.Millisecond)
		}
		time.Sleep(3 * time.Second) // by then they know how long a request takes
		before := m.probes()
		time.Sleep(4 * time.Second)
		// An answer comes each millisecond; calls take twenty. It is often used at once.
		// The budget is 12,000; one run in some dozens takes more than 1,000 of it.
		if n := m.probes() - before; n > 2000 {
			t.Errorf("%d probes in some 4000 calls", n)
		}
	})
}

func (m *mesh) probes() (n uint64) {
	for _, p := range m.policies() {
		n += p.probes.Load()
	}
	return n
}

func (m *mesh) policies() (all []*policy) {
	m.monitor.mu.Lock()
	defer m.monitor.mu.Unlock()
	for p := range m.monitor.policies {
		all = append(all, p)
	}
	return all
}

// Both implementations of the service that there are in Go answer a probe at once, with
// what is true at that moment.
func TestServersAnswerAProbeAtOnce(t *testing.T) {
	for name, serve := range map[string]func(t *testing.T, name string) *server{
		"evenkeel's": func(t *testing.T, name string) *server {
			s, _ := reporting(t, name, constant(0.4))
			return s
		},
		"grpc's": func(t *testing.T, name string) *server {
			s := startServer(name)
			recorder := grpcorca.NewServerMetricsRecorder()
			recorder.SetApplicationUtilization(0.4)
			if err := grpcorca.Register(s.grpc, grpcorca.ServiceOptions{ServerMetricsProvider: recorder}); err != nil {
				t.Fatal(err)
			}
			return s
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := serve(t, "a"), serve(t, "b")
				m := newMeshOf(t, Config{ProbesPerCall: 1}.ServiceConfig(), a, b)
				time.Sleep(2 * time.Second) // their windows are filled
				m.calls(1)
				synctest.Wait() // no time passes
				heard := 0
				for name, e := range m.endpoints() {
					if e.Picks == 0 && near(e.Utilization, 0.4) {
						heard++
						if e.InFlight != 0 || e.Successes != 0 || e.Latency.Count() != 0 {
							t.Errorf("%s: the probe counts as a call: %+v", name, e)
						}
						if len(e.HeldBack) != 1 || e.HeldBack[0] != "probation" {
							t.Errorf("%s: the probe has ended probation: %v", name, e.HeldBack)
						}
					}
				}
				if heard != 1 {
					t.Errorf("%d endpoints were heard of by probes, want the one that was not called", heard)
				}
			})
		})
	}
}

func TestAProbeSeesTheCallsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		explained = NewExplainer(10)
		defer func() { explained = nil }()
		explained.SampleOneIn(1)
		a, _ := reporting(t, "a", constant(0.4))
		b, _ := reporting(t, "b", constant(0.4))
		other := newMeshOf(t, Config{}.ServiceConfig(), a, b)
		for _, s := range other.servers {
			s.answer(takes(time.Minute))
		}
		for range 6 {
			go func() { _ = other.call(30 * time.Second) }()
		}
		synctest.Wait()
		for _, s := range other.servers {
			s.answer(takes(0))
		}
		// Another client of the same servers has no other way to know.
		m := &mesh{t: t, monitor: NewMonitor(), servers: other.servers, resolver: other.resolver}
		m.connect(Config{ProbesPerCall: 1}.ServiceConfig(), "a", "b")
		defer m.conn.Close()
		m.quietCalls(6)
		seen := 0
		for _, d := range explained.Decisions() {
			for _, c := range d.Candidates {
				if c.ReportByProbe && c.ReportedInFlightCalls != nil && *c.ReportedInFlightCalls >= 2 {
					seen++
				}
			}
		}
		if seen == 0 {
			t.Error("no decision was made on what a probe said of the calls in flight")
		}
		time.Sleep(time.Minute)
	})
}

func TestAServerWithoutTheServiceIsNotProbedAgainBeforeItReconnects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := new(atomic.Int64)
		counting := func() *server {
			return startServerWith("a", grpc.UnknownServiceHandler(func(any, grpc.ServerStream) error {
				asked.Add(1)
				return status.Error(codes.Unimplemented, "no such service")
			}))
		}
		b := newProbed("b", says(1))
		m := newMeshOf(t, Config{ProbesPerCall: 3}.ServiceConfig(), counting(), b.server)
		m.quietCalls(30)
		if n := asked.Load(); n != 1 {
			t.Errorf("it was asked %d times", n)
		}
		m.add(counting())
		time.Sleep(5 * time.Second)
		m.waitReady(2)
		m.quietCalls(30)
		if n := asked.Load(); n != 2 {
			t.Errorf("after it reconnected it was asked %d times in all", n)
		}
	})
}

func TestOneProbeAnEndpointIsUnderWayAndItTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newProbed("a", fallsSilent), newProbed("b", fallsSilent)
		m := newMeshOf(t, Config{ProbesPerCall: 3}.ServiceConfig(), a.server, b.server)
		errors := m.endpoints()["a"].ErrorRate
		for range 20 {
			m.calls(1)
			time.Sleep(10 * time.Millisecond)
			synctest.Wait()
			if n := a.open.Load(); n > 1 {
				t.Fatalf("%d probes are under way", n)
			}
		}
		time.Sleep(time.Second)
		if a.asked.Load() != 1 || b.asked.Load() != 1 || a.open.Load() != 0 || b.open.Load() != 0 {
			t.Errorf("asked %d and %d times, still open %d and %d", a.asked.Load(), b.asked.Load(), a.open.Load(), b.open.Load())
		}
		if e := m.endpoints()["a"]; e.ErrorRate != errors || e.Failures != 0 {
			t.Errorf("probes that time out count as failures: %+v", e)
		}
	})
}

// The bubble of synctest does not end while a goroutine is left in it.
func TestProbesEndWithTheirConnectionAndWithTheClient(t *testing.T) {
	for name, end := range map[string]func(m *mesh){
		"the client is closed":          func(m *mesh) { m.conn.Close() },
		"the resolver lists it no more": func(m *mesh) { m.resolver.UpdateState(state("b")) },
		"the server goes":               func(m *mesh) { m.server("a").grpc.Stop() },
		"probing is turned off": func(m *mesh) {
			update := state("a", "b")
			update.ServiceConfig = m.resolver.CC().ParseServiceConfig(Config{}.ServiceConfig())
			m.resolver.UpdateState(update)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := newProbed("a", fallsSilent), newProbed("b", fallsSilent)
				m := newMeshOf(t, Config{ProbesPerCall: 3}.ServiceConfig(), a.server, b.server)
				m.calls(4)
				synctest.Wait()
				if a.open.Load() != 1 {
					t.Fatalf("%d probes are under way", a.open.Load())
				}
				begin := time.Now()
				end(m)
				synctest.Wait()
				if n := a.open.Load(); n != 0 || time.Since(begin) > 0 {
					t.Errorf("after %v %d probes are under way", time.Since(begin), n)
				}
			})
		})
	}
}

func TestProbingFollowsTheConfig(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newProbed("a", says(1)), newProbed("b", says(1))
		m := newMeshOf(t, Config{}.ServiceConfig(), a.server, b.server)
		turn := func(config Config) (probes int64) {
			update := state("a", "b")
			update.ServiceConfig = m.resolver.CC().ParseServiceConfig(config.ServiceConfig())
			m.resolver.UpdateState(update)
			before := a.asked.Load() + b.asked.Load()
			m.quietCalls(20)
			return a.asked.Load() + b.asked.Load() - before
		}
		if n := turn(Config{ProbesPerCall: 1}); n != 20 {
			t.Errorf("%d probes in 20 calls once it is turned on", n)
		}
		if n := turn(Config{}); n != 0 {
			t.Errorf("%d probes once it is turned off", n)
		}
	})
}
