package resource_test

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/evenkeel/evenkeel/examples/mesh/internal/meshtest"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/store"
	commonv1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/common/v1"
	moviev1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/movie/v1"
	productionv1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/production/v1"
)

// watch begins a stream and waits for its headers.
func watch(t *testing.T, client moviev1.MovieServiceClient, token string) grpc.ServerStreamingClient[moviev1.WatchMoviesResponse] {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	stream, err := client.WatchMovies(ctx, &moviev1.WatchMoviesRequest{ResumeToken: token})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Header(); err != nil {
		t.Fatal(err)
	}
	return stream
}

func TestAWatcherSeesEveryWriteThroughAnyReplicaInOrder(t *testing.T) {
	mesh := meshtest.Start(t)
	ctx := t.Context()
	must[*moviev1.Movie](t)(mesh.Movies.RateMovie(ctx, &moviev1.RateMovieRequest{Name: "movies/1", Stars: 1})) // before
	stream := watch(t, mesh.OtherMovies, "")

	created := must[*moviev1.Movie](t)(mesh.Movies.CreateMovie(ctx, &moviev1.CreateMovieRequest{Movie: &moviev1.Movie{Title: proto.String("A")}}))
	updated := must[*moviev1.Movie](t)(mesh.OtherMovies.UpdateMovie(ctx, &moviev1.UpdateMovieRequest{Movie: &moviev1.Movie{Name: created.Name, Year: proto.Int32(2020)}}))
	rated := must[*moviev1.Movie](t)(mesh.Movies.RateMovie(ctx, &moviev1.RateMovieRequest{Name: created.Name, Stars: 9}))
	must[*emptypb.Empty](t)(mesh.Movies.DeleteMovie(ctx, &moviev1.DeleteMovieRequest{Name: created.Name}))

	var tokens []string
	for _, want := range []*moviev1.WatchMoviesResponse{
		{ChangeType: commonv1.ChangeType_CHANGE_TYPE_CREATED, Movie: created},
		{ChangeType: commonv1.ChangeType_CHANGE_TYPE_UPDATED, Movie: updated},
		{ChangeType: commonv1.ChangeType_CHANGE_TYPE_UPDATED, Movie: rated},
		{ChangeType: commonv1.ChangeType_CHANGE_TYPE_DELETED, Movie: rated},
	} {
		got := must[*moviev1.WatchMoviesResponse](t)(stream.Recv())
		tokens = append(tokens, got.ResumeToken)
		got.ResumeToken = ""
		same(t, got, want)
	}
	resumed := must[*moviev1.WatchMoviesResponse](t)(watch(t, mesh.Movies, tokens[1]).Recv())
	if resumed.ResumeToken != tokens[2] {
		t.Errorf("resumed at %v", resumed)
	}
}

func TestAResumeTokenMustBeOfTheStream(t *testing.T) {
	mesh := meshtest.Start(t)
	ctx := t.Context()
	page := must[*moviev1.ListMoviesResponse](t)(mesh.Movies.ListMovies(ctx, &moviev1.ListMoviesRequest{PageSize: 1}))
	stream := watch(t, mesh.Movies, "")
	must[*moviev1.Movie](t)(mesh.Movies.RateMovie(ctx, &moviev1.RateMovieRequest{Name: "movies/1", Stars: 1}))
	token := must[*moviev1.WatchMoviesResponse](t)(stream.Recv()).ResumeToken
	for _, wrong := range []string{flip(token), token + "A", page.NextPageToken, "x"} {
		stream, err := mesh.Movies.WatchMovies(ctx, &moviev1.WatchMoviesRequest{ResumeToken: wrong})
		if err == nil {
			_, err = stream.Recv()
		}
		wantField(t, err, "resume_token")
	}
	other, err := mesh.Productions.WatchProductions(ctx, &productionv1.WatchProductionsRequest{ResumeToken: token})
	if err == nil {
		_, err = other.Recv()
	}
	wantField(t, err, "resume_token")
}

func TestATokenThatIsTooOldIsOutOfRange(t *testing.T) {
	mesh := meshtest.Start(t, store.WithHistory(3))
	rate := func() {
		must[*moviev1.Movie](t)(mesh.Movies.RateMovie(t.Context(), &moviev1.RateMovieRequest{Name: "movies/1", Stars: 1}))
	}
	stream := watch(t, mesh.Movies, "")
	rate()
	token := must[*moviev1.WatchMoviesResponse](t)(stream.Recv()).ResumeToken
	for range 3 {
		rate()
	}
	must[*moviev1.WatchMoviesResponse](t)(watch(t, mesh.OtherMovies, token).Recv())
	rate()
	late, err := mesh.OtherMovies.WatchMovies(t.Context(), &moviev1.WatchMoviesRequest{ResumeToken: token})
	if err == nil {
		_, err = late.Recv()
	}
	want(t, err, codes.OutOfRange)
}

func TestClosingAServerLetsItsWatchersGo(t *testing.T) {
	mesh := meshtest.Start(t)
	stream, stays := watch(t, mesh.Movies, ""), watch(t, mesh.OtherMovies, "")
	if err := mesh.MovieServer.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := stream.Recv()
	want(t, err, codes.Unavailable)
	// Other calls and other replicas go on.
	must[*moviev1.Movie](t)(mesh.Movies.RateMovie(t.Context(), &moviev1.RateMovieRequest{Name: "movies/1", Stars: 1}))
	must[*moviev1.WatchMoviesResponse](t)(stays.Recv())
}
