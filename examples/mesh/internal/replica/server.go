package replica

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/evenkeel/evenkeel/examples/mesh/internal/certs"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/door"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/fleet"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/protocol"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/work"
	"github.com/evenkeel/evenkeel/gateway/identity"
	"github.com/evenkeel/evenkeel/orca"
)

const (
	// reportingFloor is the shortest interval at which clients get load reports
	// out of band.
	reportingFloor = 100 * time.Millisecond
	// reportingWindow is what the reported load is a mean over. Measuring it
	// wakes the process ten times in that long: nine replicas on one machine add
	// up, even with nothing to do.
	reportingWindow = 3 * time.Second
	// pingFloor is how often clients may ping. See peers.Dial.
	pingFloor = 5 * time.Second
)

// server is a replica that answers.
type server struct {
	log      *slog.Logger
	pool     *work.Pool
	reporter *orca.Reporter
	health   *health.Server
	grpc     *grpc.Server
	service  *service
	listener net.Listener
	rest     *rest // nil if there is none
	failed   chan error
	closers  []func() error // run by close, last first
}

// newServer starts all that a replica consists of.
func newServer(ctx context.Context, config *protocol.Config, log *slog.Logger) (_ *server, err error) {
	id, err := config.Validate()
	if err != nil {
		return nil, err
	}
	s := &server{log: log, health: health.NewServer(), failed: make(chan error, 2)}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	own, err := certs.NewIdentity(config.CA, config.Cert, config.Key)
	if err != nil {
		return nil, err
	}
	s.pool, err = work.NewPool(work.Config{Workers: config.Workers, Speed: config.Speed, Mean: config.ServiceTime})
	if err != nil {
		return nil, err
	}
	s.reporter, err = orca.NewReporter(
		orca.WithUtilization(s.pool.Load),
		orca.WithWindow(reportingWindow),
		orca.WithMinReportingInterval(reportingFloor),
		orca.WithLogger(log),
	)
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, s.reporter.Close)
	s.service, err = openService(ctx, id, config.Database, own)
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, s.service.close)
	if s.grpc, err = s.newGRPC(own); err != nil {
		return nil, err
	}
	if s.listener, err = listen(config.Listen); err != nil {
		return nil, err
	}
	go func() { s.failed <- s.grpc.Serve(s.listener) }()
	s.closers = append(s.closers, func() error { s.grpc.Stop(); return nil })
	if config.REST != "" {
		if s.rest, err = openREST(config, id, s.listener.Addr().String(), own, log); err != nil {
			return nil, err
		}
		s.closers = append(s.closers, s.rest.close)
		go func() {
			if err := <-s.rest.served; err != nil {
				s.failed <- err
			}
		}()
	}
	return s, nil
}

// newGRPC builds the gRPC server: load reports outermost, so that they count
// every call, then who may call, then the virtual work.
func (s *server) newGRPC(own *certs.Identity) (*grpc.Server, error) {
	trusted := []string{certs.GatewayID}
	for _, service := range fleet.Services() {
		trusted = append(trusted, certs.ServiceID(service))
	}
	guards, err := identity.ServerOptions(identity.Config{TrustedPeers: trusted})
	if err != nil {
		return nil, err
	}
	options := append(s.reporter.ServerOptions(), guards...)
	options = append(options,
		grpc.Creds(credentials.NewTLS(own.ServerTLS())),
		grpc.ChainUnaryInterceptor(s.work),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingFloor}),
	)
	g := grpc.NewServer(options...)
	s.service.register(g)
	s.reporter.Register(g)
	healthpb.RegisterHealthServer(g, s.health)
	return g, nil
}

// work has every call of the mesh's own services occupy a virtual worker first.
func (s *server) work(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if !strings.HasPrefix(info.FullMethod, "/mesh.") {
		return handler(ctx, req)
	}
	switch err := s.pool.Do(ctx); {
	case errors.Is(err, work.ErrFull):
		return nil, status.Error(codes.Unavailable, "the replica is overloaded: its queue is full")
	case err != nil:
		return nil, status.FromContextError(err).Err()
	}
	return handler(ctx, req)
}

func (s *server) ready() *protocol.Ready {
	r := &protocol.Ready{Address: s.listener.Addr().String()}
	if s.rest != nil {
		r.REST = s.rest.url
	}
	return r
}

// drain lets calls in flight end, within the given time, while clients are told
// to send no more. Streams would not end by themselves: their callers resume them
// elsewhere.
func (s *server) drain(within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	s.health.Shutdown()
	if s.rest != nil {
		s.rest.drain()
	}
	if err := s.service.endStreams(); err != nil {
		s.log.Warn("streams not ended cleanly", "error", err)
	}
	if err := s.reporter.Drain(ctx); err != nil {
		s.log.Warn("calls in flight were cut", "error", err)
	}
	stopped := make(chan struct{})
	go func() {
		s.grpc.GracefulStop()
		close(stopped)
	}()
	select {
	case <-stopped:
	case <-ctx.Done():
		s.grpc.Stop() // makes GracefulStop return
		<-stopped
	}
	return nil
}

func (s *server) close() {
	for i := len(s.closers) - 1; i >= 0; i-- {
		if err := s.closers[i](); err != nil {
			s.log.Warn("not closed cleanly", "error", err)
		}
	}
	s.closers = nil
}

// listen listens at the address, or at any port of its host if that is taken.
func listen(address string) (net.Listener, error) {
	listener, err := net.Listen("tcp", address)
	if err == nil {
		return listener, nil
	}
	host, _, splitErr := net.SplitHostPort(address)
	if splitErr != nil {
		return nil, err
	}
	return net.Listen("tcp", net.JoinHostPort(host, "0"))
}

// rest is the door that a replica keeps for itself. It reaches its own service
// as anybody would, over a connection, so that all that guards the service holds
// for it too.
type rest struct {
	url    string
	drain  func()
	served chan error
	close  func() error
}

func openREST(config *protocol.Config, id fleet.ID, address string, own *certs.Identity, log *slog.Logger) (*rest, error) {
	tls := own.ClientTLS()
	tls.ServerName = id.Service
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(credentials.NewTLS(tls)))
	if err != nil {
		return nil, err
	}
	d, err := door.New(door.Config{
		Trust: door.Trust{JWKSFile: config.JWKSFile, APIKeySHA256: config.APIKeySHA256}, Logger: log,
		Conns: map[string]grpc.ClientConnInterface{id.Service: conn},
	})
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	listener, err := listen(config.REST)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("REST: %w", err), d.Close(), conn.Close())
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &rest{url: "http://" + listener.Addr().String(), served: make(chan error, 1)}
	done := make(chan struct{})
	go func() {
		r.served <- d.Serve(ctx, listener)
		close(r.served)
		close(done)
	}()
	r.drain = func() { cancel(); <-done }
	r.close = func() error {
		r.drain()
		return errors.Join(d.Close(), conn.Close())
	}
	return r, nil
}
