package resource

import (
	"context"
	"fmt"

	commonv1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/common/v1"
	moviev1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/movie/v1"
)

// AddFilmographies asks the movie service, once, what the movies of resources add up
// to, and hands each resource its own; without movies it is a filmography of none.
func AddFilmographies[M Message](ctx context.Context, movies moviev1.MovieServiceClient, all []M, add func(M, *commonv1.Filmography)) error {
	names := make([]string, len(all))
	for i, m := range all {
		names[i] = m.GetName()
	}
	answer, err := movies.SummarizeMovies(ctx, &moviev1.SummarizeMoviesRequest{Parents: names})
	if err != nil {
		return Upstream("movie", err)
	}
	for _, m := range all {
		f := answer.Filmographies[m.GetName()]
		if f == nil {
			f = &commonv1.Filmography{}
		}
		add(m, f)
	}
	return nil
}

// CheckUnused refuses to delete a resource that movies refer to.
func CheckUnused(ctx context.Context, movies moviev1.MovieServiceClient, name string) error {
	answer, err := movies.SummarizeMovies(ctx, &moviev1.SummarizeMoviesRequest{Parents: []string{name}})
	if err != nil {
		return Upstream("movie", err)
	}
	if n := answer.Filmographies[name].GetMovieCount(); n > 0 {
		return FailedPrecondition("MOVIES_EXIST", name, fmt.Sprintf("%d movies refer to %s: change or delete them first", n, name))
	}
	return nil
}
