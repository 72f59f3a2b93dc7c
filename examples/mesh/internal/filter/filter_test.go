package filter

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/examples/mesh/internal/store"
)

var schema = NewSchema(
	Field{"id", Int, "id"},
	Field{"title", String, "title"},
	Field{"running_time", Int, "running_time"},
	Field{"rating", Float, "rating"},
	Field{"update_time", Time, "update_time"},
	Field{"audience.average", Float, "(total * 1.0 / votes)"},
)

const tables = `CREATE TABLE films (id INTEGER PRIMARY KEY, title TEXT, running_time INTEGER, rating REAL,
	update_time INTEGER, total INTEGER, votes INTEGER) STRICT;`

// film is a row; a nil field is not set.
type film map[string]any

var day = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

var films = []film{
	{"id": 1, "title": "Alien", "running_time": 117, "rating": 8.5, "update_time": day.UnixMicro()},
	{"id": 2, "title": "Aliens", "running_time": 137, "rating": 8.5, "total": 9, "votes": 2},
	{"id": 3, "title": "M*A*S*H", "running_time": 116, "rating": nil},
	{"id": 4, "title": "Le Fabuleux destin d'Amélie Poulain", "rating": 8.0},
	{"id": 5, "title": "9", "running_time": 79, "rating": 7.8},
	{"id": 6, "running_time": 85},
	{"id": 7, "title": `Say "Hi" \ bye`, "rating": 5.5},
}

func fill(t testing.TB) *store.DB {
	t.Helper()
	path := filepath.Join(t.TempDir(), "films.db")
	err := store.Create(context.Background(), path, tables, func(tx *store.Tx) error {
		for _, f := range films {
			err := tx.Exec("INSERT INTO films VALUES (?, ?, ?, ?, ?, ?, ?)",
				f["id"], f["title"], f["running_time"], f["rating"], f["update_time"], f["total"], f["votes"])
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// find is the ids of the films that match.
func find(t testing.TB, db *store.DB, text string) []int {
	t.Helper()
	where, err := schema.Filter(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	var ids []int
	err = db.Read(context.Background(), func(tx store.Querier) error {
		rows, err := tx.QueryContext(context.Background(), "SELECT id FROM films"+where.Where()+" ORDER BY id", where.Args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id int
			if err := rows.Scan(&id); err != nil {
				return err
			}
			ids = append(ids, id)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatalf("%s: %s: %v", text, where.SQL, err)
	}
	return ids
}

func TestFiltersFindWhatTheyDescribe(t *testing.T) {
	db := fill(t)
	for _, test := range []struct {
		filter string
		want   []int
	}{
		{``, []int{1, 2, 3, 4, 5, 6, 7}},
		{`  `, []int{1, 2, 3, 4, 5, 6, 7}},
		{`title = "Alien"`, []int{1}},
		{`title = Alien`, []int{1}},
		{`title='alien'`, nil},
		{`title = "Alien*"`, []int{1, 2}},
		{`title = Alien*`, []int{1, 2}},
		{`title = "*ens"`, []int{2}},
		{`title = "*lie*"`, []int{1, 2, 4}},
		{`title = "*A much longer value than any title of them all"`, nil},
		{`title != "Alien*"`, []int{3, 4, 5, 7}},
		{`title != "*H"`, []int{1, 2, 4, 5, 7}},
		{`title = "*"`, []int{1, 2, 3, 4, 5, 7}},
		{`title = "M\*A\*S\*H"`, []int{3}},
		{`title = "M\**"`, []int{3}},
		{`title : ALIEN`, []int{1, 2}},
		{`title : "AMÉLIE"`, []int{4}},
		{`title : "\*a\*"`, []int{3}},
		{`title = "9"`, []int{5}},
		{`title = 9`, []int{5}},
		{`title = "Say \"Hi\" \\ bye"`, []int{7}},
		{`title = 'Say "Hi" \\ bye'`, []int{7}},
		{`title:*`, []int{1, 2, 3, 4, 5, 7}},
		{`NOT title:*`, []int{6}},
		{`-title:*`, []int{6}},
		{`-(title:* OR id = 6)`, nil},
		{`title < "B"`, []int{1, 2, 5}},
		{`title >= "M"`, []int{3, 7}},
		{`running_time > 116`, []int{1, 2}},
		{`runningTime > 116`, []int{1, 2}},
		{`running_time >= 116 running_time <= 117`, []int{1, 3}},
		{`running_time > -5`, []int{1, 2, 3, 5, 6}},
		{`running_time < 1e2`, []int{5, 6}},
		{`running_time != 116`, []int{1, 2, 5, 6}},
		{`NOT running_time = 116`, []int{1, 2, 4, 5, 6, 7}},
		{`rating = 8`, []int{4}},
		{`rating > 7.9`, []int{1, 2, 4}},
		{`audience.average = 4.5`, []int{2}},
		{`update_time = "2026-01-31T12:00:00Z"`, []int{1}},
		{`updateTime > "2026-01-31T13:59:59.999999+02:00"`, []int{1}},
		// OR binds tighter than AND, and than standing side by side.
		{`id = 1 AND id = 1 OR id = 2`, []int{1}},
		{`id = 1 id = 1 OR id = 2`, []int{1}},
		{`(id = 2 AND id = 2) OR id = 1`, []int{1, 2}},
		{`id = 1 OR id = 2 AND id = 2 OR id = 3`, []int{2}},
		{`id=1 OR id=2 OR NOT id<7`, []int{1, 2, 7}},
	} {
		if got := find(t, db, test.filter); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s\n\tfinds %v, want %v", test.filter, got, test.want)
		}
	}
}

func TestErrorsTellTheirPlaceAndWhatIsAllowed(t *testing.T) {
	for _, test := range []struct {
		filter string
		pos    int
		part   string
	}{
		{`titel = "x"`, 1, `unknown field "titel"; there are: id, title, running_time`},
		{`id = 1 AND`, 11, "expected a condition"},
		{`AND id = 1`, 1, `unexpected "AND"`},
		{`id = 1 OR OR id = 2`, 11, `unexpected "OR"`},
		{`id 1`, 4, "expected one of = != < <= > >= :"},
		{`id`, 3, "expected one of"},
		{`id =`, 5, "expected a value"},
		{`title = AND`, 9, "reserved word"},
		{`title = (x)`, 9, "expected a value"},
		{`id = x`, 6, "takes a whole number"},
		{`id = 1.5`, 6, "takes a whole number"},
		{`id = 9223372036854775808`, 6, "takes a whole number"},
		{`id = 0x10`, 6, "takes a whole number"},
		{`rating = NaN`, 10, "takes a number"},
		{`rating = 1e999`, 10, "takes a number"},
		{`rating : 8`, 10, "only asks whether it is set"},
		{`update_time > "yesterday"`, 15, "takes a time"},
		{`title = "A*n"`, 9, "an asterisk stands only"},
		{`title : "Al*"`, 9, "an asterisk stands only"},
		{`title < "A*"`, 9, "an asterisk stands only"},
		{`title = "x`, 9, "no closing"},
		{`title = 'x\'`, 9, "no closing"},
		{`(id = 1`, 1, "not closed"},
		{`((id = 1)`, 1, "not closed"},
		{`id = 1)`, 7, "unexpected"},
		{`()`, 2, "expected the name of a field"},
		{`! id = 1`, 1, "NOT or -"},
		{`id = 1, id = 2`, 7, "needs quotes"},
		{`title = "Ä" AND x = 1`, 17, "unknown field"},
		{"title = \"\U0010FFFD\"", 10, "not allowed"},
		{"title = \xff", 1, "UTF-8"},
		{strings.Repeat("(", 33) + "id = 1" + strings.Repeat(")", 33), 33, "deeper than 32"},
		{strings.Repeat("id=1 ", 65), 321, "more than 64 comparisons"},
		{`title = "` + strings.Repeat("x", 2048) + `"`, 2049, "at most 2048 characters"},
	} {
		_, err := schema.Filter(test.filter)
		e, ok := err.(*Error)
		if !ok {
			t.Errorf("%.40s: no error but %v", test.filter, err)
			continue
		}
		if e.Pos != test.pos || !strings.Contains(e.Message, test.part) {
			t.Errorf("%.40s: %v\n\twant character %d: …%s…", test.filter, e, test.pos, test.part)
		}
	}
}

func TestValuesNeverBecomeSQL(t *testing.T) {
	db := fill(t)
	for _, value := range []string{`x' OR '1'='1`, `x\"); DROP TABLE films; --`, `?`, `@`, `:a`} {
		text := `title = "` + value + `"`
		where, err := schema.Filter(text)
		if err != nil {
			t.Fatal(err)
		}
		if where.SQL != "(title IS NOT NULL AND title = ?)" || len(where.Args) != 1 {
			t.Errorf("%s became %s", text, where.SQL)
		}
		if got := find(t, db, text); got != nil {
			t.Errorf("%s finds %v", text, got)
		}
	}
}

// holds says what a filter means, in the plainest way, to check the SQL against.
func holds(n node, f film) bool {
	switch n := n.(type) {
	case and:
		for _, operand := range n {
			if !holds(operand, f) {
				return false
			}
		}
		return true
	case or:
		for _, operand := range n {
			if holds(operand, f) {
				return true
			}
		}
		return false
	case not:
		return !holds(n.operand, f)
	}
	c := n.(comparison)
	got := f[c.field]
	switch {
	case got == nil:
		return false
	case c.value.text == "*":
		return true
	case c.operator == ":":
		return strings.Contains(strings.ToLower(got.(string)), strings.ToLower(c.value.text))
	}
	var sign int
	if text, ok := got.(string); ok {
		sign = strings.Compare(text, c.value.text)
	} else {
		var want float64
		fmt.Sscan(c.value.text, &want)
		have := reflect.ValueOf(got)
		value := 0.0
		if have.CanInt() {
			value = float64(have.Int())
		} else {
			value = have.Float()
		}
		switch {
		case value < want:
			sign = -1
		case value > want:
			sign = 1
		}
	}
	switch c.operator {
	case "=":
		return sign == 0
	case "!=":
		return sign != 0
	case "<":
		return sign < 0
	case "<=":
		return sign <= 0
	case ">":
		return sign > 0
	default:
		return sign >= 0
	}
}

// random is a filter of at most that depth.
func random(r *rand.Rand, depth int) string {
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	if depth == 0 || r.IntN(4) == 0 {
		operator := pick("=", "!=", "<", "<=", ">", ">=")
		return pick(
			"title"+operator+`"`+pick("Alien", "Aliens", "M", "9", "")+`"`,
			"title:"+pick("a", "LIE", "é", "*"),
			"running_time "+operator+" "+pick("85", "116", "117", "100"),
			"rating"+operator+pick("8", "8.5", "5.5"),
			"rating:*",
		)
	}
	one, two := random(r, depth-1), random(r, depth-1)
	return pick(one+" AND "+two, one+" OR "+two, one+" "+two, "("+one+")", "NOT ("+one+")", "-("+one+")", "("+one+") OR "+two)
}

func TestRandomFiltersMeanWhatTheSQLFinds(t *testing.T) {
	db := fill(t)
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		text := random(r, 4)
		tree, err := parse(text)
		if err != nil {
			if strings.Contains(err.Error(), "more than") {
				continue
			}
			t.Fatalf("%s: %v", text, err)
		}
		var want []int
		for _, f := range films {
			if holds(tree, f) {
				want = append(want, f["id"].(int))
			}
		}
		got := find(t, db, text)
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%s\n\tfinds %v, want %v", text, got, want)
		}
		if rest := find(t, db, "NOT ("+text+")"); len(rest) != len(films)-len(got) {
			t.Fatalf("NOT (%s) finds %v, which is not the rest of %v", text, rest, got)
		}
	}
}

func TestOrder(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  "",
		" ":                                 "",
		"title":                             "title",
		"running_time desc, title":          "running_time desc title",
		" runningTime  desc ,rating asc,id": "running_time desc rating id",
		"audience.average desc,update_time": "audience.average desc update_time",
		"titel":                             `ERROR at character 1: unknown field "titel"; there are: id, title, running_time, rating, update_time, audience.average`,
		"title, ":                           "ERROR at character 7: expected the name of a field",
		"title,,id":                         "ERROR at character 7: expected the name of a field",
		"title up":                          `ERROR at character 1: expected "desc", "asc" or nothing behind "title"`,
		"title desc desc":                   `ERROR at character 1: expected "desc", "asc" or nothing behind "title"`,
		"id, title, id desc":                "ERROR at character 11: id is named twice",
		"running_time, runningTime":         "ERROR at character 14: running_time is named twice",
		"title; DROP TABLE films":           `ERROR at character 1: unknown field "title;"; there are: id, title, running_time, rating, update_time, audience.average`,
	} {
		orders, err := schema.Order(text)
		got := ""
		for _, o := range orders {
			got += o.Field.Name + " "
			if o.Desc {
				got += "desc "
			}
		}
		got = strings.TrimSpace(got)
		if err != nil {
			got = "ERROR " + err.Error()
		}
		if got != want {
			t.Errorf("%q is %s\n\twant %s", text, got, want)
		}
	}
}

func FuzzFilter(f *testing.F) {
	for _, seed := range []string{
		`year >= 1990 AND genre = "Drama"`, `-(title : "a*" OR NOT rating:*)`, `title = "*\*x"`, `id=1 id!=-2e3`,
		`((((`, `a.b:c`, "'", `title = "é\"`, `update_time < "2026-01-31T00:00:00Z"`,
	} {
		f.Add(seed)
	}
	db := fill(f)
	f.Fuzz(func(t *testing.T, text string) {
		where, err := schema.Filter(text)
		if err != nil {
			e, ok := err.(*Error)
			if !ok || e.Pos < 1 || e.Pos > len([]rune(text))+1 || e.Message == "" {
				t.Errorf("%q: %#v", text, err)
			}
			return
		}
		if n := strings.Count(where.SQL, "?"); n != len(where.Args) {
			t.Errorf("%q: %d parameters, %d values", text, n, len(where.Args))
		}
		find(t, db, text)
	})
}

func FuzzOrder(f *testing.F) {
	f.Add("title desc, id")
	f.Add(",")
	f.Fuzz(func(t *testing.T, text string) {
		orders, err := schema.Order(text)
		if err == nil && len(orders) > maxOrder {
			t.Errorf("%q has %d fields", text, len(orders))
		}
	})
}
