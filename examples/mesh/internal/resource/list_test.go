package resource_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/evenkeel/evenkeel/examples/mesh/internal/meshtest"
	moviev1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/movie/v1"
	productionv1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/production/v1"
	talentv1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/talent/v1"
)

// all follows the pages of a request to the end.
func all(t *testing.T, client moviev1.MovieServiceClient, r *moviev1.ListMoviesRequest, size func() int32) (movies []*moviev1.Movie) {
	t.Helper()
	r = proto.CloneOf(r)
	for pages := 0; pages < 4000; pages++ {
		r.PageSize = size()
		page := must[*moviev1.ListMoviesResponse](t)(client.ListMovies(t.Context(), r))
		if len(page.Movies) > int(r.PageSize) {
			t.Fatalf("a page of %d has %d movies", r.PageSize, len(page.Movies))
		}
		movies = append(movies, page.Movies...)
		if r.PageToken = page.NextPageToken; r.PageToken == "" {
			if int(page.TotalSize) != len(movies) {
				t.Errorf("%d movies on all pages, but a total of %d", len(movies), page.TotalSize)
			}
			return movies
		}
	}
	t.Fatal("the pages do not end")
	return nil
}

func TestPagesHaveEveryMovieOnceInOrder(t *testing.T) {
	mesh := meshtest.Start(t)
	r := rand.New(rand.NewPCG(3, 4))
	for _, test := range []struct {
		filter, order string
		compare       func(a, b *moviev1.Movie) int
	}{
		{"", "", func(a, b *moviev1.Movie) int { return 0 }},
		{"", "id desc", func(a, b *moviev1.Movie) int { return id(b) - id(a) }},
		{"", "year desc, title", func(a, b *moviev1.Movie) int {
			return cmp.Or(unsetLast(a.Year, b.Year, true), unsetLast(a.Title, b.Title, false))
		}},
		{"id <= 1000", "director desc, running_time_minutes, imdbRating desc", func(a, b *moviev1.Movie) int {
			return cmp.Or(unsetLast(a.Director, b.Director, true), unsetLast(a.RunningTimeMinutes, b.RunningTimeMinutes, false),
				unsetLast(a.ImdbRating, b.ImdbRating, true))
		}},
		{`genre = "Drama" AND NOT director:*`, "gross_usd", func(a, b *moviev1.Movie) int { return unsetLast(a.GrossUsd, b.GrossUsd, false) }},
	} {
		request := &moviev1.ListMoviesRequest{Filter: test.filter, OrderBy: test.order}
		movies := all(t, mesh.Movies, request, func() int32 { return 300 + r.Int32N(701) })
		seen := make(map[string]bool)
		for i, m := range movies {
			if seen[m.Name] {
				t.Fatalf("%q %q: %s comes twice", test.filter, test.order, m.Name)
			}
			seen[m.Name] = true
			if i == 0 {
				continue
			}
			if c := cmp.Or(test.compare(movies[i-1], m), id(movies[i-1])-id(m)); c >= 0 {
				t.Fatalf("%q %q: out of order:\n%v\n%v", test.filter, test.order, movies[i-1], m)
			}
		}
		if test.filter == "" && len(movies) != 3201 {
			t.Errorf("%q: %d movies", test.order, len(movies))
		}
	}
}

func id(m *moviev1.Movie) (n int) { fmt.Sscan(m.Id, &n); return n }

// unsetLast compares as order_by does.
func unsetLast[T cmp.Ordered](a, b *T, desc bool) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return 1
	case b == nil:
		return -1
	case desc:
		return cmp.Compare(*b, *a)
	}
	return cmp.Compare(*a, *b)
}

func TestWhatIsWrittenMeanwhileMovesNothingBetweenPages(t *testing.T) {
	mesh := meshtest.Start(t)
	request := &moviev1.ListMoviesRequest{OrderBy: "title", Filter: `title >= "Z"`}
	before := all(t, mesh.Movies, request, func() int32 { return 1000 })

	request.PageSize = 5
	page := must[*moviev1.ListMoviesResponse](t)(mesh.Movies.ListMovies(t.Context(), request))
	// One comes before all that was read; what the page ended with goes.
	must[*moviev1.Movie](t)(mesh.Movies.CreateMovie(t.Context(), &moviev1.CreateMovieRequest{Movie: &moviev1.Movie{Title: proto.String("Z")}}))
	if _, err := mesh.Movies.DeleteMovie(t.Context(), &moviev1.DeleteMovieRequest{Name: page.Movies[4].Name}); err != nil {
		t.Fatal(err)
	}
	request.PageToken, request.PageSize = page.NextPageToken, 1000
	rest := must[*moviev1.ListMoviesResponse](t)(mesh.Movies.ListMovies(t.Context(), request))
	got := slices.Concat(page.Movies, rest.Movies)
	if !slices.EqualFunc(got, before, func(a, b *moviev1.Movie) bool { return a.Name == b.Name }) {
		t.Errorf("read %d movies, there were %d", len(got), len(before))
	}
	if int(rest.TotalSize) != len(before) { // one more, one less
		t.Errorf("the total is %d", rest.TotalSize)
	}
}

func TestPageTokensBelongToTheirQuery(t *testing.T) {
	mesh := meshtest.Start(t)
	list := mesh.Movies.ListMovies
	good := &moviev1.ListMoviesRequest{PageSize: 2, Filter: "year > 1990", OrderBy: "title"}
	good.PageToken = must[*moviev1.ListMoviesResponse](t)(list(t.Context(), good)).NextPageToken
	for what, change := range map[string]func(*moviev1.ListMoviesRequest){
		"another filter":   func(r *moviev1.ListMoviesRequest) { r.Filter = "year > 1991" },
		"another order":    func(r *moviev1.ListMoviesRequest) { r.OrderBy = "title desc" },
		"another parent":   func(r *moviev1.ListMoviesRequest) { r.Parent = "people/1" },
		"a filter moved":   func(r *moviev1.ListMoviesRequest) { r.Filter, r.OrderBy = "", "" },
		"a changed token":  func(r *moviev1.ListMoviesRequest) { r.PageToken = flip(r.PageToken) },
		"half a token":     func(r *moviev1.ListMoviesRequest) { r.PageToken = r.PageToken[:len(r.PageToken)/2] },
		"nonsense":         func(r *moviev1.ListMoviesRequest) { r.PageToken = "!" },
		"another's prefix": func(r *moviev1.ListMoviesRequest) { r.PageToken += "AAAA" },
	} {
		r := proto.CloneOf(good)
		change(r)
		_, err := list(t.Context(), r)
		if text := wantField(t, err, "page_token"); !strings.Contains(text, "begin again without a token") {
			t.Errorf("%s: %s", what, text)
		}
	}
	people := must[*talentv1.ListPeopleResponse](t)(mesh.People.ListPeople(t.Context(), &talentv1.ListPeopleRequest{PageSize: 1}))
	_, err := mesh.Productions.ListProductions(t.Context(), &productionv1.ListProductionsRequest{PageToken: people.NextPageToken})
	wantField(t, err, "page_token")

	// The size and the view may change, and any replica will do.
	good.PageSize = 3
	one := must[*moviev1.ListMoviesResponse](t)(list(t.Context(), good))
	two := must[*moviev1.ListMoviesResponse](t)(mesh.OtherMovies.ListMovies(t.Context(), good))
	if len(one.Movies) != 3 {
		t.Errorf("a page of 3 has %d movies", len(one.Movies))
	}
	same(t, two, one)
}

// flip changes one character in the middle.
func flip(token string) string {
	b := []byte(token)
	if b[len(b)/2] == 'A' {
		b[len(b)/2] = 'B'
	} else {
		b[len(b)/2] = 'A'
	}
	return string(b)
}

func TestPageSizesAreBounded(t *testing.T) {
	mesh := meshtest.Start(t)
	for size, want := range map[int32]int{0: 50, 1: 1, 1000: 1000, 1001: 1000, 1 << 30: 1000} {
		page := must[*moviev1.ListMoviesResponse](t)(mesh.Movies.ListMovies(t.Context(), &moviev1.ListMoviesRequest{PageSize: size}))
		if len(page.Movies) != want || page.TotalSize != 3201 || page.NextPageToken == "" {
			t.Errorf("a page_size of %d gives %d movies of %d", size, len(page.Movies), page.TotalSize)
		}
	}
}

func TestListsOfAParentHaveItsMoviesOnly(t *testing.T) {
	mesh := meshtest.Start(t)
	people := must[*talentv1.ListPeopleResponse](t)(mesh.People.ListPeople(t.Context(), &talentv1.ListPeopleRequest{Filter: `display_name = "Steven Spielberg"`}))
	if len(people.People) != 1 || people.NextPageToken != "" || people.TotalSize != 1 {
		t.Fatalf("got %v", people)
	}
	spielberg := people.People[0].Name
	page := must[*moviev1.ListMoviesResponse](t)(mesh.Movies.ListMovies(t.Context(), &moviev1.ListMoviesRequest{Parent: spielberg, Filter: "year < 1980", OrderBy: "year"}))
	var titles []string
	for _, m := range page.Movies {
		if m.GetDirector() != spielberg {
			t.Errorf("%v is not his", m)
		}
		titles = append(titles, title(m))
	}
	if got := strings.Join(titles, ", "); got != "Jaws, Close Encounters of the Third Kind, 1941" {
		t.Errorf("got %s", got)
	}
	page = must[*moviev1.ListMoviesResponse](t)(mesh.Movies.ListMovies(t.Context(), &moviev1.ListMoviesRequest{Parent: "productions/999999"}))
	if len(page.Movies) != 0 || page.TotalSize != 0 {
		t.Errorf("a production that is not there has %v", page)
	}
}

func TestAWrongFilterOrOrderSaysWhereAndWhatIsAllowed(t *testing.T) {
	mesh := meshtest.Start(t)
	_, err := mesh.Movies.ListMovies(t.Context(), &moviev1.ListMoviesRequest{Filter: "year > 1990 AND yeer < 2000"})
	if text := wantField(t, err, "filter"); !strings.Contains(text, `at character 17: unknown field "yeer"; there are: name, id, title, year`) {
		t.Error(text)
	}
	_, err = mesh.Movies.ListMovies(t.Context(), &moviev1.ListMoviesRequest{OrderBy: "title up"})
	if text := wantField(t, err, "order_by"); !strings.Contains(text, "at character 1") {
		t.Error(text)
	}
}

func TestEveryFieldCanBeFilteredAndOrderedBy(t *testing.T) {
	mesh := meshtest.Start(t)
	rated := must[*moviev1.Movie](t)(mesh.Movies.RateMovie(t.Context(), &moviev1.RateMovieRequest{Name: "movies/10", Stars: 7}))
	for filter, want := range map[string]int32{
		`name = "movies/10"`:         1,
		`id <= 10`:                   10,
		`title = "300"`:              1,
		`NOT title:*`:                1,
		`year = 1939`:                4,
		`genre : drama`:              789,
		`running_time_minutes > 200`: 2,
		`mpaa_rating = PG-13`:        865,
		`imdb_rating >= 9.0`:         4,
		`imdbVotes > 500000`:         1,
		`budget_usd >= 2.5e8`:        3,
		`gross_usd > 2000000000`:     1,
		`distributor = "productions/1" AND director:*`: 155,
		`-director:*`:                   1331,
		`audience_rating.average > 6.5`: 1,
		`audienceRating.count:*`:        1,
		`update_time:*`:                 1,
		fmt.Sprintf("update_time = %q", rated.UpdateTime.AsTime().Format("2006-01-02T15:04:05.999999999Z")): 1,
	} {
		page, err := mesh.Movies.ListMovies(t.Context(), &moviev1.ListMoviesRequest{Filter: filter, PageSize: 1})
		if err != nil || page.TotalSize != want {
			t.Errorf("%s finds %d, want %d, %v", filter, page.GetTotalSize(), want, err)
		}
	}
	for _, order := range []string{"name", "mpaa_rating desc", "audience_rating.average desc", "audience_rating.count", "update_time", "budget_usd desc,imdb_votes"} {
		if n := len(all(t, mesh.Movies, &moviev1.ListMoviesRequest{Filter: "id <= 200", OrderBy: order}, func() int32 { return 70 })); n != 200 {
			t.Errorf("%s lists %d movies", order, n)
		}
	}
}
