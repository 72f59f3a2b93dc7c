// Package store keeps the resources of one service in one SQLite file that the
// processes of all its replicas share.
//
//	err := store.Create(ctx, "movie.db", schema, fill) // once, before the replicas start
//	db, err := store.Open(ctx, "movie.db")             // in each replica
//	err = db.Read(ctx, func(tx store.Querier) error { … }) // one state of the store
//	err = db.Write(ctx, func(tx *store.Tx) error { … })
//	for change, err := range db.Changes(ctx, after) { … }
//
// The file is in WAL mode, so readers do not wait for a writer, and the lock of a
// process that is killed goes with it. What is committed stays, whichever process
// is killed at whatever moment; a power failure may take the last moments
// (synchronous=NORMAL), which is enough for an example.
//
// A write waits for the write lock for at most [MaxWait] and gives up before its
// caller's deadline, so that the caller still hears of it: [ErrBusy]. A process that is
// frozen while it holds the lock therefore costs writes, and no reads. There is one
// exception, which is SQLite's own: the first read after a write marks how far it reads,
// and for the microsecond that this takes it keeps others from reading as far. A process
// that is frozen in just that microsecond holds up reads too; they fail in the same way
// and time as writes.
//
// Every write is also a numbered change in a history of bounded length, which is
// how a watcher at one replica learns of writes made through any other.
//
// Sources: https://sqlite.org/wal.html, https://sqlite.org/walformat.html,
// https://github.com/ncruces/go-sqlite3/tree/main/vfs (locks in pure Go).
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/ncruces/go-sqlite3/driver"
)

// What the package reports besides SQLite's own errors; to be told with errors.Is.
var (
	// ErrBusy is returned by what could not begin in time, because another process held
	// the lock that it takes. Nothing was read or written.
	ErrBusy = errors.New("store: another process holds the lock")
	// ErrClosed is returned by whatever is done with a store that is closed, and ends
	// the watchers of one that lets them go.
	ErrClosed = errors.New("store: closed")
	// ErrTooOld is returned for changes that are no longer in the history.
	ErrTooOld = errors.New("store: the changes are no longer kept")
)

// Read connections: as many as can be of use, since reading takes a processor.
const maxReaders = 4

// Each connection has a page cache of its own, which is allocated as it fills. This
// holds the whole of the largest file as it is when it is new.
const cacheKiB = 1024

// DB is an open store. Its methods may be called by many goroutines at once.
type DB struct {
	path    string
	readers *sql.DB
	writer  *sql.DB // one connection, which is also the queue of this process's writers
	secret  []byte
	hub     *hub
	history int64

	mu     sync.Mutex // guards closed, and begun against beginning when it is
	closed bool
	begun  sync.WaitGroup // attempts to begin a transaction
}

// Option changes how [Open] opens a store.
type Option func(*DB)

// WithHistory keeps n changes for watchers; the default is 10,000.
func WithHistory(n int64) Option { return func(db *DB) { db.history = n } }

// Open opens the store that [Create] made at path. It writes nothing, so that it
// succeeds while another process holds the write lock.
func Open(ctx context.Context, path string, opts ...Option) (*DB, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("store: %w: seed it first", err)
	}
	db := &DB{path: path, history: 10_000}
	for _, opt := range opts {
		opt(db)
	}
	var err error
	if db.readers, err = openPool(path, "ro", "query_only(true)"); err != nil {
		return nil, fmt.Errorf("store: open %s: %w", path, err)
	}
	db.readers.SetMaxOpenConns(maxReaders)
	db.readers.SetMaxIdleConns(maxReaders)
	if db.writer, err = openPool(path, "rw", "synchronous(NORMAL)", "journal_size_limit(4194304)"); err != nil {
		return nil, errors.Join(fmt.Errorf("store: open %s: %w", path, err), db.readers.Close())
	}
	db.writer.SetMaxOpenConns(1)
	if err := db.readMeta(ctx); err != nil {
		return nil, errors.Join(err, db.readers.Close(), db.writer.Close())
	}
	db.hub = newHub(db.Head)
	return db, nil
}

// Path is the file's.
func (db *DB) Path() string { return db.path }

// Secret is a random key that all processes with this file share, and nobody else.
func (db *DB) Secret() []byte { return db.secret }

// Close ends the watchers with [ErrClosed] and closes the file once the reads and
// writes that are under way have finished; later ones fail with [ErrClosed].
func (db *DB) Close() error {
	db.mu.Lock()
	db.closed = true
	db.mu.Unlock()
	db.hub.close()
	err := errors.Join(db.readers.Close(), db.writer.Close())
	db.begun.Wait()
	return err
}

func (db *DB) readMeta(ctx context.Context) error {
	var layout int
	err := db.Read(ctx, func(tx Querier) error {
		if err := tx.QueryRowContext(ctx, "PRAGMA application_id").Scan(&layout); err != nil || layout != applicationID {
			return err
		}
		return tx.QueryRowContext(ctx, "SELECT secret FROM meta").Scan(&db.secret)
	})
	if err != nil {
		return fmt.Errorf("store: open %s: %w", db.path, err)
	}
	if layout != applicationID {
		return notOurs(db.path)
	}
	return nil
}

// openPool prepares connections to a file; SQLite opens it at first use. Without a
// pragma for it there is no busy timeout: begin waits in a way that a context can end.
func openPool(path, mode string, pragmas ...string) (*sql.DB, error) {
	pragmas = append(pragmas, fmt.Sprintf("cache_size(-%d)", cacheKiB))
	query := url.Values{"mode": {mode}, "_pragma": pragmas}
	return driver.Open(fileURI(path)+"?"+query.Encode(), addFunctions)
}

// fileURI is https://sqlite.org/uri.html's form of a path.
func fileURI(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	slashed := filepath.ToSlash(path)
	if runtime.GOOS == "windows" {
		slashed = "/" + slashed
	}
	return (&url.URL{Scheme: "file", Path: slashed}).String()
}

// logger is where the package reports what no caller can be told.
func logger() *slog.Logger { return slog.Default().With("component", "store") }

// StopWatchers ends the watchers with [ErrClosed], now and from now on; reads and
// writes go on. It is how a replica that drains lets its streams go.
func (db *DB) StopWatchers() { db.hub.close() }
