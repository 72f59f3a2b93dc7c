package resource_test

import (
	"context"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/evenkeel/evenkeel/examples/mesh/internal/meshtest"
	moviev1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/movie/v1"
	productionv1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/production/v1"
	talentv1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/talent/v1"
)

func TestGetReturnsWhatIsKnownAndLeavesTheRestUnset(t *testing.T) {
	mesh := meshtest.Start(t)
	got := must[*moviev1.Movie](t)(mesh.Movies.GetMovie(t.Context(), &moviev1.GetMovieRequest{Name: "movies/1"}))
	same(t, got, &moviev1.Movie{
		Name: "movies/1", Id: "1", Etag: "v0", Title: proto.String("The Land Girls"), Year: proto.Int32(1998),
		MpaaRating: proto.String("R"), ImdbRating: proto.Float64(6.1), ImdbVotes: proto.Int64(1071),
		BudgetUsd: proto.Int64(8000000), GrossUsd: proto.Int64(146083), Distributor: proto.String(got.GetDistributor()),
	})
	production := must[*productionv1.Production](t)(mesh.Productions.GetProduction(t.Context(), &productionv1.GetProductionRequest{Name: got.GetDistributor()}))
	if production.DisplayName != "Gramercy" || production.Name != got.GetDistributor() || production.Id == "" {
		t.Errorf("it is distributed by %v", production)
	}
	person := must[*talentv1.Person](t)(mesh.People.GetPerson(t.Context(), &talentv1.GetPersonRequest{Name: "people/1"}))
	same(t, person, &talentv1.Person{Name: "people/1", Id: "1", Etag: "v0", DisplayName: "Abel Ferrara"})
}

func TestWhatIsNotThereIsNamed(t *testing.T) {
	mesh := meshtest.Start(t)
	for name, call := range map[string]func(context.Context, string) error{
		"movies/99999": func(ctx context.Context, name string) error {
			_, err := mesh.Movies.GetMovie(ctx, &moviev1.GetMovieRequest{Name: name})
			return err
		},
		"movies/3202": func(ctx context.Context, name string) error {
			_, err := mesh.Movies.UpdateMovie(ctx, &moviev1.UpdateMovieRequest{Movie: &moviev1.Movie{Name: name, Year: proto.Int32(2000)}})
			return err
		},
		"movies/3203": func(ctx context.Context, name string) error {
			_, err := mesh.Movies.UpdateMovie(ctx, &moviev1.UpdateMovieRequest{Movie: &moviev1.Movie{Name: name}})
			return err
		},
		"movies/999999999999999999": func(ctx context.Context, name string) error {
			_, err := mesh.Movies.DeleteMovie(ctx, &moviev1.DeleteMovieRequest{Name: name})
			return err
		},
		"productions/1000": func(ctx context.Context, name string) error {
			_, err := mesh.Productions.RateProduction(ctx, &productionv1.RateProductionRequest{Name: name, Stars: 3})
			return err
		},
		"people/1000": func(ctx context.Context, name string) error {
			_, err := mesh.People.GetPerson(ctx, &talentv1.GetPersonRequest{Name: name})
			return err
		},
	} {
		info := detail[*errdetails.ResourceInfo](t, want(t, call(t.Context(), name), codes.NotFound))
		if info.ResourceName != name {
			t.Errorf("%s: the error is about %v", name, info)
		}
	}
}

func TestBatchGetLeavesOutWhatIsNotThere(t *testing.T) {
	mesh := meshtest.Start(t)
	got := must[*moviev1.BatchGetMoviesResponse](t)(mesh.Movies.BatchGetMovies(t.Context(), &moviev1.BatchGetMoviesRequest{
		Names: []string{"movies/7", "movies/99999", "movies/3", "movies/7"},
	}))
	if len(got.Movies) != 2 || got.Movies[0].Name != "movies/3" || got.Movies[1].Name != "movies/7" {
		t.Errorf("got %v", got)
	}
	many := make([]string, 1000)
	for i := range many {
		many[i] = "people/1"
	}
	people := must[*talentv1.BatchGetPeopleResponse](t)(mesh.People.BatchGetPeople(t.Context(), &talentv1.BatchGetPeopleRequest{Names: many}))
	if len(people.People) != 1 {
		t.Errorf("got %d people", len(people.People))
	}
	_, err := mesh.People.BatchGetPeople(t.Context(), &talentv1.BatchGetPeopleRequest{Names: append(many, "people/2")})
	wantField(t, err, "names")
}

func TestServicesCheckRequestsThemselves(t *testing.T) {
	mesh := meshtest.Start(t)
	ctx := t.Context()
	for field, call := range map[string]func() error{
		"name": func() error {
			_, err := mesh.Movies.GetMovie(ctx, &moviev1.GetMovieRequest{Name: "movies/01"})
			return err
		},
		"names[1]": func() error {
			_, err := mesh.Productions.BatchGetProductions(ctx, &productionv1.BatchGetProductionsRequest{Names: []string{"productions/1", "movies/1"}})
			return err
		},
		"page_size": func() error {
			_, err := mesh.Movies.ListMovies(ctx, &moviev1.ListMoviesRequest{PageSize: -1})
			return err
		},
		"parent": func() error {
			_, err := mesh.Movies.ListMovies(ctx, &moviev1.ListMoviesRequest{Parent: "movies/1"})
			return err
		},
		"view": func() error {
			_, err := mesh.People.ListPeople(ctx, &talentv1.ListPeopleRequest{View: 7})
			return err
		},
		"stars": func() error {
			_, err := mesh.Movies.RateMovie(ctx, &moviev1.RateMovieRequest{Name: "movies/1", Stars: 11})
			return err
		},
		"movie.year": func() error {
			_, err := mesh.Movies.CreateMovie(ctx, &moviev1.CreateMovieRequest{Movie: &moviev1.Movie{Title: proto.String("x"), Year: proto.Int32(1700)}})
			return err
		},
		"movie.title": func() error {
			_, err := mesh.Movies.UpdateMovie(ctx, &moviev1.UpdateMovieRequest{Movie: &moviev1.Movie{Name: "movies/1", Title: proto.String("")}})
			return err
		},
		"movie": func() error {
			_, err := mesh.Movies.CreateMovie(ctx, &moviev1.CreateMovieRequest{Movie: &moviev1.Movie{Year: proto.Int32(2000)}})
			return err
		},
		"production": func() error {
			_, err := mesh.Productions.UpdateProduction(ctx, &productionv1.UpdateProductionRequest{Production: &productionv1.Production{DisplayName: "x"}})
			return err
		},
		"person": func() error {
			_, err := mesh.People.CreatePerson(ctx, &talentv1.CreatePersonRequest{})
			return err
		},
		"resume_token": func() error {
			stream, err := mesh.Movies.WatchMovies(ctx, &moviev1.WatchMoviesRequest{ResumeToken: "AAAA"})
			if err == nil {
				_, err = stream.Recv()
			}
			return err
		},
	} {
		t.Run(field, func(t *testing.T) { wantField(t, call(), field) })
	}
}
