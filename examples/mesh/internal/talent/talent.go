// Package talent is the talent service: the people who direct films.
//
//	server := talent.New(db, movies)
//	talentv1.RegisterTalentServiceServer(grpcServer, server)
//	defer server.Close()
//
// In VIEW_FULL a person has its filmography, for which the movie service is asked once for
// all the people of an answer. It is all or nothing: when the movie service does not
// answer, the call fails UNAVAILABLE. VIEW_BASIC needs nobody.
//
// A person that movies refer to is not deleted: FAILED_PRECONDITION says how many there
// are. A movie that is made in the moment between that question and the deletion keeps
// its reference.
package talent

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/evenkeel/evenkeel/examples/mesh/internal/resource"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/store"
	commonv1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/common/v1"
	moviev1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/movie/v1"
	talentv1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/talent/v1"
)

// Kind is what a person is and how it is stored.
var Kind = resource.NewKind[*talentv1.Person]("people")

// Server implements talentv1.TalentServiceServer.
type Server struct {
	talentv1.UnimplementedTalentServiceServer
	people *resource.Table[*talentv1.Person]
}

// New returns the service over a store that has the table of [Kind]. It does not close
// the store.
func New(db *store.DB, movies moviev1.MovieServiceClient) *Server {
	return &Server{people: resource.NewTable(Kind, db, resource.Hooks[*talentv1.Person]{
		Full: func(ctx context.Context, all ...*talentv1.Person) error {
			return resource.AddFilmographies(ctx, movies, all, func(p *talentv1.Person, f *commonv1.Filmography) {
				p.Filmography = f
			})
		},
		CheckDelete: func(ctx context.Context, p *talentv1.Person) error {
			return resource.CheckUnused(ctx, movies, p.Name)
		},
	})}
}

// Close ends the streams of WatchPeople with UNAVAILABLE; other calls still work.
func (s *Server) Close() error {
	s.people.Close()
	return nil
}

// ListPeople implements talentv1.TalentServiceServer.
func (s *Server) ListPeople(ctx context.Context, r *talentv1.ListPeopleRequest) (*talentv1.ListPeopleResponse, error) {
	page, err := s.people.List(ctx, r)
	return &talentv1.ListPeopleResponse{People: page.Resources, NextPageToken: page.NextToken, TotalSize: page.Total}, err
}

// GetPerson implements talentv1.TalentServiceServer.
func (s *Server) GetPerson(ctx context.Context, r *talentv1.GetPersonRequest) (*talentv1.Person, error) {
	return s.people.Get(ctx, r)
}

// BatchGetPeople implements talentv1.TalentServiceServer.
func (s *Server) BatchGetPeople(ctx context.Context, r *talentv1.BatchGetPeopleRequest) (*talentv1.BatchGetPeopleResponse, error) {
	found, err := s.people.BatchGet(ctx, r)
	return &talentv1.BatchGetPeopleResponse{People: found}, err
}

// CreatePerson implements talentv1.TalentServiceServer.
func (s *Server) CreatePerson(ctx context.Context, r *talentv1.CreatePersonRequest) (*talentv1.Person, error) {
	return s.people.Create(ctx, r, r.Person)
}

// UpdatePerson implements talentv1.TalentServiceServer.
func (s *Server) UpdatePerson(ctx context.Context, r *talentv1.UpdatePersonRequest) (*talentv1.Person, error) {
	return s.people.Update(ctx, r, r.Person)
}

// DeletePerson implements talentv1.TalentServiceServer.
func (s *Server) DeletePerson(ctx context.Context, r *talentv1.DeletePersonRequest) (*emptypb.Empty, error) {
	return s.people.Delete(ctx, r)
}

// RatePerson implements talentv1.TalentServiceServer.
func (s *Server) RatePerson(ctx context.Context, r *talentv1.RatePersonRequest) (*talentv1.Person, error) {
	return s.people.Rate(ctx, r)
}

// WatchPeople implements talentv1.TalentServiceServer.
func (s *Server) WatchPeople(r *talentv1.WatchPeopleRequest, stream grpc.ServerStreamingServer[talentv1.WatchPeopleResponse]) error {
	return s.people.Watch(r, stream, func(c resource.Change[*talentv1.Person]) error {
		return stream.Send(&talentv1.WatchPeopleResponse{ChangeType: c.Type, Person: c.Resource, ResumeToken: c.ResumeToken})
	})
}
