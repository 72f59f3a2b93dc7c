// Package movie is the movie service: films, which refer to the companies that
// distributed them (productions) and to the people who directed them.
//
//	server := movie.New(db, productions, people)
//	moviev1.RegisterMovieServiceServer(grpcServer, server)
//	defer server.Close()
//
// A movie is created or changed only with references to what is there: the other
// services are asked, and FAILED_PRECONDITION names what they do not know. What is
// referred to may still go away later, in the moment between the question and the
// write; such a reference stays as it is and has no detail in VIEW_FULL.
//
// VIEW_FULL asks each of the other services once for all the movies of an answer. It is
// all or nothing: when one of them does not answer, the call fails UNAVAILABLE, since a
// caller could not tell a detail that is missing from one that does not exist. VIEW_BASIC
// needs nobody.
package movie

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/evenkeel/evenkeel/examples/mesh/internal/resource"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/store"
	moviev1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/movie/v1"
	productionv1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/production/v1"
	talentv1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/talent/v1"
)

// Kind is what a movie is and how it is stored.
var Kind = resource.NewKind[*moviev1.Movie]("movies",
	resource.Parent("productions", "distributor"),
	resource.Parent("people", "director"))

// Server implements moviev1.MovieServiceServer.
type Server struct {
	moviev1.UnimplementedMovieServiceServer
	movies      *resource.Table[*moviev1.Movie]
	db          *store.DB
	productions productionv1.ProductionServiceClient
	people      talentv1.TalentServiceClient
}

// New returns the service over a store that has the table of [Kind]. It does not close
// the store.
func New(db *store.DB, productions productionv1.ProductionServiceClient, people talentv1.TalentServiceClient) *Server {
	s := &Server{db: db, productions: productions, people: people}
	s.movies = resource.NewTable(Kind, db, resource.Hooks[*moviev1.Movie]{Full: s.addDetails, CheckSet: s.checkReferences})
	return s
}

// Close ends the streams of WatchMovies with UNAVAILABLE; other calls still work.
func (s *Server) Close() error {
	s.movies.Close()
	return nil
}

// ListMovies implements moviev1.MovieServiceServer.
func (s *Server) ListMovies(ctx context.Context, r *moviev1.ListMoviesRequest) (*moviev1.ListMoviesResponse, error) {
	page, err := s.movies.List(ctx, r)
	return &moviev1.ListMoviesResponse{Movies: page.Resources, NextPageToken: page.NextToken, TotalSize: page.Total}, err
}

// GetMovie implements moviev1.MovieServiceServer.
func (s *Server) GetMovie(ctx context.Context, r *moviev1.GetMovieRequest) (*moviev1.Movie, error) {
	return s.movies.Get(ctx, r)
}

// BatchGetMovies implements moviev1.MovieServiceServer.
func (s *Server) BatchGetMovies(ctx context.Context, r *moviev1.BatchGetMoviesRequest) (*moviev1.BatchGetMoviesResponse, error) {
	found, err := s.movies.BatchGet(ctx, r)
	return &moviev1.BatchGetMoviesResponse{Movies: found}, err
}

// CreateMovie implements moviev1.MovieServiceServer.
func (s *Server) CreateMovie(ctx context.Context, r *moviev1.CreateMovieRequest) (*moviev1.Movie, error) {
	return s.movies.Create(ctx, r, r.Movie)
}

// UpdateMovie implements moviev1.MovieServiceServer.
func (s *Server) UpdateMovie(ctx context.Context, r *moviev1.UpdateMovieRequest) (*moviev1.Movie, error) {
	return s.movies.Update(ctx, r, r.Movie)
}

// DeleteMovie implements moviev1.MovieServiceServer.
func (s *Server) DeleteMovie(ctx context.Context, r *moviev1.DeleteMovieRequest) (*emptypb.Empty, error) {
	return s.movies.Delete(ctx, r)
}

// RateMovie implements moviev1.MovieServiceServer.
func (s *Server) RateMovie(ctx context.Context, r *moviev1.RateMovieRequest) (*moviev1.Movie, error) {
	return s.movies.Rate(ctx, r)
}

// WatchMovies implements moviev1.MovieServiceServer.
func (s *Server) WatchMovies(r *moviev1.WatchMoviesRequest, stream grpc.ServerStreamingServer[moviev1.WatchMoviesResponse]) error {
	return s.movies.Watch(r, stream, func(c resource.Change[*moviev1.Movie]) error {
		return stream.Send(&moviev1.WatchMoviesResponse{ChangeType: c.Type, Movie: c.Resource, ResumeToken: c.ResumeToken})
	})
}
