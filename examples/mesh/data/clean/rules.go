package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/encoding/charmap"
)

// rule is one thing that is wrong in the table, in one way, and what is done about it.
type rule struct {
	name string
	why  string
	// apply changes films and returns a line for each value that it changed or found.
	apply func(films []*film) []string
}

// each applies a function to one film after the other; a line that is empty says that
// there was nothing to do.
func each(fn func(*film) string) func([]*film) []string {
	return func(films []*film) (lines []string) {
		for _, f := range films {
			if line := fn(f); line != "" {
				lines = append(lines, line)
			}
		}
		return lines
	}
}

// The table was compiled in 2010: its latest films are two that were announced for 2011.
const latestYear = 2011

// rules in the order in which they are applied.
var rules = []rule{
	{"titles that are numbers",
		"A title of digits only is a number in the JSON. It is the same title as text.",
		each(numericTitle)},
	{"titles that are missing",
		"Nothing in the row says what the film is called. It stays, with its title unset.",
		each(missingTitle)},
	{"titles in the wrong encoding",
		"They were written in Windows-1252 and read as Mac OS Roman, which turns é into È and so on.\nThe way back is exact. A title that it does not fit, as Alien³, is left alone.",
		each(wrongEncoding)},
	{"titles with runs of spaces",
		"They become single ones.",
		each(spaces)},
	{"titles with the article at the end",
		"Most titles begin with theirs (The Alamo); these are brought into line.",
		each(trailingArticle)},
	{"years a century late",
		fmt.Sprintf("Two digits of a year were taken for 20xx. No film here is from after %d, and the films in\nquestion are from 1915 to 1946; where a title has the year in it, it is the one 100 years before.", latestYear),
		each(centuryLate)},
	{"release dates that stand for none",
		"Dec 31 1969 is second 0 of Unix time in the western hemisphere: no date at all. The year is\nunset, as it is where the date cannot be read.",
		each(epochDate)},
	{"years that may be one early (left as they are)",
		"Dec 31 is mostly Jan 1 of the next year, moved by a time zone, where only the year was known\n(Casablanca: Dec 31 1941); but some films did open on Dec 31. The table does not tell which.",
		each(newYearsEve)},
	{"grosses of 0",
		"0 is written where no figure is known, also for films that were a success.",
		each(zeroGross)},
	{"ratings that are none",
		"Open is no rating of the Motion Picture Association.",
		each(openRating)},
	{"distributors that say they are unknown",
		"Unknown is unset.",
		each(unknownDistributor)},
	{"names with doubled quotes",
		"They are left over from a CSV file.",
		each(doubledQuotes)},
	{"numbers out of range",
		"A running time of 1 to 1000 minutes, a rating of 1 to 10, and nothing negative; else unset.",
		each(outOfRange)},
	{"names spelled in more than one way",
		"Distributors and directors that differ in case or spaces only are one, in the spelling that comes first.",
		func(films []*film) []string {
			return append(
				unify(films, func(f *film) *string { return &f.Distributor }),
				unify(films, func(f *film) *string { return &f.Director })...)
		}},
	{"films that are there twice (left as they are)",
		"Films of one title and year. Those of one title and different years are remakes.",
		duplicates},
}

func numericTitle(f *film) string {
	n, ok := f.Title.(float64)
	if !ok {
		return ""
	}
	f.title = strconv.FormatFloat(n, 'f', -1, 64)
	f.Title = f.title
	return f.title
}

func missingTitle(f *film) string {
	if title, ok := f.Title.(string); ok && strings.TrimSpace(title) != "" {
		f.title = title
		return ""
	}
	return fmt.Sprintf("the film of %s, %s", f.Distributor, f.Date)
}

func wrongEncoding(f *film) string {
	bytes, err := charmap.Macintosh.NewEncoder().String(f.title)
	if err != nil {
		return ""
	}
	right, err := charmap.Windows1252.NewDecoder().String(bytes)
	if err != nil || right == f.title || strings.ContainsRune(right, '\uFFFD') {
		return ""
	}
	return change(&f.title, right)
}

func spaces(f *film) string { return change(&f.title, strings.Join(strings.Fields(f.title), " ")) }

func trailingArticle(f *film) string {
	for _, article := range []string{"The", "Das", "Les"} {
		if rest, ok := strings.CutSuffix(f.title, ", "+article); ok {
			return change(&f.title, article+" "+rest)
		}
	}
	return ""
}

func centuryLate(f *film) string {
	date, err := time.Parse("Jan 02 2006", f.Date)
	if err != nil {
		return "" // left to epochDate to report
	}
	f.year = date.Year()
	if f.year <= latestYear {
		return ""
	}
	f.year -= 100
	return fmt.Sprintf("%s: %d is %d", f.title, f.year+100, f.year)
}

const epoch = "Dec 31 1969"

func epochDate(f *film) string {
	if f.Date != epoch && f.year != 0 {
		return ""
	}
	f.year = 0
	return fmt.Sprintf("%s: %s", f.title, f.Date)
}

func newYearsEve(f *film) string {
	if !strings.HasPrefix(f.Date, "Dec 31 ") || f.Date == epoch {
		return ""
	}
	return fmt.Sprintf("%s: %d", f.title, f.year)
}

func zeroGross(f *film) string {
	if f.Gross == nil || *f.Gross != 0 {
		return ""
	}
	f.Gross = nil
	return f.title
}

func openRating(f *film) string {
	if f.MPAARating != "Open" {
		return ""
	}
	f.MPAARating = ""
	return f.title
}

func unknownDistributor(f *film) string {
	if f.Distributor != "Distributor Unknown" {
		return ""
	}
	f.Distributor = ""
	return f.title
}

func doubledQuotes(f *film) string {
	return change(&f.Director, strings.ReplaceAll(f.Director, `""`, `"`))
}

func outOfRange(f *film) string {
	var found []string
	drop := func(name string, n **int64, least, most int64) {
		if *n != nil && (**n < least || **n > most) {
			found = append(found, fmt.Sprintf("%s %d", name, **n))
			*n = nil
		}
	}
	const most = 1 << 62
	drop("running time", &f.RunningTime, 1, 1000)
	drop("votes", &f.IMDBVotes, 0, most)
	drop("budget", &f.Budget, 0, most)
	drop("gross", &f.Gross, 0, most)
	if r := f.IMDBRating; r != nil && (*r < 1 || *r > 10) {
		found = append(found, fmt.Sprintf("rating %v", *r))
		f.IMDBRating = nil
	}
	if found == nil {
		return ""
	}
	return f.title + ": " + strings.Join(found, ", ")
}

// unify gives names that differ in case or spaces only the spelling of the first.
func unify(films []*film, name func(*film) *string) (lines []string) {
	first := make(map[string]string)
	for _, f := range films {
		n := name(f)
		key := strings.ToLower(strings.Join(strings.Fields(*n), " "))
		if _, ok := first[key]; !ok {
			first[key] = strings.Join(strings.Fields(*n), " ")
		}
		if line := change(n, first[key]); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

func duplicates(films []*film) (lines []string) {
	type key struct {
		title string
		year  int
	}
	seen := make(map[key]bool)
	for _, f := range films {
		k := key{strings.ToLower(f.title), f.year}
		if seen[k] && f.title != "" && f.year != 0 {
			lines = append(lines, fmt.Sprintf("%s: %d", f.title, f.year))
		}
		seen[k] = true
	}
	slices.Sort(lines)
	return lines
}

// change sets a text and returns the line that says so.
func change(text *string, to string) string {
	if *text == to {
		return ""
	}
	line := fmt.Sprintf("%s is %s", *text, to)
	*text = to
	return line
}
