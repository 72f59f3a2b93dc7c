package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/ncruces/go-sqlite3"
)

// MaxWait is the longest that a transaction waits to begin, whatever its deadline. One
// that writes holds its lock for well under a millisecond, so whoever holds it for
// longer than this is not about to let go.
const MaxWait = 2 * time.Second

// waitOf leaves a fifth of the time, at most half a second, to tell the caller.
func waitOf(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return MaxWait
	}
	left := time.Until(deadline)
	return min(MaxWait, left-min(left/5, time.Second/2))
}

// begin starts a transaction by the statement that takes its lock. SQLite has no queue
// for locks: whoever asks when one is free has it, so one asks again after a little
// while that grows to 25 ms. Jitter keeps the replicas from asking in step.
func (db *DB) begin(ctx context.Context, pool *sql.DB, statement string) (*sql.Conn, error) {
	wait, cancel := context.WithTimeout(ctx, waitOf(ctx))
	defer cancel()
	const longest = 25 * time.Millisecond
	for pause := time.Millisecond; ; pause = min(2*pause, longest) {
		conn, err := db.attempt(wait, pool, statement)
		switch {
		case err == nil:
			return conn, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case wait.Err() != nil:
			return nil, ErrBusy
		case !errors.Is(err, sqlite3.BUSY) && !errors.Is(err, sqlite3.PROTOCOL):
			return nil, err
		}
		timer := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-timer.C:
		case <-wait.Done():
			timer.Stop()
		}
	}
}

// attempt asks once. SQLite itself may wait for some ten seconds in a way that nothing
// ends, if it finds a process stopped while it marks how far it reads. So it is asked by
// a goroutine, which is left to finish on its own if ctx is over before.
func (db *DB) attempt(ctx context.Context, pool *sql.DB, statement string) (*sql.Conn, error) {
	type answer struct {
		conn *sql.Conn
		err  error
	}
	answers := make(chan answer) // without a buffer: it is taken, or it is undone
	open := db.start(func() {
		conn, err := pool.Conn(ctx)
		if err == nil {
			if _, err = conn.ExecContext(ctx, statement); err != nil {
				end(ctx, conn) // the statement may have begun before it failed
			}
		}
		select {
		case answers <- answer{conn, err}:
		case <-ctx.Done():
			if err == nil {
				end(ctx, conn)
			}
		}
	})
	if !open {
		return nil, ErrClosed
	}
	select {
	case a := <-answers:
		return a.conn, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// start runs fn in a goroutine that Close waits for; false if the store is closed.
func (db *DB) start(fn func()) bool {
	db.mu.Lock()
	defer db.mu.Unlock()
	if !db.closed {
		db.begun.Go(fn)
	}
	return !db.closed
}

// end undoes a transaction that is not committed and gives its connection back.
func end(ctx context.Context, conn *sql.Conn) {
	// The caller's leaving must not interrupt this.
	if _, err := conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK"); err != nil {
		// SQLite undid it by itself, or the connection is of no more use: a new one is cheap.
		conn.Raw(func(any) error { return driver.ErrBadConn })
	}
	conn.Close()
}
