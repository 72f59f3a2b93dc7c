// Package movies is the service behind every door: it answers each call with the
// same movie, so that what is measured is the door.
package movies

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/common/v1"
	moviev1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/movie/v1"
	plainv1 "github.com/evenkeel/evenkeel/gateway/internal/throughput/proto/plain/movie/v1"
)

// Movie is what is answered: 600 bytes of JSON, with all that the service knows
// of a movie.
var Movie = &moviev1.Movie{
	Name: "movies/2811", Id: "2811", Year: proto.Int32(1999), Genre: proto.String("Thriller/Suspense"),
	Title: proto.String("The Incredibly True and Rather Long Adventures of a Stranger in the City by the Sea, Told by Herself" +
		": With an Account of Her Travels, Her Return, and All the People She Met on the Way and Never Forgot Again After"),
	RunningTimeMinutes: proto.Int32(142), MpaaRating: proto.String("PG-13"), ImdbRating: proto.Float64(7.4),
	ImdbVotes: proto.Int64(183_412), BudgetUsd: proto.Int64(86_500_000), GrossUsd: proto.Int64(412_983_117),
	Distributor: proto.String("productions/117"), Director: proto.String("people/2093"),
	AudienceRating: &commonv1.AudienceRating{Average: 7.81, Count: 1204},
	UpdateTime:     &timestamppb.Timestamp{Seconds: 1_793_012_345, Nanos: 678_000_000},
	Etag:           "5f2b8c1d9e7a4036",
}

// New is the body that creates one.
const New = `{"title":"The Incredibly True Adventures of a Stranger in the City","year":1999,"genre":"Thriller/Suspense",` +
	`"runningTimeMinutes":142,"mpaaRating":"PG-13","imdbRating":7.4,"imdbVotes":"183412","budgetUsd":"86500000",` +
	`"grossUsd":"412983117","distributor":"productions/117","director":"people/2093"}`

// Register registers the service, by both of its names.
func Register(to grpc.ServiceRegistrar) error {
	wire, err := proto.Marshal(Movie)
	if err != nil {
		return err
	}
	plain := &plainv1.Movie{}
	if err := proto.Unmarshal(wire, plain); err != nil {
		return err
	}
	moviev1.RegisterMovieServiceServer(to, guarded{})
	plainv1.RegisterMovieServiceServer(to, bare{movie: plain})
	return nil
}

type guarded struct {
	moviev1.UnimplementedMovieServiceServer
}

func (guarded) GetMovie(context.Context, *moviev1.GetMovieRequest) (*moviev1.Movie, error) {
	return Movie, nil
}

func (guarded) CreateMovie(context.Context, *moviev1.CreateMovieRequest) (*moviev1.Movie, error) {
	return Movie, nil
}

type bare struct {
	plainv1.UnimplementedMovieServiceServer
	movie *plainv1.Movie
}

func (s bare) GetMovie(context.Context, *plainv1.GetMovieRequest) (*plainv1.Movie, error) {
	return s.movie, nil
}

func (s bare) CreateMovie(context.Context, *plainv1.CreateMovieRequest) (*plainv1.Movie, error) {
	return s.movie, nil
}
