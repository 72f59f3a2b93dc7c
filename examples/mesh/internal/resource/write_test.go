package resource_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/evenkeel/evenkeel/examples/mesh/internal/meshtest"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/store"
	commonv1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/common/v1"
	moviev1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/movie/v1"
	productionv1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/production/v1"
	talentv1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/talent/v1"
)

func TestCreateChoosesTheNameAndIgnoresWhatIsOutputOnly(t *testing.T) {
	mesh := meshtest.Start(t)
	created := must[*moviev1.Movie](t)(mesh.Movies.CreateMovie(t.Context(), &moviev1.CreateMovieRequest{Movie: &moviev1.Movie{
		Name: "movies/5", Id: "5", Etag: "x", Title: proto.String("New"), Year: proto.Int32(2001),
		AudienceRating: &commonv1.AudienceRating{Average: 10, Count: 1000},
		DirectorDetail: &talentv1.Person{DisplayName: "Nobody"},
	}}))
	if created.UpdateTime == nil || created.Etag == "" || created.Etag == "x" {
		t.Errorf("created %v", created)
	}
	same(t, created, &moviev1.Movie{Name: "movies/3202", Id: "3202", Title: proto.String("New"), Year: proto.Int32(2001),
		Etag: created.Etag, UpdateTime: created.UpdateTime})
	same(t, must[*moviev1.Movie](t)(mesh.OtherMovies.GetMovie(t.Context(), &moviev1.GetMovieRequest{Name: "movies/3202"})), created)

	// A name is never given twice.
	must[*emptypb.Empty](t)(mesh.Movies.DeleteMovie(t.Context(), &moviev1.DeleteMovieRequest{Name: "movies/3202"}))
	next := must[*moviev1.Movie](t)(mesh.Movies.CreateMovie(t.Context(), &moviev1.CreateMovieRequest{Movie: &moviev1.Movie{Title: proto.String("Newer")}}))
	if next.Name != "movies/3203" {
		t.Errorf("the next one is %s", next.Name)
	}
	production := must[*productionv1.Production](t)(mesh.Productions.CreateProduction(t.Context(), &productionv1.CreateProductionRequest{Production: &productionv1.Production{DisplayName: "Ours"}}))
	if production.Name != "productions/174" || production.DisplayName != "Ours" {
		t.Errorf("created %v", production)
	}
}

func TestUpdateChangesWhatTheMaskNames(t *testing.T) {
	mesh := meshtest.Start(t)
	base := &moviev1.Movie{Title: proto.String("Base"), Year: proto.Int32(2000), Genre: proto.String("Drama"), BudgetUsd: proto.Int64(5)}
	for _, test := range []struct {
		what  string
		patch *moviev1.Movie
		mask  []string
		want  *moviev1.Movie // without what the service sets
		field string         // or the field that the error names
	}{
		{what: "no mask: what is set",
			patch: &moviev1.Movie{Year: proto.Int32(2001)},
			want:  &moviev1.Movie{Title: proto.String("Base"), Year: proto.Int32(2001), Genre: proto.String("Drama"), BudgetUsd: proto.Int64(5)}},
		{what: "no mask: zero is set too",
			patch: &moviev1.Movie{BudgetUsd: proto.Int64(0)},
			want:  &moviev1.Movie{Title: proto.String("Base"), Year: proto.Int32(2000), Genre: proto.String("Drama"), BudgetUsd: proto.Int64(0)}},
		{what: "no mask and nothing set: nothing",
			patch: &moviev1.Movie{},
			want:  base},
		{what: "a mask: only what it names",
			patch: &moviev1.Movie{Year: proto.Int32(2001), Genre: proto.String("Western")}, mask: []string{"genre"},
			want: &moviev1.Movie{Title: proto.String("Base"), Year: proto.Int32(2000), Genre: proto.String("Western"), BudgetUsd: proto.Int64(5)}},
		{what: "a field named and not set becomes unset",
			patch: &moviev1.Movie{}, mask: []string{"genre", "budgetUsd"},
			want: &moviev1.Movie{Title: proto.String("Base"), Year: proto.Int32(2000)}},
		{what: "* is all",
			patch: &moviev1.Movie{Title: proto.String("Other")}, mask: []string{"*"},
			want: &moviev1.Movie{Title: proto.String("Other")}},
		{what: "what is output only is passed over",
			patch: &moviev1.Movie{Id: "9", Year: proto.Int32(2001), AudienceRating: &commonv1.AudienceRating{Count: 1}},
			mask:  []string{"name", "id", "etag", "update_time", "audience_rating.count", "director_detail", "year", "year"},
			want:  &moviev1.Movie{Title: proto.String("Base"), Year: proto.Int32(2001), Genre: proto.String("Drama"), BudgetUsd: proto.Int64(5)}},
		{what: "an unknown field", patch: &moviev1.Movie{}, mask: []string{"year", "yeer"}, field: "update_mask"},
		{what: "a field of no field", patch: &moviev1.Movie{}, mask: []string{"year.month"}, field: "update_mask"},
		{what: "an unknown field of a field", patch: &moviev1.Movie{}, mask: []string{"audience_rating.max"}, field: "update_mask"},
		{what: "an empty path", patch: &moviev1.Movie{}, mask: []string{""}, field: "update_mask"},
		{what: "* and more", patch: &moviev1.Movie{Title: proto.String("x")}, mask: []string{"*", "year"}, field: "update_mask"},
		{what: "a title cannot go", patch: &moviev1.Movie{}, mask: []string{"title"}, field: "movie.title"},
		{what: "not by * either", patch: &moviev1.Movie{Year: proto.Int32(2001)}, mask: []string{"*"}, field: "movie.title"},
	} {
		t.Run(test.what, func(t *testing.T) {
			before := must[*moviev1.Movie](t)(mesh.Movies.CreateMovie(t.Context(), &moviev1.CreateMovieRequest{Movie: base}))
			request := &moviev1.UpdateMovieRequest{Movie: test.patch}
			request.Movie.Name = before.Name
			if test.mask != nil {
				request.UpdateMask = &fieldmaskpb.FieldMask{Paths: test.mask}
			}
			got, err := mesh.Movies.UpdateMovie(t.Context(), request)
			stored := must[*moviev1.Movie](t)(mesh.OtherMovies.GetMovie(t.Context(), &moviev1.GetMovieRequest{Name: before.Name}))
			if test.field != "" {
				wantField(t, err, test.field)
				same(t, stored, before)
				return
			}
			must[*moviev1.Movie](t)(got, err)
			same(t, stored, got)
			if changed := !proto.Equal(test.want, base); changed == (got.Etag == before.Etag) {
				t.Errorf("changed: %v, the etag was %s and is %s", changed, before.Etag, got.Etag)
			}
			got.Name, got.Id, got.Etag, got.UpdateTime = "", "", "", nil
			same(t, got, test.want)
		})
	}
}

func TestWhatWasReadCanBeSentBack(t *testing.T) {
	mesh := meshtest.Start(t)
	must[*moviev1.Movie](t)(mesh.Movies.RateMovie(t.Context(), &moviev1.RateMovieRequest{Name: "movies/8", Stars: 3}))
	m := must[*moviev1.Movie](t)(mesh.Movies.GetMovie(t.Context(), &moviev1.GetMovieRequest{Name: "movies/8", View: commonv1.View_VIEW_FULL}))
	var mask []string
	fields := m.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		mask = append(mask, string(fields.Get(i).Name()))
	}
	got := must[*moviev1.Movie](t)(mesh.Movies.UpdateMovie(t.Context(), &moviev1.UpdateMovieRequest{Movie: m, UpdateMask: &fieldmaskpb.FieldMask{Paths: mask}}))
	got.Etag, got.UpdateTime, got.DirectorDetail, got.DistributorDetail = m.Etag, m.UpdateTime, m.DirectorDetail, m.DistributorDetail
	same(t, got, m)
}

func TestADisplayNameMayBeLeftOutOfAPatchButNotEmptied(t *testing.T) {
	mesh := meshtest.Start(t)
	person := &talentv1.Person{Name: "people/1"}
	must[*talentv1.Person](t)(mesh.People.UpdatePerson(t.Context(), &talentv1.UpdatePersonRequest{Person: person}))
	_, err := mesh.People.UpdatePerson(t.Context(), &talentv1.UpdatePersonRequest{Person: person, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"display_name"}}})
	wantField(t, err, "person.display_name")
	_, err = mesh.People.CreatePerson(t.Context(), &talentv1.CreatePersonRequest{Person: person})
	wantField(t, err, "person")
	person.DisplayName = "New"
	if got := must[*talentv1.Person](t)(mesh.People.UpdatePerson(t.Context(), &talentv1.UpdatePersonRequest{Person: person})); got.DisplayName != "New" {
		t.Errorf("got %v", got)
	}
}

func TestAnEtagOfAnotherStateAborts(t *testing.T) {
	mesh := meshtest.Start(t)
	movie := must[*moviev1.Movie](t)(mesh.Movies.GetMovie(t.Context(), &moviev1.GetMovieRequest{Name: "movies/2"}))
	update := func(etag string, mask ...string) error {
		_, err := mesh.Movies.UpdateMovie(t.Context(), &moviev1.UpdateMovieRequest{
			Movie:      &moviev1.Movie{Name: "movies/2", Etag: etag, Year: proto.Int32(1999)},
			UpdateMask: &fieldmaskpb.FieldMask{Paths: mask},
		})
		return err
	}
	if err := update(movie.Etag); err != nil {
		t.Fatal(err)
	}
	s := want(t, update(movie.Etag), codes.Aborted)
	if info := detail[*errdetails.ErrorInfo](t, s); info.Reason != "ETAG_MISMATCH" {
		t.Error(info)
	}
	want(t, update(movie.Etag, "etag"), codes.Aborted) // also if there is nothing to change
	if err := update("", "year"); err != nil {
		t.Error(err)
	}
	_, err := mesh.Movies.DeleteMovie(t.Context(), &moviev1.DeleteMovieRequest{Name: "movies/2", Etag: movie.Etag})
	want(t, err, codes.Aborted)
	now := must[*moviev1.Movie](t)(mesh.Movies.GetMovie(t.Context(), &moviev1.GetMovieRequest{Name: "movies/2"}))
	must[*emptypb.Empty](t)(mesh.Movies.DeleteMovie(t.Context(), &moviev1.DeleteMovieRequest{Name: "movies/2", Etag: now.Etag}))
	_, err = mesh.Movies.GetMovie(t.Context(), &moviev1.GetMovieRequest{Name: "movies/2"})
	want(t, err, codes.NotFound)
}

func TestEveryRatingCounts(t *testing.T) {
	mesh := meshtest.Start(t)
	const each = 40
	var wg sync.WaitGroup
	for _, client := range []moviev1.MovieServiceClient{mesh.Movies, mesh.OtherMovies} {
		for stars := range int32(2) {
			wg.Go(func() {
				for range each / 2 {
					if _, err := client.RateMovie(t.Context(), &moviev1.RateMovieRequest{Name: "movies/4", Stars: 7 + stars}); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	got := must[*moviev1.Movie](t)(mesh.Movies.GetMovie(t.Context(), &moviev1.GetMovieRequest{Name: "movies/4"}))
	same(t, got.AudienceRating, &commonv1.AudienceRating{Average: 7.5, Count: 2 * each})
}

func TestWhileTheStoreIsHeldWritesAreUnavailableAndReadsGoOn(t *testing.T) {
	mesh := meshtest.Start(t)
	held, release := make(chan struct{}), make(chan struct{})
	var holding sync.WaitGroup
	holding.Go(func() {
		mesh.MovieStore.Write(context.Background(), func(*store.Tx) error { close(held); <-release; return nil })
	})
	<-held
	defer holding.Wait()
	defer close(release)
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	_, err := mesh.Movies.RateMovie(ctx, &moviev1.RateMovieRequest{Name: "movies/4", Stars: 1})
	if s := want(t, err, codes.Unavailable); !strings.Contains(s.Message(), "another process holds the store") {
		t.Error(s)
	}
	must[*moviev1.Movie](t)(mesh.Movies.GetMovie(t.Context(), &moviev1.GetMovieRequest{Name: "movies/4"}))
}
