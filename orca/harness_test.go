package orca

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	v3orcapb "github.com/cncf/xds/go/xds/data/orca/v3"
	v3orcaservicegrpc "github.com/cncf/xds/go/xds/service/orca/v3"

	"github.com/evenkeel/evenkeel/orca/internal/host"
)

// machine is a pretended process: so many CPU seconds used, of so many cores.
type machine struct {
	cpu      atomic.Int64 // nanoseconds
	cores    float64
	resident uint64
	memory   uint64
}

func (m *machine) work(d time.Duration) { m.cpu.Add(int64(d)) }

func (m *machine) read(time.Time) host.Usage {
	return host.Usage{
		CPU:         time.Duration(m.cpu.Load()),
		Cores:       m.cores,
		Resident:    m.resident,
		MemoryLimit: m.memory,
	}
}

// withHost replaces what is read of the process and its machine.
func withHost(m *machine) Option {
	return func(c *config) { c.readHost = m.read }
}

// methods is a TestService made of functions.
type methods struct {
	testgrpc.UnimplementedTestServiceServer
	unary  func(context.Context) error
	stream func(testgrpc.TestService_FullDuplexCallServer) error
}

func (m *methods) EmptyCall(ctx context.Context, _ *testgrpc.Empty) (*testgrpc.Empty, error) {
	if m.unary == nil {
		return &testgrpc.Empty{}, nil
	}
	return &testgrpc.Empty{}, m.unary(ctx)
}

func (m *methods) FullDuplexCall(stream testgrpc.TestService_FullDuplexCallServer) error {
	return m.stream(stream)
}

// rig is a server over a pipe, a reporter for it, and a client.
type rig struct {
	*Reporter
	t      testing.TB
	server *grpc.Server
	conn   *grpc.ClientConn
	client testgrpc.TestServiceClient
	oob    v3orcaservicegrpc.OpenRcaServiceClient
}

// newRig starts a server with the reporter's options, then more.
func newRig(t testing.TB, r *Reporter, m *methods, more ...grpc.ServerOption) *rig {
	t.Helper()
	return newRigWith(t, r, m, append(r.ServerOptions(), more...))
}

// newRigWith starts a server with just these options.
func newRigWith(t testing.TB, r *Reporter, m *methods, opts []grpc.ServerOption) *rig {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer(opts...)
	testgrpc.RegisterTestServiceServer(server, m)
	healthgrpc.RegisterHealthServer(server, health.NewServer())
	r.Register(server)
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := server.Serve(listener); err != nil {
			t.Errorf("serve: %v", err)
		}
	}()
	conn, err := grpc.NewClient("passthrough:///pipe",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		server.Stop()
		<-served
		r.Close()
	})
	return &rig{
		Reporter: r,
		t:        t,
		server:   server,
		conn:     conn,
		client:   testgrpc.NewTestServiceClient(conn),
		oob:      v3orcaservicegrpc.NewOpenRcaServiceClient(conn),
	}
}

// newReporter makes a reporter on a pretended machine, of one core unless the
// options have another.
func newReporter(t testing.TB, opts ...Option) *Reporter {
	t.Helper()
	r, err := NewReporter(append([]Option{withHost(&machine{cores: 1})}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// call makes a unary call and returns all reports in its trailers, and its error.
func (r *rig) call() ([]*v3orcapb.OrcaLoadReport, error) {
	var trailer metadata.MD
	_, err := r.client.EmptyCall(r.t.Context(), &testgrpc.Empty{}, grpc.Trailer(&trailer))
	return parse(r.t, trailer), err
}

// report makes a unary call that must succeed, and returns its one report.
func (r *rig) report() *v3orcapb.OrcaLoadReport {
	r.t.Helper()
	reports, err := r.call()
	if err != nil || len(reports) != 1 {
		r.t.Fatalf("call: %d reports, error %v, want one and none", len(reports), err)
	}
	return reports[0]
}

func parse(t testing.TB, trailer metadata.MD) []*v3orcapb.OrcaLoadReport {
	t.Helper()
	var reports []*v3orcapb.OrcaLoadReport
	for _, value := range trailer.Get(trailerKey) {
		report := new(v3orcapb.OrcaLoadReport)
		if err := proto.Unmarshal([]byte(value), report); err != nil {
			t.Error(err)
		}
		reports = append(reports, report)
	}
	return reports
}
