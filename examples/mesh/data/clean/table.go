package main

import (
	"crypto/sha256"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// film is a row of the table as it comes. Columns that the mesh does not use are left
// out: US Gross, US DVD Sales, Source, Creative Type, Rotten Tomatoes Rating.
type film struct {
	Title       any      `json:"Title"` // a string, a number or null
	Gross       *int64   `json:"Worldwide Gross"`
	Budget      *int64   `json:"Production Budget"`
	Date        string   `json:"Release Date"`
	MPAARating  string   `json:"MPAA Rating"`
	RunningTime *int64   `json:"Running Time min"`
	Distributor string   `json:"Distributor"`
	Genre       string   `json:"Major Genre"`
	Director    string   `json:"Director"`
	IMDBRating  *float64 `json:"IMDB Rating"`
	IMDBVotes   *int64   `json:"IMDB Votes"`

	// What the rules make of it. An empty string is a title that is not known, a 0 a year.
	title string
	year  int
}

// header names the columns as the fields of the mesh's Movie are named.
var header = []string{"title", "year", "genre", "running_time_minutes", "mpaa_rating", "imdb_rating",
	"imdb_votes", "budget_usd", "gross_usd", "distributor", "director"}

// record is a film as a line of the CSV; what is not known is empty.
func (f *film) record() []string {
	year := ""
	if f.year != 0 {
		year = strconv.Itoa(f.year)
	}
	rating := ""
	if f.IMDBRating != nil {
		rating = strconv.FormatFloat(*f.IMDBRating, 'f', -1, 64)
	}
	return []string{f.title, year, f.Genre, number(f.RunningTime), f.MPAARating, rating,
		number(f.IMDBVotes), number(f.Budget), number(f.Gross), f.Distributor, f.Director}
}

func number(n *int64) string {
	if n == nil {
		return ""
	}
	return strconv.FormatInt(*n, 10)
}

// clean reads the table, applies the rules in their order, and writes the result and
// the report.
func clean(input []byte, table, report io.Writer) error {
	var films []*film
	if err := json.Unmarshal(input, &films); err != nil {
		return err
	}
	var all strings.Builder
	for _, r := range rules {
		changes := r.apply(films)
		fmt.Fprintf(&all, "\n%s: %d\n", r.name, len(changes))
		for line := range strings.SplitSeq(r.why, "\n") {
			fmt.Fprintf(&all, "  %s\n", strings.TrimSpace(line))
		}
		for _, c := range changes {
			fmt.Fprintf(&all, "    %s\n", c)
		}
	}
	w := csv.NewWriter(table)
	if err := w.Write(header); err != nil {
		return err
	}
	for _, f := range films {
		if err := w.Write(f.record()); err != nil {
			return err
		}
	}
	w.Flush()
	if err := w.Error(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(report, "input: %d films, sha256 %x\noutput: %d films\n%s\n%s",
		len(films), sha256.Sum256(input), len(films), all.String(), known(films))
	return err
}

// known counts, for each column, the films of which it is known.
func known(films []*film) string {
	counts := make([]int, len(header))
	for _, f := range films {
		for i, value := range f.record() {
			if value != "" {
				counts[i]++
			}
		}
	}
	var b strings.Builder
	b.WriteString("known of so many films:\n")
	for i, name := range header {
		fmt.Fprintf(&b, "  %-20s %4d\n", name, counts[i])
	}
	return b.String()
}
