// Package production is the production service: the companies that distribute films.
//
//	server := production.New(db, movies)
//	productionv1.RegisterProductionServiceServer(grpcServer, server)
//	defer server.Close()
//
// In VIEW_FULL a production has its filmography, for which the movie service is asked once for
// all the productions of an answer. It is all or nothing: when the movie service does not
// answer, the call fails UNAVAILABLE. VIEW_BASIC needs nobody.
//
// A production that movies refer to is not deleted: FAILED_PRECONDITION says how many there
// are. A movie that is made in the moment between that question and the deletion keeps
// its reference.
package production

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/evenkeel/evenkeel/examples/mesh/internal/resource"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/store"
	commonv1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/common/v1"
	moviev1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/movie/v1"
	productionv1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/production/v1"
)

// Kind is what a production is and how it is stored.
var Kind = resource.NewKind[*productionv1.Production]("productions")

// Server implements productionv1.ProductionServiceServer.
type Server struct {
	productionv1.UnimplementedProductionServiceServer
	productions *resource.Table[*productionv1.Production]
}

// New returns the service over a store that has the table of [Kind]. It does not close
// the store.
func New(db *store.DB, movies moviev1.MovieServiceClient) *Server {
	return &Server{productions: resource.NewTable(Kind, db, resource.Hooks[*productionv1.Production]{
		Full: func(ctx context.Context, all ...*productionv1.Production) error {
			return resource.AddFilmographies(ctx, movies, all, func(p *productionv1.Production, f *commonv1.Filmography) {
				p.Filmography = f
			})
		},
		CheckDelete: func(ctx context.Context, p *productionv1.Production) error {
			return resource.CheckUnused(ctx, movies, p.Name)
		},
	})}
}

// Close ends the streams of WatchProductions with UNAVAILABLE; other calls still work.
func (s *Server) Close() error {
	s.productions.Close()
	return nil
}

// ListProductions implements productionv1.ProductionServiceServer.
func (s *Server) ListProductions(ctx context.Context, r *productionv1.ListProductionsRequest) (*productionv1.ListProductionsResponse, error) {
	page, err := s.productions.List(ctx, r)
	return &productionv1.ListProductionsResponse{Productions: page.Resources, NextPageToken: page.NextToken, TotalSize: page.Total}, err
}

// GetProduction implements productionv1.ProductionServiceServer.
func (s *Server) GetProduction(ctx context.Context, r *productionv1.GetProductionRequest) (*productionv1.Production, error) {
	return s.productions.Get(ctx, r)
}

// BatchGetProductions implements productionv1.ProductionServiceServer.
func (s *Server) BatchGetProductions(ctx context.Context, r *productionv1.BatchGetProductionsRequest) (*productionv1.BatchGetProductionsResponse, error) {
	found, err := s.productions.BatchGet(ctx, r)
	return &productionv1.BatchGetProductionsResponse{Productions: found}, err
}

// CreateProduction implements productionv1.ProductionServiceServer.
func (s *Server) CreateProduction(ctx context.Context, r *productionv1.CreateProductionRequest) (*productionv1.Production, error) {
	return s.productions.Create(ctx, r, r.Production)
}

// UpdateProduction implements productionv1.ProductionServiceServer.
func (s *Server) UpdateProduction(ctx context.Context, r *productionv1.UpdateProductionRequest) (*productionv1.Production, error) {
	return s.productions.Update(ctx, r, r.Production)
}

// DeleteProduction implements productionv1.ProductionServiceServer.
func (s *Server) DeleteProduction(ctx context.Context, r *productionv1.DeleteProductionRequest) (*emptypb.Empty, error) {
	return s.productions.Delete(ctx, r)
}

// RateProduction implements productionv1.ProductionServiceServer.
func (s *Server) RateProduction(ctx context.Context, r *productionv1.RateProductionRequest) (*productionv1.Production, error) {
	return s.productions.Rate(ctx, r)
}

// WatchProductions implements productionv1.ProductionServiceServer.
func (s *Server) WatchProductions(r *productionv1.WatchProductionsRequest, stream grpc.ServerStreamingServer[productionv1.WatchProductionsResponse]) error {
	return s.productions.Watch(r, stream, func(c resource.Change[*productionv1.Production]) error {
		return stream.Send(&productionv1.WatchProductionsResponse{ChangeType: c.Type, Production: c.Resource, ResumeToken: c.ResumeToken})
	})
}
