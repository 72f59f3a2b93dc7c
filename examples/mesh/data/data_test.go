package data

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"buf.build/go/protovalidate"

	"github.com/evenkeel/evenkeel/examples/mesh/internal/store"
	moviev1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/movie/v1"
)

func loaded(t *testing.T) films {
	t.Helper()
	all, err := load(table)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestAllFilmsAreThereAndWithinTheRulesOfTheProto(t *testing.T) {
	all := loaded(t)
	if len(all.movies) != 3201 || len(all.productions) != 173 || len(all.people) != 550 {
		t.Errorf("%d movies, %d productions, %d people", len(all.movies), len(all.productions), len(all.people))
	}
	untitled := 0
	for i, m := range all.movies {
		if err := protovalidate.Validate(m); err != nil {
			t.Errorf("movie %d: %v", i+1, err)
		}
		if m.Title == nil {
			untitled++
		}
		if m.Year != nil && (*m.Year < 1915 || *m.Year > 2011) {
			t.Errorf("%s is of %d", m.GetTitle(), *m.Year)
		}
		if m.GrossUsd != nil && *m.GrossUsd == 0 {
			t.Errorf("%s has a gross of 0", m.GetTitle())
		}
		for _, text := range []string{m.GetTitle(), m.GetGenre(), m.GetMpaaRating()} {
			if text != strings.TrimSpace(text) || strings.Contains(text, "Unknown") && text != "The Young Unknowns" {
				t.Errorf("movie %d has a %q", i+1, text)
			}
		}
	}
	if untitled != 1 {
		t.Errorf("%d movies without a title", untitled)
	}
}

func TestWhatWasCleanedIsRight(t *testing.T) {
	byTitle := make(map[string]*moviev1.Movie)
	for _, m := range loaded(t).movies {
		byTitle[m.GetTitle()] = m
	}
	for title, year := range map[string]int32{"Gone with the Wind": 1939, "300": 2007, "Déjà Vu": 2006, "Das Boot": 1982} {
		if m := byTitle[title]; m == nil || m.GetYear() != year {
			t.Errorf("%s: %v, want the year %d", title, m, year)
		}
	}
	if m := byTitle["Drei"]; m.Year != nil || m.GrossUsd != nil || m.Distributor != nil || m.Genre != nil {
		t.Errorf("more is known of Drei than the source knows: %v", m)
	}
}

func TestReferencesNameWhatTheTableSays(t *testing.T) {
	all := loaded(t)
	first := all.movies[0]
	if first.GetTitle() != "The Land Girls" || first.Director != nil {
		t.Fatalf("movies/1 is %v", first)
	}
	var i int
	for j, p := range all.productions {
		if p.DisplayName == "Gramercy" {
			i = j + 1
		}
		if j > 0 && p.DisplayName <= all.productions[j-1].DisplayName {
			t.Errorf("productions/%d is out of order", j+1)
		}
	}
	if want := "productions/" + strconv.Itoa(i); first.GetDistributor() != want {
		t.Errorf("movies/1 is distributed by %s, want %s", first.GetDistributor(), want)
	}
}

func TestSeedAllMakesTheStoresOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "stores")
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if err := SeedAll(t.Context(), dir); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 3 {
		t.Fatalf("%v, %v", files, err)
	}
	count := func() (n int) {
		db, err := store.Open(t.Context(), filepath.Join(dir, "movie.db"))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		err = db.Read(t.Context(), func(tx store.Querier) error {
			return tx.QueryRowContext(t.Context(), "SELECT count(*) FROM movies").Scan(&n)
		})
		if err != nil {
			t.Fatal(err)
		}
		err = db.Write(t.Context(), func(tx *store.Tx) error { return tx.Exec("DELETE FROM movies WHERE id = 1") })
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := count(); n != 3201 {
		t.Errorf("%d movies", n)
	}
	// What was written since stays.
	if err := SeedAll(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if n := count(); n != 3200 {
		t.Errorf("%d movies after seeding again", n)
	}
}

func TestSeedingStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	if err := SeedAll(ctx, dir); err == nil {
		t.Error("no error")
	}
	if files, _ := os.ReadDir(dir); len(files) != 0 {
		t.Errorf("left behind: %v", files)
	}
}
