package choiceoftwo

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/emptypb"
)

// mesh is a client and its servers over in-memory connections: the real gRPC
// stack, in the fake time of a synctest bubble.
type mesh struct {
	t        *testing.T
	monitor  *Monitor
	resolver *manual.Resolver
	conn     *grpc.ClientConn

	mu      sync.Mutex
	servers map[string]*server
}

// server answers every method as its handler says.
type server struct {
	name     string
	listener *bufconn.Listener
	grpc     *grpc.Server
	handle   atomic.Pointer[func(context.Context) error]
	calls    atomic.Int64
}

func (s *server) answer(f func(context.Context) error) { s.handle.Store(&f) }

func startServer(name string) *server {
	return startServerWith(name)
}

func startServerWith(name string, opts ...grpc.ServerOption) *server {
	s := &server{name: name, listener: bufconn.Listen(1 << 16)}
	s.answer(func(context.Context) error { return nil })
	s.grpc = grpc.NewServer(opts...)
	s.grpc.RegisterService(&serviceDesc, s)
	s.grpc.RegisterService(&healthpb.Health_ServiceDesc, hangingHealth{})
	return s
}

func (s *server) serve() { go s.grpc.Serve(s.listener) }

// serviceDesc is a service with one unary method, which needs no generated code.
var serviceDesc = grpc.ServiceDesc{
	ServiceName: "test.Service",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{
		MethodName: "Unary",
		Handler: func(srv any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
			in := new(emptypb.Empty)
			if err := decode(in); err != nil {
				return nil, err
			}
			handle := func(ctx context.Context, _ any) (any, error) {
				s := srv.(*server)
				s.calls.Add(1)
				return new(emptypb.Empty), (*s.handle.Load())(ctx)
			}
			if intercept == nil {
				return handle(ctx, in)
			}
			return intercept(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: "/test.Service/Unary"}, handle)
		},
	}},
}

// hangingHealth is a stream, with a descriptor that tells so, that never
// answers.
type hangingHealth struct {
	healthpb.UnimplementedHealthServer
}

func (hangingHealth) Watch(_ *healthpb.HealthCheckRequest, s healthpb.Health_WatchServer) error {
	<-s.Context().Done()
	return s.Context().Err()
}

// newMesh starts n servers, "s0" and so on, and a client of them all.
func newMesh(t *testing.T, config Config, n int) *mesh {
	t.Helper()
	servers := make([]*server, n)
	for i := range servers {
		servers[i] = startServer(fmt.Sprintf("s%d", i))
	}
	return newMeshOf(t, config.ServiceConfig(), servers...)
}

// mapDistance is how far the endpoints of the meshes to come are, if the resolver does not say.
var mapDistance func(resolver.Endpoint) time.Duration

// explained is the explainer of the meshes to come; usually none.
var explained *Explainer

// newMeshOf is newMesh for servers of the test's own and any service config.
func newMeshOf(t *testing.T, serviceConfig string, servers ...*server) *mesh {
	t.Helper()
	m := &mesh{t: t, monitor: NewMonitor(), servers: make(map[string]*server)}
	m.resolver = manual.NewBuilderWithScheme("test")
	var names []string
	for _, s := range servers {
		m.add(s)
		names = append(names, s.name)
	}
	m.connect(serviceConfig, names...)
	t.Cleanup(m.close)
	return m
}

// connect makes the client of the servers with these names.
func (m *mesh) connect(serviceConfig string, names ...string) {
	t := m.t
	t.Helper()
	m.resolver.InitialState(state(names...))
	withBuilder(t, NewBuilder(WithMonitor(m.monitor), WithExplainer(explained), WithDistance(mapDistance)))
	conn, err := grpc.NewClient("test:///service",
		grpc.WithResolvers(m.resolver),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithContextDialer(m.dial))
	if err != nil {
		t.Fatal(err)
	}
	m.conn = conn
	conn.Connect()
	m.waitReady(len(names))
}

// add serves s, in place of a server of the same name.
func (m *mesh) add(s *server) {
	s.serve()
	m.mu.Lock()
	old := m.servers[s.name]
	m.servers[s.name] = s
	m.mu.Unlock()
	if old != nil {
		old.grpc.Stop()
	}
}

func (m *mesh) close() {
	m.conn.Close()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.servers {
		s.grpc.Stop()
	}
}

func state(names ...string) resolver.State {
	var s resolver.State
	for _, name := range names {
		s.Endpoints = append(s.Endpoints, resolver.Endpoint{Addresses: []resolver.Address{{Addr: name}}})
	}
	return s
}

func (m *mesh) dial(ctx context.Context, name string) (net.Conn, error) {
	m.mu.Lock()
	s := m.servers[name]
	m.mu.Unlock()
	if s == nil {
		return nil, fmt.Errorf("nobody listens at %q", name)
	}
	dialing.Lock()
	defer dialing.Unlock()
	return s.listener.DialContext(ctx)
}

// dialing serializes dials. bufconn makes timers that are due at once; when two
// goroutines of a synctest bubble do so at a time, the race detector of Go 1.26
// crashes: they run the timers in the bubble's one context.
var dialing sync.Mutex

func (m *mesh) server(name string) *server {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.servers[name]
}

// waitReady waits until n endpoints, and no more, are ready.
func (m *mesh) waitReady(n int) {
	m.t.Helper()
	for range 1000 {
		ready := 0
		for _, e := range m.endpoints() {
			if e.State == connectivity.Ready {
				ready++
			}
		}
		if ready == n {
			return
		}
		time.Sleep(10 * time.Millisecond) // fake
	}
	m.t.Fatalf("%d endpoints did not become ready: %+v", n, m.endpoints())
}

func (m *mesh) endpoints() map[string]Endpoint {
	es := make(map[string]Endpoint)
	for _, c := range m.monitor.Snapshot() {
		for _, e := range c.Endpoints {
			es[e.Addresses[0]] = e
		}
	}
	return es
}

func (m *mesh) call(timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return m.conn.Invoke(ctx, "/test.Service/Unary", &emptypb.Empty{}, &emptypb.Empty{})
}

// calls makes n calls, one after another, and fails the test if one fails.
func (m *mesh) calls(n int) {
	m.t.Helper()
	for range n {
		if err := m.call(10 * time.Second); err != nil {
			m.t.Fatalf("call: %v", err)
		}
	}
}

// counted makes n calls and returns how many each server got.
func (m *mesh) counted(n int) map[string]int64 {
	m.t.Helper()
	before := map[string]int64{}
	for name, s := range m.servers {
		before[name] = s.calls.Load()
	}
	for range n {
		_ = m.call(10 * time.Second)
	}
	got := map[string]int64{}
	for name, s := range m.servers {
		got[name] = s.calls.Load() - before[name]
	}
	return got
}

func takes(d time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func fails(code codes.Code) func(context.Context) error {
	return func(context.Context) error { return status.Error(code, "as the test wants it") }
}

// resolveTo is a resolver that, asked to resolve again, finds these names.
func resolveTo(m *mesh, names ...string) func(resolver.ResolveNowOptions) {
	return func(resolver.ResolveNowOptions) { go m.resolver.UpdateState(state(names...)) }
}
