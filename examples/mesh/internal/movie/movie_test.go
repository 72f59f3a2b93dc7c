package movie_test

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/evenkeel/evenkeel/examples/mesh/internal/meshtest"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/store"
	commonv1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/common/v1"
	moviev1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/movie/v1"
	productionv1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/production/v1"
	talentv1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/talent/v1"
	"github.com/evenkeel/evenkeel/internal/leaktest"
)

const full = commonv1.View_VIEW_FULL

var down = status.Error(codes.Unavailable, `dial tcp 127.0.0.1:1: refused`)

func wantCode(t *testing.T, err error, code codes.Code) *status.Status {
	t.Helper()
	s := status.Convert(err)
	if s.Code() != code {
		t.Fatalf("got %v, want %v", err, code)
	}
	return s
}

// jaws is a movie with a director and a distributor.
func jaws(t *testing.T, mesh *meshtest.Mesh, view commonv1.View) *moviev1.Movie {
	t.Helper()
	page, err := mesh.Movies.ListMovies(t.Context(), &moviev1.ListMoviesRequest{Filter: `title = "Jaws"`, View: view})
	if err != nil || len(page.Movies) != 1 {
		t.Fatalf("%v, %v", page, err)
	}
	return page.Movies[0]
}

func TestTheFullViewHasTheDetailsOfOtherServices(t *testing.T) {
	leaktest.Check(t)
	mesh := meshtest.Start(t)
	if m := jaws(t, mesh, commonv1.View_VIEW_BASIC); m.DirectorDetail != nil || m.DistributorDetail != nil {
		t.Errorf("the basic view has details: %v", m)
	}
	m := jaws(t, mesh, full)
	if m.DirectorDetail.GetDisplayName() != "Steven Spielberg" || m.DistributorDetail.GetDisplayName() != "Universal" {
		t.Errorf("got %v", m)
	}
	if m.DirectorDetail.Name != m.GetDirector() {
		t.Errorf("the director is %s and the detail %s", m.GetDirector(), m.DirectorDetail.Name)
	}
	got, err := mesh.Movies.GetMovie(t.Context(), &moviev1.GetMovieRequest{Name: m.Name, View: full})
	if err != nil || !proto.Equal(got, m) {
		t.Errorf("got %v, %v", got, err)
	}
	page, err := mesh.Movies.ListMovies(t.Context(), &moviev1.ListMoviesRequest{PageSize: 1000, View: full})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range page.Movies {
		if m.GetDirector() != m.DirectorDetail.GetName() || m.GetDistributor() != m.DistributorDetail.GetName() {
			t.Errorf("%s has details of others", m.Name)
		}
	}
}

func TestTheFullViewIsAllOrNothing(t *testing.T) {
	mesh := meshtest.Start(t)
	m := jaws(t, mesh, full)
	for _, service := range []string{"production", "talent"} {
		mesh.Fail(service, down)
		_, err := mesh.Movies.GetMovie(t.Context(), &moviev1.GetMovieRequest{Name: m.Name, View: full})
		s := wantCode(t, err, codes.Unavailable)
		if !strings.Contains(s.Message(), service+" service") || strings.Contains(s.Message(), "127.0.0.1") {
			t.Errorf("it says %q", s.Message())
		}
		jaws(t, mesh, commonv1.View_VIEW_BASIC)
		mesh.Fail(service, nil)
	}
	mesh.Fail("talent", status.Error(codes.PermissionDenied, "not you"))
	_, err := mesh.Movies.GetMovie(t.Context(), &moviev1.GetMovieRequest{Name: m.Name, View: full})
	wantCode(t, err, codes.Unavailable)
	mesh.Fail("talent", status.Error(codes.DeadlineExceeded, "late"))
	_, err = mesh.Movies.GetMovie(t.Context(), &moviev1.GetMovieRequest{Name: m.Name, View: full})
	wantCode(t, err, codes.DeadlineExceeded)
}

func TestAMovieRefersOnlyToWhatExists(t *testing.T) {
	mesh := meshtest.Start(t)
	create := func(m *moviev1.Movie) error {
		m.Title = proto.String("New")
		_, err := mesh.Movies.CreateMovie(t.Context(), &moviev1.CreateMovieRequest{Movie: m})
		return err
	}
	if err := create(&moviev1.Movie{Director: proto.String("people/1"), Distributor: proto.String("productions/1")}); err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]*moviev1.Movie{
		"people/9999":      {Director: proto.String("people/9999"), Distributor: proto.String("productions/1")},
		"productions/9999": {Distributor: proto.String("productions/9999")},
	} {
		s := wantCode(t, create(m), codes.FailedPrecondition)
		failure, ok := s.Details()[0].(*errdetails.PreconditionFailure)
		if !ok || failure.Violations[0].Subject != name {
			t.Errorf("%s: %v", name, s.Details())
		}
		update := proto.CloneOf(m)
		update.Name, update.Title = "movies/1", nil
		_, err := mesh.Movies.UpdateMovie(t.Context(), &moviev1.UpdateMovieRequest{Movie: update})
		wantCode(t, err, codes.FailedPrecondition)
	}
	mesh.Fail("production", down)
	wantCode(t, create(&moviev1.Movie{Distributor: proto.String("productions/1")}), codes.Unavailable)
	// Nobody is asked about what is not set.
	if err := create(&moviev1.Movie{}); err != nil {
		t.Error(err)
	}
	if _, err := mesh.Movies.UpdateMovie(t.Context(), &moviev1.UpdateMovieRequest{Movie: &moviev1.Movie{Name: "movies/1", Year: proto.Int32(1999)}}); err != nil {
		t.Error(err)
	}
}

func TestFilmographiesAddUpTheMovies(t *testing.T) {
	mesh := meshtest.Start(t)
	m := jaws(t, mesh, full)
	// Counted one by one, for comparison.
	want := &commonv1.Filmography{}
	page, err := mesh.Movies.ListMovies(t.Context(), &moviev1.ListMoviesRequest{Parent: m.GetDirector(), PageSize: 1000})
	if err != nil {
		t.Fatal(err)
	}
	var gross int64
	first, last := int32(math.MaxInt32), int32(0)
	for _, m := range page.Movies {
		want.MovieCount++
		gross += m.GetGrossUsd()
		if m.Year != nil {
			first, last = min(first, *m.Year), max(last, *m.Year)
		}
	}
	want.GrossUsd, want.FirstYear, want.LastYear = &gross, &first, &last
	person, err := mesh.People.GetPerson(t.Context(), &talentv1.GetPersonRequest{Name: m.GetDirector(), View: full})
	if err != nil || !proto.Equal(person.Filmography, want) {
		t.Errorf("got %v, %v, want %v", person.GetFilmography(), err, want)
	}
	people, err := mesh.People.ListPeople(t.Context(), &talentv1.ListPeopleRequest{PageSize: 1000, View: full})
	if err != nil {
		t.Fatal(err)
	}
	productions, err := mesh.Productions.ListProductions(t.Context(), &productionv1.ListProductionsRequest{PageSize: 1000, View: full})
	if err != nil {
		t.Fatal(err)
	}
	directed, distributed := int32(0), int32(0)
	for _, p := range people.People {
		directed += p.Filmography.MovieCount
	}
	for _, p := range productions.Productions {
		distributed += p.Filmography.MovieCount
	}
	if directed != 1870 || distributed != 2968 {
		t.Errorf("%d movies were directed, %d distributed", directed, distributed)
	}
}

func TestAFilmographyOfNothingAndOfTooMuch(t *testing.T) {
	mesh := meshtest.Start(t)
	ctx := t.Context()
	p, err := mesh.Productions.CreateProduction(ctx, &productionv1.CreateProductionRequest{Production: &productionv1.Production{DisplayName: "Ours"}})
	if err != nil {
		t.Fatal(err)
	}
	get := func() *commonv1.Filmography {
		p, err := mesh.Productions.GetProduction(ctx, &productionv1.GetProductionRequest{Name: p.Name, View: full})
		if err != nil {
			t.Fatal(err)
		}
		return p.Filmography
	}
	if f := get(); f == nil || !proto.Equal(f, &commonv1.Filmography{}) {
		t.Errorf("without movies: %v", f)
	}
	for range 2 {
		_, err := mesh.Movies.CreateMovie(ctx, &moviev1.CreateMovieRequest{Movie: &moviev1.Movie{
			Title: proto.String("Rich"), Distributor: &p.Name, GrossUsd: proto.Int64(math.MaxInt64),
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	if f := get(); f.MovieCount != 2 || f.GetGrossUsd() < 9e18 || f.FirstYear != nil {
		t.Errorf("two with all the money there is: %v", f)
	}
}

func TestWhatMoviesReferToIsNotDeleted(t *testing.T) {
	mesh := meshtest.Start(t)
	ctx := t.Context()
	m := jaws(t, mesh, full)
	_, err := mesh.People.DeletePerson(ctx, &talentv1.DeletePersonRequest{Name: m.GetDirector()})
	if s := wantCode(t, err, codes.FailedPrecondition); !strings.Contains(s.Message(), "23 movies refer to "+m.GetDirector()) {
		t.Error(s)
	}
	_, err = mesh.Productions.DeleteProduction(ctx, &productionv1.DeleteProductionRequest{Name: m.GetDistributor()})
	wantCode(t, err, codes.FailedPrecondition)

	p, err := mesh.People.CreatePerson(ctx, &talentv1.CreatePersonRequest{Person: &talentv1.Person{DisplayName: "New"}})
	if err != nil {
		t.Fatal(err)
	}
	mesh.Fail("movie", down)
	_, err = mesh.People.DeletePerson(ctx, &talentv1.DeletePersonRequest{Name: p.Name})
	wantCode(t, err, codes.Unavailable)
	mesh.Fail("movie", nil)
	if _, err = mesh.People.DeletePerson(ctx, &talentv1.DeletePersonRequest{Name: p.Name}); err != nil {
		t.Fatal(err)
	}
	_, err = mesh.People.DeletePerson(ctx, &talentv1.DeletePersonRequest{Name: p.Name})
	wantCode(t, err, codes.NotFound)
}

func TestAReferenceToWhatIsGoneHasNoDetail(t *testing.T) {
	mesh := meshtest.Start(t)
	err := mesh.MovieStore.Write(context.Background(), func(tx *store.Tx) error {
		return tx.Exec("UPDATE movies SET director = 'people/9999' WHERE id = 1")
	})
	if err != nil {
		t.Fatal(err)
	}
	m, err := mesh.Movies.GetMovie(t.Context(), &moviev1.GetMovieRequest{Name: "movies/1", View: full})
	if err != nil || m.GetDirector() != "people/9999" || m.DirectorDetail != nil || m.DistributorDetail == nil {
		t.Errorf("got %v, %v", m, err)
	}
}

func TestDeadlinesAndDeparturesAreTold(t *testing.T) {
	mesh := meshtest.Start(t)
	late, cancel := context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer cancel()
	gone, leave := context.WithCancel(t.Context())
	leave()
	for code, ctx := range map[codes.Code]context.Context{codes.DeadlineExceeded: late, codes.Canceled: gone} {
		// The server itself, not the client, which would answer on its own.
		_, err := mesh.MovieServer.RateMovie(ctx, &moviev1.RateMovieRequest{Name: "movies/1", Stars: 1})
		wantCode(t, err, code)
		_, err = mesh.MovieServer.ListMovies(ctx, &moviev1.ListMoviesRequest{})
		wantCode(t, err, code)
	}
}
