package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evenkeel/evenkeel/internal/leaktest"
)

const testSchema = `CREATE TABLE entries (id INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT) STRICT;`

func create(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a file#1.db")
	err := Create(t.Context(), path, testSchema, func(tx *Tx) error {
		return tx.Exec("INSERT INTO entries (text) VALUES ('first')")
	})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t testing.TB, path string, opts ...Option) *DB {
	t.Helper()
	db, err := Open(context.Background(), path, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// add writes one entry and the change that it is.
func add(ctx context.Context, db *DB, text string) error {
	return db.Write(ctx, func(tx *Tx) error {
		if _, err := tx.NextChange(); err != nil {
			return err
		}
		if err := tx.Exec("INSERT INTO entries (text) VALUES (?)", text); err != nil {
			return err
		}
		return tx.Record(1, []byte(text))
	})
}

func entries(t testing.TB, db *DB) (texts []string) {
	t.Helper()
	err := db.Read(t.Context(), func(tx Querier) error {
		rows, err := tx.QueryContext(t.Context(), "SELECT text FROM entries ORDER BY id")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var text string
			if err := rows.Scan(&text); err != nil {
				return err
			}
			texts = append(texts, text)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

func TestWhatIsWrittenIsReadByEveryOpenStore(t *testing.T) {
	path := create(t)
	one, two := open(t, path), open(t, path)
	if err := add(t.Context(), one, "second"); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(entries(t, two), " "); got != "first second" {
		t.Errorf("the other store reads %q", got)
	}
}

func TestAFailedWriteLeavesNothing(t *testing.T) {
	db := open(t, create(t))
	wrong := errors.New("wrong")
	err := db.Write(t.Context(), func(tx *Tx) error {
		if err := tx.Exec("INSERT INTO entries (text) VALUES ('x')"); err != nil {
			return err
		}
		return wrong
	})
	if !errors.Is(err, wrong) {
		t.Fatalf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = db.Write(ctx, func(tx *Tx) error {
		defer cancel() // as if the caller had gone while this process was frozen
		return tx.Exec("INSERT INTO entries (text) VALUES ('y')")
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if err := db.Write(t.Context(), func(tx *Tx) error { return tx.Exec("INSERT INTO nowhere VALUES (1)") }); err == nil {
		t.Fatal("a wrong statement was accepted")
	}
	if err := add(t.Context(), db, "second"); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(entries(t, db), " "); got != "first second" {
		t.Errorf("read %q", got)
	}
}

func TestReadersCannotWrite(t *testing.T) {
	db := open(t, create(t))
	err := db.Read(t.Context(), func(tx Querier) error {
		rows, err := tx.QueryContext(t.Context(), "INSERT INTO entries (text) VALUES ('x') RETURNING id")
		if err == nil {
			rows.Next()
			err = errors.Join(rows.Err(), rows.Close())
		}
		return err
	})
	if err == nil {
		t.Error("a read connection wrote")
	}
}

func TestAReadSeesOneState(t *testing.T) {
	db := open(t, create(t))
	err := db.Read(t.Context(), func(tx Querier) error {
		var before, after int
		if err := tx.QueryRowContext(t.Context(), "SELECT count(*) FROM entries").Scan(&before); err != nil {
			return err
		}
		if err := add(t.Context(), db, "meanwhile"); err != nil {
			return err
		}
		if err := tx.QueryRowContext(t.Context(), "SELECT count(*) FROM entries").Scan(&after); err != nil {
			return err
		}
		if before != after {
			t.Errorf("%d entries became %d in one read", before, after)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAWriteWaitsNoLongerThanItsCaller(t *testing.T) {
	path := create(t)
	holder, db := open(t, path), open(t, path)
	release, held := make(chan struct{}), make(chan struct{})
	var holding, wg sync.WaitGroup
	holding.Go(func() {
		holder.Write(context.Background(), func(*Tx) error { close(held); <-release; return nil })
	})
	<-held
	defer holding.Wait()
	defer close(release)

	for range 2 { // one waits for the lock, one behind it in this store's own queue
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
			defer cancel()
			if err := add(ctx, db, "late"); !errors.Is(err, ErrBusy) {
				t.Errorf("got %v, want ErrBusy", err)
			}
			if ctx.Err() != nil {
				t.Error("the answer came after the deadline")
			}
		})
	}
	wg.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := add(ctx, db, "gone"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v for a caller that has left", err)
	}
	entries(t, db) // reads go on
	late := open(t, path)
	entries(t, late) // also in a process that starts only now
}

func TestAWriteWithoutADeadlineIsBoundedToo(t *testing.T) {
	for _, test := range []struct{ deadline, want time.Duration }{
		{0, MaxWait},
		{time.Hour, MaxWait},
		{2 * time.Second, 1600 * time.Millisecond},
		{100 * time.Millisecond, 80 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx := t.Context()
			if test.deadline > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, test.deadline)
				defer cancel()
			}
			if got := waitOf(ctx); got != test.want {
				t.Errorf("with %v to go a write waits %v, want %v", test.deadline, got, test.want)
			}
		})
	}
}

func TestChangesComeInOrderFromWhicheverStore(t *testing.T) {
	leaktest.Check(t)
	path := create(t)
	one, two := open(t, path), open(t, path)
	const each = 100
	var wg sync.WaitGroup
	for _, db := range []*DB{one, two} {
		wg.Go(func() {
			for range each {
				if err := add(t.Context(), db, "x"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	var last int64
	for change, err := range two.Changes(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if change.Seq != last+1 {
			t.Fatalf("change %d came behind %d", change.Seq, last)
		}
		if last = change.Seq; last == 2*each {
			break
		}
	}
	wg.Wait()
	for change, err := range one.Changes(t.Context(), 150) {
		if err != nil || change.Seq != 151 || string(change.Resource) != "x" || change.Type != 1 {
			t.Errorf("resumed at %+v, %v", change, err)
		}
		break
	}
}

func TestAWatcherOfForgottenChangesIsTold(t *testing.T) {
	db := open(t, create(t), WithHistory(5))
	for range 8 {
		if err := add(t.Context(), db, "x"); err != nil {
			t.Fatal(err)
		}
	}
	for after, want := range map[int64]error{2: ErrTooOld, 3: nil, 7: nil, 9: ErrTooOld} {
		for _, err := range db.Changes(t.Context(), after) {
			if !errors.Is(err, want) {
				t.Errorf("changes behind %d: %v, want %v", after, err, want)
			}
			break
		}
	}
}

func TestNobodyPollsWithoutAWatcher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		polls := 0
		h := newHub(func(context.Context) (int64, error) { polls++; return 0, nil })
		time.Sleep(time.Hour)
		if polls != 0 {
			t.Errorf("%d polls before anybody watched", polls)
		}
		leave, leaveToo := h.join(), h.join()
		time.Sleep(10*pollInterval + 1)
		leaveToo()
		if polls != 10 {
			t.Errorf("%d polls in 10 intervals", polls)
		}
		leave()
		time.Sleep(time.Hour)
		if polls != 10 {
			t.Errorf("%d polls after the last watcher had left", polls-10)
		}
		h.close()
	})
}

func TestClosingEndsTheWatchers(t *testing.T) {
	leaktest.Check(t)
	db := open(t, create(t))
	done := make(chan error)
	go func() {
		for _, err := range db.Changes(t.Context(), 0) {
			done <- err
		}
		close(done)
	}()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Errorf("the watcher got %v", err)
	}
	<-done
	if err := add(t.Context(), db, "late"); !errors.Is(err, ErrClosed) {
		t.Errorf("a write: %v", err)
	}
	if err := db.Read(t.Context(), func(Querier) error { return nil }); !errors.Is(err, ErrClosed) {
		t.Errorf("a read: %v", err)
	}
}

func TestCreateIsAllOrNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.db")
	err := Create(t.Context(), path, testSchema, func(tx *Tx) error { return errors.New("no") })
	if err == nil {
		t.Fatal("no error")
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if _, err := Open(t.Context(), path); err == nil || !strings.Contains(err.Error(), "seed it first") {
		t.Errorf("opened what is not there: %v", err)
	}
}

func TestCreateTogetherMakesOneStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			err := Create(t.Context(), path, testSchema, func(tx *Tx) error {
				return tx.Exec("INSERT INTO entries (text) VALUES ('first')")
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := entries(t, open(t, path)); len(got) != 1 {
		t.Errorf("entries %q", got)
	}
	if left, _ := filepath.Glob(path + ".tmp*"); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestAFileOfAnotherKindIsRefused(t *testing.T) {
	path := create(t)
	err := Create(t.Context(), path, "CREATE TABLE other (x);", func(*Tx) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "another version") {
		t.Errorf("another schema: %v", err)
	}
	if err := os.WriteFile(path+"2", []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), path+"2"); err == nil {
		t.Error("a file that is no database was opened")
	}
	if err := os.WriteFile(path+"3", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), path+"3"); err == nil || !strings.Contains(err.Error(), "no store") {
		t.Errorf("an empty file: %v", err)
	}
}

func TestContainsFoldIgnoresCaseInAnyScript(t *testing.T) {
	db := open(t, create(t))
	for query, want := range map[string]bool{
		"SELECT contains_fold('Le Fabuleux Destin d''AMÉLIE', 'amélie')": true,
		"SELECT contains_fold('Alien', 'x')":                             false,
		"SELECT contains_fold(NULL, 'x') IS NULL":                        true,
	} {
		var got bool
		err := db.Read(t.Context(), func(tx Querier) error { return tx.QueryRowContext(t.Context(), query).Scan(&got) })
		if err != nil || got != want {
			t.Errorf("%s is %v, %v", query, got, err)
		}
	}
}
