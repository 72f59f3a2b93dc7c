package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ncruces/go-sqlite3"
)

// stuck is a database whose BEGIN waits, as SQLite's own sleeps do, whatever becomes of
// the context. It keeps what it was told.
type stuck struct {
	driver.Conn
	release chan struct{}

	mu   sync.Mutex
	told []string
}

func (s *stuck) tell(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = append(s.told, what)
}

func (s *stuck) Connect(context.Context) (driver.Conn, error) { return s, nil }
func (s *stuck) Driver() driver.Driver                        { return nil }
func (s *stuck) Close() error                                 { s.tell("close"); return nil }
func (s *stuck) ExecContext(_ context.Context, query string, _ []driver.NamedValue) (driver.Result, error) {
	s.tell(query)
	<-s.release
	return driver.ResultNoRows, nil
}

func TestABeginThatNothingEndsIsLeftBehindAndUndone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stuck{release: make(chan struct{})}
		db := &DB{readers: sql.OpenDB(s), writer: sql.OpenDB(s), hub: newHub(nil)}
		db.writer.SetMaxOpenConns(1)
		start := time.Now()
		if _, err := db.begin(t.Context(), db.writer, "BEGIN"); !errors.Is(err, ErrBusy) {
			t.Errorf("got %v", err)
		}
		if waited := time.Since(start); waited != MaxWait {
			t.Errorf("waited %v", waited)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() { time.Sleep(time.Millisecond); cancel() }()
		if _, err := db.begin(ctx, db.writer, "BEGIN"); !errors.Is(err, context.Canceled) {
			t.Errorf("a caller that left got %v", err)
		}
		go func() { time.Sleep(time.Second); close(s.release) }()
		if err := db.Close(); err != nil { // waits for what was left behind
			t.Error(err)
		}
		if last := s.told[len(s.told)-2:]; last[0] != "ROLLBACK" || last[1] != "close" {
			t.Errorf("it was told %q", s.told)
		}
		if _, err := db.begin(t.Context(), db.writer, "BEGIN"); !errors.Is(err, ErrClosed) {
			t.Errorf("got %v", err)
		}
	})
}

// grudging has its lock taken for the first few attempts.
type grudging struct {
	stuck
	errs []error
}

func (g *grudging) Connect(context.Context) (driver.Conn, error) { return g, nil }
func (g *grudging) ExecContext(_ context.Context, query string, _ []driver.NamedValue) (driver.Result, error) {
	if query != "BEGIN" || len(g.errs) == 0 {
		return driver.ResultNoRows, nil
	}
	err := g.errs[0]
	g.errs = g.errs[1:]
	return nil, err
}

func TestABusyFileIsAskedAgainAndAWrongOneIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &grudging{errs: []error{sqlite3.BUSY, sqlite3.BUSY_RECOVERY, sqlite3.PROTOCOL, nil, sqlite3.CORRUPT}}
		db := &DB{readers: sql.OpenDB(g), writer: sql.OpenDB(g), hub: newHub(nil)}
		defer db.Close()
		conn, err := db.begin(t.Context(), db.writer, "BEGIN")
		if err != nil {
			t.Fatal(err)
		}
		end(t.Context(), conn)
		if len(g.errs) != 1 {
			t.Errorf("%d answers are left", len(g.errs))
		}
		if _, err := db.begin(t.Context(), db.writer, "BEGIN"); !errors.Is(err, sqlite3.CORRUPT) {
			t.Errorf("got %v", err)
		}
	})
}
