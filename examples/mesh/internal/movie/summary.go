package movie

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/evenkeel/evenkeel/examples/mesh/internal/resource"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/store"
	commonv1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/common/v1"
	moviev1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/movie/v1"
)

// summary adds up the movies of several parents, given as a JSON array. The sum of the
// grosses is a REAL on the way, since a sum of INTEGERs that overflows is an error; it
// is exact up to 2^53 dollars and ends at about 2^63.
const summary = `SELECT %[1]s, count(*), min(year), max(year),
	CASE WHEN count(gross_usd) > 0 THEN CAST(min(total(gross_usd), 9.2e18) AS INTEGER) END
	FROM movies WHERE %[1]s IN (SELECT value FROM json_each(?)) GROUP BY %[1]s`

// SummarizeMovies implements moviev1.MovieServiceServer.
func (s *Server) SummarizeMovies(ctx context.Context, r *moviev1.SummarizeMoviesRequest) (*moviev1.SummarizeMoviesResponse, error) {
	if err := resource.Validate(r); err != nil {
		return nil, err
	}
	byField := make(map[string][]string)
	for _, parent := range r.Parents {
		field := Kind.ParentField(parent)
		byField[field] = append(byField[field], parent)
	}
	answer := &moviev1.SummarizeMoviesResponse{Filmographies: make(map[string]*commonv1.Filmography)}
	err := s.db.Read(ctx, func(tx store.Querier) error {
		for field, parents := range byField {
			if err := summarize(ctx, tx, field, parents, answer.Filmographies); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, resource.StatusOf(err)
	}
	return answer, nil
}

func summarize(ctx context.Context, tx store.Querier, field string, parents []string, into map[string]*commonv1.Filmography) error {
	list, err := json.Marshal(parents)
	if err != nil {
		return err
	}
	rows, err := tx.QueryContext(ctx, fmt.Sprintf(summary, field), string(list))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		f := &commonv1.Filmography{}
		if err := rows.Scan(&name, &f.MovieCount, &f.FirstYear, &f.LastYear, &f.GrossUsd); err != nil {
			return err
		}
		into[name] = f
	}
	return rows.Err()
}
