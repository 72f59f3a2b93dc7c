package telemetry_test

import (
	"context"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	_ "github.com/evenkeel/evenkeel/balancer/choiceoftwo"
	"github.com/evenkeel/evenkeel/gateway/inprocess"
	"github.com/evenkeel/evenkeel/gateway/overload"
	"github.com/evenkeel/evenkeel/gateway/retry"
	"github.com/evenkeel/evenkeel/gateway/telemetry"
)

// backend is a health service that keeps the metadata of the last call.
type backend struct {
	*health.Server
	last chan metadata.MD
}

func newBackend() *backend { return &backend{health.NewServer(), make(chan metadata.MD, 8)} }

func (b *backend) Check(ctx context.Context, r *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	b.last <- md
	return b.Server.Check(ctx, r)
}

// dial connects to b over bufconn.
func dial(t *testing.T, b *backend, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	server := grpc.NewServer()
	healthpb.RegisterHealthServer(server, b)
	listener := bufconn.Listen(1 << 16)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient("passthrough:///library", append(options,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func names(spans []sdktrace.ReadOnlySpan) []string {
	var all []string
	for _, s := range spans {
		all = append(all, s.SpanKind().String()+" "+s.Name())
	}
	return all
}

// parentsOf returns the names of a span's ancestors, from the top to itself.
func parentsOf(spans []sdktrace.ReadOnlySpan, id trace.SpanID) []string {
	for _, s := range spans {
		if s.SpanContext().SpanID() == id {
			return append(parentsOf(spans, s.Parent().SpanID()), s.Name())
		}
	}
	return nil
}

func TestGRPCsOwnHandlerContinuesTheTraceAndABackendSeesOneParent(t *testing.T) {
	k := keep(t, nil)
	b := newBackend()
	client := healthpb.NewHealthClient(dial(t, b, k.DialOptions()...))
	r, q := k.Start(request("GET", "/"))
	// A gateway sends the context of its own span; the attempt's takes its place.
	if _, err := client.Check(q.Inject(r.Context()), &healthpb.HealthCheckRequest{}); err != nil {
		t.Fatal(err)
	}
	q.End(telemetry.Outcome{Status: 200})
	seen := (<-b.last)["traceparent"]
	if len(seen) != 1 {
		t.Fatalf("the backend saw %q", seen)
	}
	parts := strings.Split(seen[0], "-")
	if parts[1] != q.SpanContext().TraceID().String() {
		t.Errorf("another trace: %v", seen)
	}
	id, _ := trace.SpanIDFromHex(parts[2])
	if got := strings.Join(parentsOf(k.spans.Ended(), id), " > "); got != "GET > Sent.grpc.health.v1.Health.Check > Attempt.grpc.health.v1.Health.Check" {
		t.Errorf("the backend's parents are %q of %q", got, names(k.spans.Ended()))
	}
	if !strings.Contains(k.metrics(), "grpc.client.call.duration{grpc.method=grpc.health.v1.Health/Check,grpc.status=OK,grpc.target=passthrough:///library} count=1\n") {
		t.Error(k.metrics())
	}
}

func TestAConnectionWithoutOptionsCarriesTheRequestsContext(t *testing.T) {
	k := keep(t, nil)
	b := newBackend()
	r, q := k.Start(request("GET", "/"))
	if _, err := healthpb.NewHealthClient(dial(t, b)).Check(q.Inject(r.Context()), &healthpb.HealthCheckRequest{}); err != nil {
		t.Fatal(err)
	}
	if seen := (<-b.last)["traceparent"]; len(seen) != 1 || !strings.Contains(seen[0], q.SpanContext().SpanID().String()) {
		t.Errorf("the backend saw %q", seen)
	}
	q.End(telemetry.Outcome{Status: 200})
}

func TestAServiceInTheSameProcessIsACallToo(t *testing.T) {
	k := keep(t, nil)
	server, err := inprocess.New(inprocess.Config{})
	if err != nil {
		t.Fatal(err)
	}
	b := newBackend()
	healthpb.RegisterHealthServer(server, b)
	client := healthpb.NewHealthClient(k.WrapConn(server))
	r, q := k.Start(request("GET", "/"))
	ctx := q.Inject(r.Context())
	if _, err := client.Check(ctx, &healthpb.HealthCheckRequest{}); err != nil {
		t.Fatal(err)
	}
	seen := (<-b.last)["traceparent"]
	if _, err := client.Check(ctx, &healthpb.HealthCheckRequest{Service: "unheard of"}); status.Code(err) != codes.NotFound {
		t.Fatal(err)
	}
	<-b.last
	q.End(telemetry.Outcome{Status: 200})
	spans := k.spans.Ended()
	if got := names(spans); !slices.Equal(got, []string{"client grpc.health.v1.Health/Check", "client grpc.health.v1.Health/Check", "server GET"}) {
		t.Fatalf("spans %q", got)
	}
	if len(seen) != 1 || !strings.Contains(seen[0], spans[0].SpanContext().SpanID().String()) || spans[0].Parent().SpanID() != q.SpanContext().SpanID() {
		t.Errorf("the backend saw %q", seen)
	}
	want := `client grpc.health.v1.Health/Check Error
  error.type=NOT_FOUND
  rpc.method=grpc.health.v1.Health/Check
  rpc.response.status_code=NOT_FOUND
  rpc.system.name=grpc
`
	if got := describe(spans[1]); got != want {
		t.Error(got)
	}
	k.wantMetrics(
		"rpc.client.call.duration{rpc.method=grpc.health.v1.Health/Check,rpc.response.status_code=OK,rpc.system.name=grpc} count=1",
		"rpc.client.call.duration{error.type=NOT_FOUND,rpc.method=grpc.health.v1.Health/Check,rpc.response.status_code=NOT_FOUND,rpc.system.name=grpc} count=1",
	)
}

func TestAStreamIsACallUntilItEnds(t *testing.T) {
	k := keep(t, nil)
	server, err := inprocess.New(inprocess.Config{})
	if err != nil {
		t.Fatal(err)
	}
	healthpb.RegisterHealthServer(server, newBackend())
	ctx, cancel := context.WithCancel(t.Context())
	stream, err := healthpb.NewHealthClient(k.WrapConn(server)).Watch(ctx, &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	if n := len(k.spans.Ended()); n != 0 {
		t.Fatalf("%d spans ended with the stream open", n)
	}
	cancel()
	for err == nil {
		_, err = stream.Recv()
	}
	if got := describe(k.spans.Ended()[0]); !strings.HasPrefix(got, "client grpc.health.v1.Health/Watch Error\n") || !strings.Contains(got, "rpc.response.status_code=CANCELLED") {
		t.Error(got)
	}
}

// The policy tells gRPC's registry every ten seconds; gRPC's handler must pass
// it on.
func TestTheBalancersMetricsComeThroughGRPCsHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader := sdkmetric.NewManualReader()
		k := keep(t, func(c *telemetry.Config) {
			c.TracerProvider, c.MeterProvider = nil, sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
		})
		k.reader = reader
		b := newBackend()
		conn := dial(t, b, append(k.DialOptions(), grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"choice_of_two":{}}]}`))...)
		client := healthpb.NewHealthClient(conn)
		for range 3 {
			if _, err := client.Check(t.Context(), &healthpb.HealthCheckRequest{}); err != nil {
				t.Fatal(err)
			}
			<-b.last
		}
		time.Sleep(11 * time.Second) // of the bubble's clock
		synctest.Wait()
		k.wantMetrics(
			"grpc.lb.choice_of_two.endpoints{grpc.lb.choice_of_two.state=READY,grpc.target=passthrough:///library} 1",
			"grpc.lb.choice_of_two.picks{grpc.target=passthrough:///library} 3",
		)
		_ = conn.Close()
	})
}

func TestRetriesAndTheLimitOnCallsAreToldUntilClose(t *testing.T) {
	k := keep(t, nil)
	limiter, err := overload.New(overload.Config{InitialLimit: 7})
	if err != nil {
		t.Fatal(err)
	}
	again, err := retry.Wrap(dial(t, newBackend()), retry.Config{})
	if err != nil {
		t.Fatal(err)
	}
	k.Watch(telemetry.Upstream{Service: "a.A", Limiter: limiter, Retries: again})
	k.Watch(telemetry.Upstream{Service: "b.B", Limiter: limiter}) // shared: told once
	call, _ := limiter.Acquire("m", overload.Critical)
	k.wantMetrics(
		"evenkeel.gateway.overload.limit{rpc.service=a.A} 7",
		"evenkeel.gateway.overload.in_flight{rpc.service=a.A} 1",
		"evenkeel.gateway.overload.calls{outcome=accepted,priority=critical,rpc.service=a.A} 1",
		"evenkeel.gateway.retries{outcome=made,rpc.service=a.A} 0",
		"evenkeel.gateway.retries{outcome=over_budget,rpc.service=a.A} 0",
	)
	call.Done(overload.Succeeded)
	if strings.Contains(k.metrics(), "b.B") {
		t.Error("a limiter that is shared is told twice")
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(k.metrics(), "evenkeel.gateway.overload") {
		t.Error("told after Close")
	}
}
