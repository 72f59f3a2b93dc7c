package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/ncruces/go-sqlite3"
)

// Querier reads within a transaction.
type Querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Read calls fn with a transaction that sees one state of the store, whatever is
// written meanwhile. It waits for one of this process's few read connections to be
// free, and see the package's documentation for when it waits for another process: no
// longer than [MaxWait], and then it returns [ErrBusy].
func (db *DB) Read(ctx context.Context, fn func(Querier) error) error {
	// BEGIN alone only announces a transaction; the first SELECT chooses its state.
	conn, err := db.begin(ctx, db.readers, "BEGIN; SELECT 1 FROM sqlite_schema LIMIT 1")
	if err != nil {
		return err
	}
	defer end(ctx, conn)
	return interrupted(ctx, fn(conn))
}

// interrupted tells why a statement was.
func interrupted(ctx context.Context, err error) error {
	if errors.Is(err, sqlite3.INTERRUPT) && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}
