package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/ncruces/go-sqlite3"
)

// MaxWriteWait is the longest that a write waits for the write lock, whatever its
// deadline. A write holds the lock for well under a millisecond, so whoever holds
// it for longer than this is not about to let go.
const MaxWriteWait = 2 * time.Second

// Tx is a transaction that writes. It holds the store's write lock.
type Tx struct {
	ctx    context.Context
	conn   *sql.Conn
	change int64
}

// Write calls fn with a transaction and commits it if fn returns nil. When Write
// returns nil, what was written is there to stay and every replica sees it; when it
// returns an error, nothing was written, save that a failing COMMIT is not told
// apart from one whose answer was lost.
//
// It returns [ErrBusy] if the lock cannot be had within [MaxWriteWait] or shortly
// before ctx's deadline, and ctx's error if ctx is over.
func (db *DB) Write(ctx context.Context, fn func(*Tx) error) error {
	if db.closed.Load() {
		return ErrClosed
	}
	wait, cancel := context.WithTimeout(ctx, writeWait(ctx))
	defer cancel()
	conn, err := db.begin(wait)
	if err != nil {
		return busyOr(ctx, wait, err)
	}
	defer conn.Close()
	tx := &Tx{ctx: ctx, conn: conn}
	if err := db.finish(tx, fn(tx)); err != nil {
		return readError(ctx, err)
	}
	db.hub.advance(tx.change)
	return nil
}

// writeWait leaves a fifth of the time, at most half a second, to tell the caller.
func writeWait(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return MaxWriteWait
	}
	left := time.Until(deadline)
	return min(MaxWriteWait, left-min(left/5, time.Second/2))
}

// busyOr names the reason that a write did not get its turn.
func busyOr(ctx, wait context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case wait.Err() != nil:
		return ErrBusy
	}
	return err
}

// begin takes this process's turn and then the write lock. SQLite has no queue for
// that one: whoever asks when it is free has it, so one asks again after a little
// while that grows to 25 ms. Jitter keeps the replicas from asking in step.
func (db *DB) begin(ctx context.Context) (*sql.Conn, error) {
	const longest = 25 * time.Millisecond
	for pause := time.Millisecond; ; pause = min(2*pause, longest) {
		conn, err := db.writer.Conn(ctx)
		if err == nil {
			if _, err = conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err == nil {
				return conn, nil
			}
			conn.Close()
		}
		if !errors.Is(err, sqlite3.BUSY) {
			return nil, err
		}
		timer := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		}
	}
}

// finish commits if all went well and the caller still wants it, and else undoes.
func (db *DB) finish(tx *Tx, err error) error {
	if err == nil {
		err = db.prune(tx)
	}
	if err == nil {
		// A process that was frozen finds its caller gone: the answer that the caller
		// made up in the meantime is that nothing was written.
		err = tx.ctx.Err()
	}
	// From here on the caller's leaving must not interrupt half way.
	ctx := context.WithoutCancel(tx.ctx)
	if err == nil {
		if _, err = tx.conn.ExecContext(ctx, "COMMIT"); err == nil {
			return nil
		}
	}
	if _, undo := tx.conn.ExecContext(ctx, "ROLLBACK"); undo != nil {
		// SQLite undid it by itself, or the connection is of no more use: a new one is cheap.
		tx.conn.Raw(func(any) error { return driver.ErrBadConn })
	}
	return err
}

// Exec runs a statement.
func (tx *Tx) Exec(query string, args ...any) error {
	_, err := tx.conn.ExecContext(tx.ctx, query, args...)
	return err
}

// ExecEach runs one statement for each list of arguments.
func (tx *Tx) ExecEach(query string, all iter.Seq[[]any]) (err error) {
	statement, err := tx.conn.PrepareContext(tx.ctx, query)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, statement.Close()) }()
	for args := range all {
		if _, err := statement.ExecContext(tx.ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

// Insert runs a statement and returns the id of the row that it inserted.
func (tx *Tx) Insert(query string, args ...any) (int64, error) {
	result, err := tx.conn.ExecContext(tx.ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return result.LastInsertId()
}

// QueryContext queries within the transaction.
func (tx *Tx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return tx.conn.QueryContext(ctx, query, args...)
}

// QueryRowContext queries one row within the transaction.
func (tx *Tx) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return tx.conn.QueryRowContext(ctx, query, args...)
}

// NextChange numbers the change that the transaction makes: one more than the
// latest in the store. A transaction makes one change.
func (tx *Tx) NextChange() (int64, error) {
	if tx.change != 0 {
		return 0, errors.New("store: a transaction makes one change")
	}
	err := tx.QueryRowContext(tx.ctx, "UPDATE meta SET head = head + 1 RETURNING head").Scan(&tx.change)
	return tx.change, err
}

// Record adds the change that [Tx.NextChange] numbered to the history: its type,
// which the store does not read, and the resource as watchers are to see it.
func (tx *Tx) Record(changeType int32, resource []byte) error {
	if tx.change == 0 {
		return errors.New("store: Record before NextChange")
	}
	if err := tx.Exec("INSERT INTO changes (seq, type, resource) VALUES (?, ?, ?)", tx.change, changeType, resource); err != nil {
		return fmt.Errorf("store: record a change: %w", err)
	}
	return nil
}

// prune forgets what is beyond the history's length, a change or two at a time.
func (db *DB) prune(tx *Tx) error {
	if tx.change <= db.history {
		return nil
	}
	return tx.Exec("DELETE FROM changes WHERE seq <= ?", tx.change-db.history)
}
