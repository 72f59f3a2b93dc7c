package resource_test

import (
	"testing"

	"github.com/evenkeel/evenkeel/examples/mesh/internal/meshtest"
	moviev1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/movie/v1"
)

// The server's own work, without gRPC.
func BenchmarkMovies(b *testing.B) {
	server := meshtest.Start(b).MovieServer
	b.Run("get", func(b *testing.B) {
		for b.Loop() {
			if _, err := server.GetMovie(b.Context(), &moviev1.GetMovieRequest{Name: "movies/1000"}); err != nil {
				b.Fatal(err)
			}
		}
	})
	for name, request := range map[string]*moviev1.ListMoviesRequest{
		"list":   {PageSize: 20},
		"parent": {PageSize: 20, Parent: "people/7"},
		"filter": {PageSize: 20, Filter: `genre = "Drama" AND title : "love"`, OrderBy: "year desc"},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := server.ListMovies(b.Context(), request); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("rate", func(b *testing.B) {
		for b.Loop() {
			if _, err := server.RateMovie(b.Context(), &moviev1.RateMovieRequest{Name: "movies/1000", Stars: 5}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
