package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
)

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
// It returns [ErrBusy] if the lock cannot be had within [MaxWait] or shortly before
// ctx's deadline, and ctx's error if ctx is over.
func (db *DB) Write(ctx context.Context, fn func(*Tx) error) error {
	conn, err := db.begin(ctx, db.writer, "BEGIN IMMEDIATE")
	if err != nil {
		return err
	}
	tx := &Tx{ctx: ctx, conn: conn}
	if err := db.commit(tx, fn(tx)); err != nil {
		end(ctx, conn)
		return interrupted(ctx, err)
	}
	db.hub.advance(tx.change)
	return conn.Close()
}

// commit commits if all went well and the caller still wants it.
func (db *DB) commit(tx *Tx, err error) error {
	if err == nil {
		err = db.prune(tx)
	}
	if err == nil {
		// A process that was frozen finds its caller gone: the answer that the caller
		// made up in the meantime is that nothing was written.
		err = tx.ctx.Err()
	}
	if err == nil {
		// From here on the caller's leaving must not interrupt half way.
		_, err = tx.conn.ExecContext(context.WithoutCancel(tx.ctx), "COMMIT")
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
