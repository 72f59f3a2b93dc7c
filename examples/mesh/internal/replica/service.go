package replica

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"

	"github.com/evenkeel/evenkeel/examples/mesh/internal/certs"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/fleet"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/movie"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/peers"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/production"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/store"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/talent"
	moviev1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/movie/v1"
	productionv1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/production/v1"
	talentv1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/talent/v1"
	"github.com/evenkeel/evenkeel/gateway/identity"
)

// service is the part of a replica that differs from service to service: its
// data, its handlers, and its channels to other services.
type service struct {
	register func(grpc.ServiceRegistrar)
	// endStreams ends the streams that watch for changes.
	endStreams func() error
	db         *store.DB
	peers      []*grpc.ClientConn
}

func openService(ctx context.Context, id fleet.ID, database string, own *certs.Identity) (*service, error) {
	db, err := store.Open(ctx, database)
	if err != nil {
		return nil, err
	}
	s := &service{db: db}
	if err := s.open(id, own); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *service) open(id fleet.ID, own *certs.Identity) error {
	switch id.Service {
	case fleet.Movie:
		conns, err := s.dial(own, fleet.Production, fleet.Talent)
		if err != nil {
			return err
		}
		handlers := movie.New(s.db, productionv1.NewProductionServiceClient(conns[0]), talentv1.NewTalentServiceClient(conns[1]))
		s.register = func(r grpc.ServiceRegistrar) { moviev1.RegisterMovieServiceServer(r, handlers) }
		s.endStreams = handlers.Close
	case fleet.Production:
		conns, err := s.dial(own, fleet.Movie)
		if err != nil {
			return err
		}
		handlers := production.New(s.db, moviev1.NewMovieServiceClient(conns[0]))
		s.register = func(r grpc.ServiceRegistrar) { productionv1.RegisterProductionServiceServer(r, handlers) }
		s.endStreams = handlers.Close
	case fleet.Talent:
		conns, err := s.dial(own, fleet.Movie)
		if err != nil {
			return err
		}
		handlers := talent.New(s.db, moviev1.NewMovieServiceClient(conns[0]))
		s.register = func(r grpc.ServiceRegistrar) { talentv1.RegisterTalentServiceServer(r, handlers) }
		s.endStreams = handlers.Close
	default:
		return fmt.Errorf("there is no service %q", id.Service)
	}
	return nil
}

func (s *service) dial(own *certs.Identity, services ...string) ([]*grpc.ClientConn, error) {
	for _, service := range services {
		// What is asked of another service is asked for whoever asked this one.
		conn, err := peers.Dial(service, own,
			grpc.WithChainUnaryInterceptor(identity.UnaryClientInterceptor()),
			grpc.WithChainStreamInterceptor(identity.StreamClientInterceptor()))
		if err != nil {
			return nil, err
		}
		s.peers = append(s.peers, conn)
	}
	return s.peers, nil
}

// close is called when no call is in flight any longer.
func (s *service) close() error {
	var errs []error
	if s.endStreams != nil {
		errs = append(errs, s.endStreams())
	}
	for _, conn := range s.peers {
		errs = append(errs, conn.Close())
	}
	return errors.Join(append(errs, s.db.Close())...)
}
