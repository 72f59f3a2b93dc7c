package inprocess

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // the codec that is used by default
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

// Config says how a [Server] serves. Its zero value is usable.
type Config struct {
	// UnaryInterceptors and StreamInterceptors run around each call; the first
	// is the outermost.
	UnaryInterceptors  []grpc.UnaryServerInterceptor
	StreamInterceptors []grpc.StreamServerInterceptor

	// MaxReceiveBytes bounds a request message, as [grpc.MaxRecvMsgSize] does.
	// 1 B to 2 GiB - 1; default 4 MiB. Callers bound responses by a
	// [grpc.CallOption]; they are bound to 4 MiB by default, too.
	MaxReceiveBytes int

	// WindowBytes is how much a stream may hold of messages that were sent and
	// not yet received, in each direction; one message always fits. 1 B to
	// 1 GiB; default 64 KiB, as gRPC begins with.
	WindowBytes int

	// ServerStats and ClientStats are told of each call, as by
	// [grpc.StatsHandler] and [grpc.WithStatsHandler]: so traces and metrics are
	// made as they are over a network. Of connections they are not told.
	ServerStats, ClientStats []stats.Handler

	// AuthInfo is what handlers find in their peer. Default: an [AuthInfo],
	// which says that nobody else can read or change what is sent.
	AuthInfo credentials.AuthInfo

	// Logger is told of panics. Default [slog.Default].
	Logger *slog.Logger
}

// AuthInfo tells a handler that its caller is in the same process.
type AuthInfo struct{ credentials.CommonAuthInfo }

// AuthType implements [credentials.AuthInfo].
func (AuthInfo) AuthType() string { return "inprocess" }

// Addr is the address of both ends.
type Addr struct{}

// Network implements [net.Addr].
func (Addr) Network() string { return "inprocess" }

// String implements [net.Addr].
func (Addr) String() string { return "inprocess" }

var _ net.Addr = Addr{}

// A Server holds services and calls them. Its methods may be called
// concurrently.
type Server struct {
	config Config
	unary  grpc.UnaryServerInterceptor  // nil if there is none
	stream grpc.StreamServerInterceptor // nil if there is none
	codec  encoding.CodecV2
	peer   *peer.Peer
	// values is what every handler's context holds.
	values context.Context

	registered atomic.Pointer[registry]

	mu      sync.Mutex // guards what follows, and registration
	closing bool
	active  map[*call]struct{}
	running sync.WaitGroup
}

var (
	_ grpc.ServiceRegistrar    = (*Server)(nil)
	_ grpc.ClientConnInterface = (*Server)(nil)
)

// registry is what was registered. It is replaced, not changed.
type registry struct {
	methods  map[string]*method // by full name
	services map[string]grpc.ServiceInfo
}

// method is one of a service, either unary or a stream.
type method struct {
	fullName string
	impl     any
	unary    *grpc.MethodDesc
	stream   *grpc.StreamDesc
}

// streams says which sides of a method are streams.
func (m *method) streams() (client, server bool) {
	if m.stream == nil {
		return false, false
	}
	return m.stream.ClientStreams, m.stream.ServerStreams
}

// New returns a server without services. An error names the field of config
// that is wrong. Close it to wait for calls that are still running.
func New(config Config) (*Server, error) {
	if err := config.complete(); err != nil {
		return nil, fmt.Errorf("inprocess: Config.%w", err)
	}
	s := &Server{
		config: config, unary: chainUnary(config.UnaryInterceptors), stream: chainStream(config.StreamInterceptors),
		codec: encoding.GetCodecV2("proto"), active: map[*call]struct{}{},
		peer: &peer.Peer{Addr: Addr{}, LocalAddr: Addr{}, AuthInfo: config.AuthInfo},
	}
	s.values = peer.NewContext(context.Background(), s.peer)
	s.registered.Store(&registry{})
	return s, nil
}

func (c *Config) complete() error {
	if c.MaxReceiveBytes == 0 {
		c.MaxReceiveBytes = defaultMaxReceive
	}
	if c.WindowBytes == 0 {
		c.WindowBytes = 64 << 10
	}
	if c.AuthInfo == nil {
		c.AuthInfo = AuthInfo{credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}}
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	for i, interceptor := range c.UnaryInterceptors {
		if interceptor == nil {
			return fmt.Errorf("UnaryInterceptors[%d]: is nil", i)
		}
	}
	for i, interceptor := range c.StreamInterceptors {
		if interceptor == nil {
			return fmt.Errorf("StreamInterceptors[%d]: is nil", i)
		}
	}
	for i, h := range c.ServerStats {
		if h == nil {
			return fmt.Errorf("ServerStats[%d]: is nil", i)
		}
	}
	for i, h := range c.ClientStats {
		if h == nil {
			return fmt.Errorf("ClientStats[%d]: is nil", i)
		}
	}
	if c.MaxReceiveBytes < 1 || c.MaxReceiveBytes > maxMessage {
		return fmt.Errorf("MaxReceiveBytes: %d is out of range; 1 to %d", c.MaxReceiveBytes, maxMessage)
	}
	if c.WindowBytes < 1 || c.WindowBytes > 1<<30 {
		return fmt.Errorf("WindowBytes: %d is out of range; 1 to %d", c.WindowBytes, 1<<30)
	}
	return nil
}

// RegisterService implements [grpc.ServiceRegistrar]. As that of [grpc.Server]
// it does not return if impl does not implement the service or the service is
// there twice: it panics.
func (s *Server) RegisterService(desc *grpc.ServiceDesc, impl any) {
	if impl != nil && desc.HandlerType != nil {
		if want := reflect.TypeOf(desc.HandlerType).Elem(); !reflect.TypeOf(impl).Implements(want) {
			panic(fmt.Sprintf("inprocess: %T does not implement %v of service %s", impl, want, desc.ServiceName))
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.registered.Load()
	if _, twice := old.services[desc.ServiceName]; twice {
		panic(fmt.Sprintf("inprocess: service %s is registered twice", desc.ServiceName))
	}
	next := &registry{methods: map[string]*method{}, services: map[string]grpc.ServiceInfo{}}
	maps.Copy(next.methods, old.methods)
	maps.Copy(next.services, old.services)
	info := grpc.ServiceInfo{Metadata: desc.Metadata}
	for i := range desc.Methods {
		m := &desc.Methods[i]
		full := "/" + desc.ServiceName + "/" + m.MethodName
		next.methods[full] = &method{fullName: full, impl: impl, unary: m}
		info.Methods = append(info.Methods, grpc.MethodInfo{Name: m.MethodName})
	}
	for i := range desc.Streams {
		m := &desc.Streams[i]
		full := "/" + desc.ServiceName + "/" + m.StreamName
		next.methods[full] = &method{fullName: full, impl: impl, stream: m}
		info.Methods = append(info.Methods, grpc.MethodInfo{Name: m.StreamName, IsClientStream: m.ClientStreams, IsServerStream: m.ServerStreams})
	}
	next.services[desc.ServiceName] = info
	s.registered.Store(next)
}

// GetServiceInfo returns what is registered, by service name, so that reflection
// can be registered, too.
func (s *Server) GetServiceInfo() map[string]grpc.ServiceInfo {
	return maps.Clone(s.registered.Load().services)
}

// find returns a method, or what gRPC answers if there is none.
func (s *Server) find(fullName string) (*method, error) {
	r := s.registered.Load()
	if m, ok := r.methods[fullName]; ok {
		return m, nil
	}
	service, name, ok := strings.Cut(strings.TrimPrefix(fullName, "/"), "/")
	if !ok {
		return nil, status.Errorf(codes.Unimplemented, "malformed method name: %q", fullName)
	}
	if _, ok := r.services[service]; ok {
		return nil, status.Errorf(codes.Unimplemented, "unknown method %v for service %v", name, service)
	}
	return nil, status.Errorf(codes.Unimplemented, "unknown service %v", service)
}

var errClosed = status.Error(codes.Unavailable, "the server in this process is closed")

// begin lets a call in, unless the server is closed.
func (s *Server) begin(c *call) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return errClosed
	}
	s.active[c] = struct{}{}
	s.running.Add(1)
	return nil
}

func (s *Server) end(c *call) {
	s.mu.Lock()
	delete(s.active, c)
	s.mu.Unlock()
	s.running.Done()
}

// Close refuses new calls, cancels those that are running, and waits for their
// handlers to return.
func (s *Server) Close() error {
	s.cancelAll()
	s.running.Wait()
	return nil
}

// Shutdown refuses new calls and waits for those that are running, until ctx is
// done: then it cancels them and returns the context's error, without waiting
// for handlers that do not heed it.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	done := make(chan struct{})
	go func() { // ends with the last call
		s.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		s.cancelAll()
		return errors.Join(errors.New("inprocess: calls were cancelled"), ctx.Err())
	}
}

func (s *Server) cancelAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing = true
	for c := range s.active {
		c.cancel()
	}
}
