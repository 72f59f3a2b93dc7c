package choiceoftwo

import (
	"context"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	v3orcapb "github.com/cncf/xds/go/xds/data/orca/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/resolver"

	"github.com/evenkeel/evenkeel/internal/choice"
	"github.com/evenkeel/evenkeel/orca"
)

// reporting is a server that embeds a reporter of this utilization.
func reporting(t *testing.T, name string, utilization func() float64) (*server, *orca.Reporter) {
	t.Helper()
	r, err := orca.NewReporter(orca.WithUtilization(utilization), orca.WithMinReportingInterval(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	s := startServerWith(name, r.ServerOptions()...)
	r.Register(s.grpc)
	return s, r
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-6 }

func constant(u float64) func() float64 { return func() float64 { return u } }

func TestWhatAServerSaysOfItsLatencyIsRead(t *testing.T) {
	for seconds, want := range map[float64]time.Duration{0.25: 250 * time.Millisecond, 0: 0, -1: 0, math.Inf(1): 0, math.NaN(): 0, 1e300: 0} {
		var r choice.Report
		translate(&v3orcapb.OrcaLoadReport{NamedMetrics: map[string]float64{
			orca.MetricInFlight: 1, orca.MetricUptime: 5, orca.MetricLatency: seconds,
		}}, nil, &r)
		if r.Latency != want || r.InFlight != 1 || r.Uptime != 5*time.Second {
			t.Errorf("%v s is read as %+v, want %v", seconds, r, want)
		}
	}
}

func TestReportsOfEachCallAreHeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy, _ := reporting(t, "busy", constant(0.9))
		idle, _ := reporting(t, "idle", constant(0.1))
		m := newMeshOf(t, Config{}.ServiceConfig(), busy, idle)
		for range 40 {
			m.calls(1)
			time.Sleep(100 * time.Millisecond)
		}
		es := m.endpoints()
		if !near(es["busy"].Utilization, 0.9) || !near(es["idle"].Utilization, 0.1) {
			t.Errorf("utilizations %v and %v", es["busy"].Utilization, es["idle"].Utilization)
		}
		if up := es["idle"].Uptime; up < 3*time.Second || up > 6*time.Second {
			t.Errorf("uptime %v", up)
		}
	})
}

func TestOutOfBandReportsAreHeededWithoutACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := reporting(t, "s0", constant(0.7))
		m := newMeshOf(t, Config{EnableOOBLoadReport: true, OOBReportingPeriod: time.Second}.ServiceConfig(), s)
		time.Sleep(5 * time.Second)
		e := m.endpoints()["s0"]
		if !near(e.Utilization, 0.7) || e.Picks != 0 {
			t.Errorf("utilization %v after %d picks", e.Utilization, e.Picks)
		}
		for _, reason := range e.HeldBack {
			if reason == "probation" {
				t.Error("an out-of-band report did not count as an answer")
			}
		}
	})
}

func TestOutOfBandReportsFollowTheConfigAndTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := reporting(t, "s0", constant(0.2))
		m := newMeshOf(t, Config{}.ServiceConfig(), s)
		time.Sleep(3 * time.Second)
		if e := m.endpoints()["s0"]; !math.IsNaN(e.Utilization) {
			t.Fatalf("a report came in unasked: utilization %v", e.Utilization)
		}
		update := state("s0")
		update.ServiceConfig = m.resolver.CC().ParseServiceConfig(Config{EnableOOBLoadReport: true, OOBReportingPeriod: time.Second}.ServiceConfig())
		m.resolver.UpdateState(update)
		time.Sleep(3 * time.Second)
		if e := m.endpoints()["s0"]; !near(e.Utilization, 0.2) {
			t.Fatalf("turned on in a new config, but the utilization is %v", e.Utilization)
		}
		// A restarted server, on a new connection, is asked again.
		again, _ := reporting(t, "s0", constant(0.4))
		m.add(again)
		time.Sleep(10 * time.Second)
		if e := m.endpoints()["s0"]; !near(e.Utilization, 0.4) {
			t.Errorf("after a reconnect the utilization is %v", e.Utilization)
		}
	})
}

func TestAResolverUpdateDoesNotAskAnewForOutOfBandReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := orca.NewReporter()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		var asked atomic.Int64
		s := startServerWith("s0", grpc.StreamInterceptor(func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
			asked.Add(1)
			return handle(srv, stream)
		}))
		r.Register(s.grpc)
		config := Config{EnableOOBLoadReport: true, OOBReportingPeriod: time.Second}
		m := newMeshOf(t, config.ServiceConfig(), s)
		update := func() {
			u := state("s0")
			u.ServiceConfig = m.resolver.CC().ParseServiceConfig(config.ServiceConfig())
			m.resolver.UpdateState(u)
			time.Sleep(time.Second)
		}
		for range 5 {
			update()
		}
		if n := asked.Load(); n != 1 {
			t.Errorf("after 5 updates the server was asked %d times", n)
		}
		config.OOBReportingPeriod = 2 * time.Second
		update()
		if n := asked.Load(); n != 2 {
			t.Errorf("after a new period the server was asked %d times", n)
		}
	})
}

func TestAServerThatDrainsIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, reporter := reporting(t, "a", constant(0.1))
		b, _ := reporting(t, "b", constant(0.1))
		m := newMeshOf(t, Config{EnableOOBLoadReport: true}.ServiceConfig(), a, b)
		m.calls(20)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := reporter.Drain(ctx); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := m.counted(50)["a"]; n != 0 {
			t.Errorf("a draining server got %d calls", n)
		}
	})
}

func TestARestartAtTheSameAddressDropsWhatWasLearned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, _ := reporting(t, "s0", constant(0.5))
		other, _ := reporting(t, "s1", constant(0.5))
		m := newMeshOf(t, Config{}.ServiceConfig(), old, other)
		time.Sleep(100 * time.Second)
		for range 100 {
			m.calls(1)
			time.Sleep(10 * time.Millisecond)
		}
		if e := m.endpoints()["s0"]; e.Weight != 1 {
			t.Fatalf("a server of 100 s has weight %v, held back for %v", e.Weight, e.HeldBack)
		}
		again, _ := reporting(t, "s0", constant(0.5))
		m.add(again)
		time.Sleep(5 * time.Second)
		m.waitReady(2)
		for m.endpoints()["s0"].Uptime > 50*time.Second || m.endpoints()["s0"].Uptime == 0 {
			m.calls(1)
			time.Sleep(100 * time.Millisecond)
		}
		if e := m.endpoints()["s0"]; e.Weight > 0.6 {
			t.Errorf("the new server at the old address has weight %v", e.Weight)
		}
	})
}

func TestWhatIsLearnedSurvivesReconnectsAndResolverUpdates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t, Config{}, 3)
		m.calls(100)
		m.server("s1").answer(fails(codes.Unavailable))
		for range 100 {
			_ = m.call(time.Second)
		}
		before := m.endpoints()["s1"]
		if before.ErrorRate == 0 {
			t.Fatalf("error rate %v", before.ErrorRate)
		}
		m.resolver.UpdateState(state("s2", "s1", "s0"))
		replacement := startServer("s1")
		replacement.answer(fails(codes.Unavailable))
		m.add(replacement)
		time.Sleep(3 * time.Second)
		m.waitReady(3)
		after := m.endpoints()["s1"]
		if after.Picks < before.Picks || after.ErrorRate < 0.5*before.ErrorRate {
			t.Errorf("before: %d picks, error rate %v; after: %d, %v", before.Picks, before.ErrorRate, after.Picks, after.ErrorRate)
		}
	})
}

func TestWhichCodesCountIsConfigured(t *testing.T) {
	for _, c := range []struct {
		name   string
		config Config
		code   codes.Code
		counts bool
	}{
		{"what the server caused", Config{}, codes.Internal, true},
		{"what the caller asked for", Config{}, codes.NotFound, false},
		{"as configured", Config{ErrorCodes: []codes.Code{codes.NotFound}}, codes.NotFound, true},
		{"no longer, as configured", Config{ErrorCodes: []codes.Code{codes.NotFound}}, codes.Internal, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMesh(t, c.config, 1)
				m.server("s0").answer(fails(c.code))
				_ = m.call(time.Second)
				e := m.endpoints()["s0"]
				if c.counts != (e.Failures == 1 && e.ErrorRate > 0) {
					t.Errorf("failures %d, error rate %v", e.Failures, e.ErrorRate)
				}
			})
		})
	}
}

func TestACallThatItsCallerCancelsSaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t, Config{}, 1)
		m.server("s0").answer(takes(time.Hour))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			done <- m.conn.Invoke(ctx, "/test.Service/Unary", &healthpb.HealthCheckRequest{}, &healthpb.HealthCheckResponse{})
		}()
		time.Sleep(time.Second)
		cancel()
		<-done
		if e := m.endpoints()["s0"]; e.Failures != 0 || e.Cancels != 1 || e.ErrorRate != 0 || e.InFlight != 0 {
			t.Errorf("failures %d, cancels %d, error rate %v, in flight %d", e.Failures, e.Cancels, e.ErrorRate, e.InFlight)
		}
	})
}

func TestPushbackMakesAnEndpointPassedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t, Config{}, 3)
		m.calls(30)
		m.server("s0").answer(func(ctx context.Context) error {
			if err := grpc.SetTrailer(ctx, metadata.Pairs("grpc-retry-pushback-ms", "5000")); err != nil {
				return err
			}
			return fails(codes.ResourceExhausted)(ctx)
		})
		for m.endpoints()["s0"].Failures == 0 {
			_ = m.call(time.Second)
		}
		held := m.endpoints()["s0"].HeldBack
		if len(held) == 0 {
			t.Fatal("nothing holds it back")
		}
		if n := m.counted(50)["s0"]; n != 0 {
			t.Errorf("it got %d calls within its 5 s", n)
		}
	})
}

func TestAnOpenStreamIsInFlightAndInTimeAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t, Config{}, 2)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if _, err := healthpb.NewHealthClient(m.conn).Watch(ctx, &healthpb.HealthCheckRequest{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		var name string
		for n, e := range m.endpoints() {
			if e.InFlight == 1 {
				name = n
			}
		}
		if name == "" {
			t.Fatal("the stream is not in flight anywhere")
		}
		time.Sleep(6 * time.Second)
		m.calls(20)
		if held := m.endpoints()[name].HeldBack; len(held) != 0 && held[0] == "probation" {
			t.Errorf("still held back: %v", held)
		}
		// Streams owe no answer, so that it is not silent either.
		time.Sleep(time.Hour)
		for _, reason := range m.endpoints()[name].HeldBack {
			if reason == "silent" {
				t.Error("an open stream counts as silence")
			}
		}
	})
}

func TestOneEndpointMayHaveAddressesOfBothFamilies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t, Config{}, 2)
		m.resolver.UpdateState(resolver.State{Endpoints: []resolver.Endpoint{
			{Addresses: []resolver.Address{{Addr: "[2001:db8::1]:1"}, {Addr: "s0"}}},
			{Addresses: []resolver.Address{{Addr: "s1"}, {Addr: "[2001:db8::2]:1"}}},
		}})
		time.Sleep(5 * time.Second)
		ready := 0
		for _, c := range m.monitor.Snapshot() {
			for _, e := range c.Endpoints {
				if e.State == connectivity.Ready && len(e.Addresses) == 2 {
					ready++
				}
			}
		}
		if ready != 2 {
			t.Fatalf("%d endpoints of two addresses are ready", ready)
		}
		for name, n := range m.counted(100) {
			if n < 20 {
				t.Errorf("%s got %d of 100", name, n)
			}
		}
	})
}
