// Package filter reads the `filter` and `order_by` of a list request and turns
// them into SQL. A caller's values become parameters, never part of the SQL text.
//
//	schema := filter.NewSchema(
//		filter.Field{Name: "title", Type: filter.String, Expr: "title"},
//		filter.Field{Name: "year", Type: filter.Int, Expr: "year"},
//	)
//	where, err := schema.Filter(`year >= 1990 AND (title : "star" OR title = "Alien*")`)
//	rows, err := db.Query("SELECT … FROM movies"+where.Where(), where.Args...)
//
// # The filter language
//
// It is a subset of AIP-160. An empty filter matches everything.
//
//	genre = "Drama"            equal; case matters
//	title = "Alien*"           begins with; "*Alien" ends with, "*Alien*" contains
//	title : "alien"            contains, whatever the case
//	year != 1999               set, and not equal
//	year < 1950, <=, >, >=     smaller, greater; strings compare byte by byte
//	director : *               set to anything
//	NOT director : *           not set; -director:* is the same
//	year = 1999 genre = Drama  two conditions side by side must both hold, as with AND
//	(a OR b) AND c             parentheses group
//
// A comparison with a field that is not set does not hold, so that NOT gives exactly
// the rest: `NOT year = 1999` finds the movies of other years and those of no known
// year, `year != 1999` only the former. OR binds tighter than AND, as AIP-160 has it:
// `a AND b OR c` is `a AND (b OR c)`. AND, OR and NOT are written in capitals.
//
// A value is a word, a number, or a string in double or single quotes. It needs quotes
// if it holds a space or one of ()<>=!:,"'\ or is AND, OR or NOT. In quotes a backslash
// takes the next character as it is, so that \* is an asterisk and no wildcard.
// Times are as in RFC 3339, in quotes: update_time >= "2026-01-31T00:00:00Z".
// Fields are named as in the protos or as in JSON: running_time_minutes or
// runningTimeMinutes; a field of a field with a dot: audience_rating.average.
//
// Of AIP-160 there are no functions, no comparisons of a field with another, no values
// without a field, and no wildcards but at the ends.
//
// # Ordering
//
// order_by is AIP-132's: fields separated by commas, each with " desc" if it is to fall:
// `year desc, title`. What is not set comes last, whichever the direction.
//
// # Limits
//
// A filter has at most 2,048 characters, 64 comparisons and 32 levels; an order eight
// fields. Errors are of type [*Error] and tell the place and what is allowed there.
//
// Sources: https://google.aip.dev/160, https://google.aip.dev/132.
package filter

import (
	"fmt"
	"slices"
	"strings"
)

// The limits of a filter and an order.
const (
	MaxLength = 2048 // characters
	maxTerms  = 64
	maxDepth  = 32
	maxOrder  = 8
)

// Type is what a field holds.
type Type int

// The types.
const (
	String Type = iota
	Int
	Float
	Time // in SQL: microseconds since 1970, UTC
)

// Field is one that callers may filter and order by.
type Field struct {
	Name string // as in the protos; with dots within messages
	Type Type
	Expr string // its value in SQL, NULL if not set
}

// Schema is the fields of a resource. It is safe for use by many goroutines.
type Schema struct {
	byName map[string]Field
	names  string // all of them, for error messages
}

// NewSchema returns the schema of a resource with these fields.
func NewSchema(fields ...Field) *Schema {
	s := &Schema{byName: make(map[string]Field, 2*len(fields))}
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
		s.byName[f.Name] = f
		s.byName[jsonName(f.Name)] = f
	}
	s.names = strings.Join(names, ", ")
	return s
}

// jsonName is the field's name in JSON: lowerCamelCase.
func jsonName(name string) string {
	var b strings.Builder
	upper := false
	for _, r := range name {
		switch {
		case r == '_':
			upper = true
		case upper:
			b.WriteString(strings.ToUpper(string(r)))
			upper = false
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Condition is a filter in SQL: an expression that is 1 or 0 for each row, and its
// parameters in order. The zero Condition is that of an empty filter.
type Condition struct {
	SQL  string
	Args []any
}

// And is the condition that both hold.
func (c Condition) And(other Condition) Condition {
	if c.SQL == "" {
		return other
	}
	if other.SQL == "" {
		return c
	}
	return Condition{SQL: c.SQL + " AND " + other.SQL, Args: slices.Concat(c.Args, other.Args)}
}

// Where is the WHERE clause, empty if everything matches: SQLite counts a whole table
// without looking at its rows, but only if it is not asked to.
func (c Condition) Where() string {
	if c.SQL == "" {
		return ""
	}
	return " WHERE " + c.SQL
}

// Filter reads a filter. An error is always an [*Error].
func (s *Schema) Filter(text string) (Condition, error) {
	tree, err := parse(text)
	if err != nil {
		return Condition{}, err
	}
	if tree == nil {
		return Condition{}, nil
	}
	c := compiler{schema: s}
	if err := c.node(tree); err != nil {
		return Condition{}, err
	}
	return Condition{SQL: c.sql.String(), Args: c.args}, nil
}

// Error is what is wrong with a filter or an order.
type Error struct {
	Pos     int // the character it is at, from 1
	Message string
}

// Error says where and what.
func (e *Error) Error() string { return fmt.Sprintf("at character %d: %s", e.Pos, e.Message) }

func errorAt(pos int, format string, args ...any) error {
	return &Error{Pos: pos, Message: fmt.Sprintf(format, args...)}
}
