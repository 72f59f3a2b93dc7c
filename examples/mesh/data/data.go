// Package data has the films that the mesh serves, embedded in the binary, and loads
// them into the stores of its three services.
//
//	err := data.SeedAll(ctx, dir) // dir/movie.db, dir/production.db, dir/talent.db
//
// The films are movies.csv; SOURCE.md says where they come from and what was cleaned.
// Their distributors become productions and their directors people.
//
// Ids do not change as long as the file does not: movies/1 is its first line, and
// productions and people are numbered in the order of their names.
package data

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/csv"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"google.golang.org/protobuf/proto"

	"github.com/evenkeel/evenkeel/examples/mesh/internal/movie"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/production"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/resource"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/store"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/talent"
	moviev1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/movie/v1"
	productionv1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/production/v1"
	talentv1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/talent/v1"
)

//go:embed movies.csv
var table []byte

// SeedAll makes the stores of the three services in dir, which it makes too, from the
// embedded films. A store that is there already is left as it is, with all that was
// written to it since; one of another version of this program is an error. Each store is
// all or nothing, and several processes may seed at once.
func SeedAll(ctx context.Context, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	all, err := load(table)
	if err != nil {
		return fmt.Errorf("data: movies.csv: %w", err)
	}
	if err := seed(ctx, dir, "movie.db", movie.Kind, all.movies); err != nil {
		return err
	}
	if err := seed(ctx, dir, "production.db", production.Kind, all.productions); err != nil {
		return err
	}
	return seed(ctx, dir, "talent.db", talent.Kind, all.people)
}

func seed[M resource.Message](ctx context.Context, dir, file string, kind *resource.Kind[M], resources []M) error {
	return store.Create(ctx, filepath.Join(dir, file), kind.Schema(), func(tx *store.Tx) error {
		return tx.ExecEach(kind.Insertion(), func(yield func([]any) bool) {
			for i, m := range resources {
				if !yield(kind.Values(m, int64(i+1), 0, nil)) {
					return
				}
			}
		})
	})
}

// films is the embedded table as resources, each list in the order of its ids from 1.
type films struct {
	movies      []*moviev1.Movie
	productions []*productionv1.Production
	people      []*talentv1.Person
}

func load(table []byte) (films, error) {
	rows, err := csv.NewReader(bytes.NewReader(table)).ReadAll()
	if err != nil {
		return films{}, err
	}
	column := make(map[string]int)
	for i, name := range rows[0] {
		column[name] = i
	}
	rows = rows[1:]
	distributors := names(rows, column["distributor"])
	directors := names(rows, column["director"])

	var all films
	for _, name := range distributors {
		all.productions = append(all.productions, &productionv1.Production{DisplayName: name})
	}
	for _, name := range directors {
		all.people = append(all.people, &talentv1.Person{DisplayName: name})
	}
	for i, row := range rows {
		r := reader{row: row, column: column}
		all.movies = append(all.movies, &moviev1.Movie{
			Title:              r.text("title"),
			Year:               r.int32("year"),
			Genre:              r.text("genre"),
			RunningTimeMinutes: r.int32("running_time_minutes"),
			MpaaRating:         r.text("mpaa_rating"),
			ImdbRating:         r.float("imdb_rating"),
			ImdbVotes:          r.int64("imdb_votes"),
			BudgetUsd:          r.int64("budget_usd"),
			GrossUsd:           r.int64("gross_usd"),
			Distributor:        r.reference("distributor", production.Kind.Name, distributors),
			Director:           r.reference("director", talent.Kind.Name, directors),
		})
		if r.err != nil {
			return films{}, fmt.Errorf("film %d: %w", i+1, r.err)
		}
	}
	return all, nil
}

// names is the different values of a column, in order.
func names(rows [][]string, column int) []string {
	set := make(map[string]bool)
	for _, row := range rows {
		if row[column] != "" {
			set[row[column]] = true
		}
	}
	return slices.Sorted(maps.Keys(set))
}

// reader reads a row; what is empty is not set. It keeps the first error.
type reader struct {
	row    []string
	column map[string]int
	err    error
}

func (r *reader) text(name string) *string {
	if value := r.row[r.column[name]]; value != "" {
		return &value
	}
	return nil
}

func (r *reader) int64(name string) *int64    { return parse(r, name, parseInt64) }
func (r *reader) int32(name string) *int32    { return parse(r, name, parseInt32) }
func (r *reader) float(name string) *float64  { return parse(r, name, parseFloat) }
func parseInt64(text string) (int64, error)   { return strconv.ParseInt(text, 10, 64) }
func parseFloat(text string) (float64, error) { return strconv.ParseFloat(text, 64) }
func parseInt32(text string) (n int32, _ error) {
	wide, err := strconv.ParseInt(text, 10, 32)
	return int32(wide), err
}

func parse[T any](r *reader, name string, read func(string) (T, error)) *T {
	text := r.text(name)
	if text == nil {
		return nil
	}
	value, err := read(*text)
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("%s: %w", name, err)
	}
	return &value
}

// reference is the resource's name of a value, by its place in the sorted list.
func (r *reader) reference(name string, resourceName func(int64) string, sorted []string) *string {
	text := r.text(name)
	if text == nil {
		return nil
	}
	i, _ := slices.BinarySearch(sorted, *text)
	return proto.String(resourceName(int64(i + 1)))
}
