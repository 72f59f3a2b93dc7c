package movie

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/evenkeel/evenkeel/examples/mesh/internal/resource"
	moviev1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/movie/v1"
	productionv1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/production/v1"
	talentv1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/talent/v1"
)

// linked is what movies refer to, by name.
type linked struct {
	productions map[string]*productionv1.Production
	people      map[string]*talentv1.Person
}

// fetch asks the other services, both at once, for everything that movies refer to.
func (s *Server) fetch(ctx context.Context, movies ...*moviev1.Movie) (linked, error) {
	found := linked{make(map[string]*productionv1.Production), make(map[string]*talentv1.Person)}
	group, ctx := errgroup.WithContext(ctx)
	if names := references(movies, (*moviev1.Movie).GetDistributor); len(names) > 0 {
		group.Go(func() error {
			answer, err := s.productions.BatchGetProductions(ctx, &productionv1.BatchGetProductionsRequest{Names: names})
			for _, p := range answer.GetProductions() {
				found.productions[p.Name] = p
			}
			return resource.Upstream("production", err)
		})
	}
	if names := references(movies, (*moviev1.Movie).GetDirector); len(names) > 0 {
		group.Go(func() error {
			answer, err := s.people.BatchGetPeople(ctx, &talentv1.BatchGetPeopleRequest{Names: names})
			for _, p := range answer.GetPeople() {
				found.people[p.Name] = p
			}
			return resource.Upstream("talent", err)
		})
	}
	return found, group.Wait()
}

// references is the names that movies refer to by one of their fields, each once.
func references(movies []*moviev1.Movie, field func(*moviev1.Movie) string) []string {
	var names []string
	for _, m := range movies {
		if name := field(m); name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// addDetails is what VIEW_FULL has besides the movies' own fields.
func (s *Server) addDetails(ctx context.Context, movies ...*moviev1.Movie) error {
	found, err := s.fetch(ctx, movies...)
	if err != nil {
		return err
	}
	for _, m := range movies {
		m.DistributorDetail = found.productions[m.GetDistributor()]
		m.DirectorDetail = found.people[m.GetDirector()]
	}
	return nil
}

// checkReferences refuses a movie that refers to what does not exist.
func (s *Server) checkReferences(ctx context.Context, m *moviev1.Movie) error {
	found, err := s.fetch(ctx, m)
	if err != nil {
		return err
	}
	if name := m.GetDistributor(); name != "" && found.productions[name] == nil {
		return resource.FailedPrecondition("REFERENCE", name, "movie.distributor: "+name+" does not exist")
	}
	if name := m.GetDirector(); name != "" && found.people[name] == nil {
		return resource.FailedPrecondition("REFERENCE", name, "movie.director: "+name+" does not exist")
	}
	return nil
}
