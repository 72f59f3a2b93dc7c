package openapi

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/evenkeel/evenkeel/gateway/internal/route"
)

// A segment is one of a path template: a literal or a wildcard.
type segment struct {
	literal  string // "" for a wildcard
	field    string // that the wildcard is a part of, "" for none
	deep     bool   // `**`
	only     bool   // the wildcard is the field's only one
	preceded string // the literal before it
}

// template is a path template of google.api.http.
type template struct {
	segments []segment
	verb     string
	fields   []string
}

func parseTemplate(text string) (*template, error) {
	parsed, err := route.Parse(text)
	if err != nil {
		return nil, err
	}
	// The grammar is checked; what follows only takes the text apart.
	t := &template{fields: parsed.Fields()}
	// A colon stands before a verb and nowhere else.
	rest, verb, _ := strings.Cut(text[1:], ":")
	t.verb = verb
	for rest != "" {
		if rest[0] == '{' {
			inside, behind, _ := strings.Cut(rest[1:], "}")
			field, pattern, ok := strings.Cut(inside, "=")
			if !ok {
				pattern = "*"
			}
			t.push(field, pattern)
			rest = strings.TrimPrefix(behind, "/")
			continue
		}
		var next string
		next, rest, _ = strings.Cut(rest, "/")
		t.push("", next)
	}
	return t, nil
}

func (t *template) push(field, pattern string) {
	only := strings.Count(strings.ReplaceAll(pattern, "**", "*"), "*") == 1
	for part := range strings.SplitSeq(pattern, "/") {
		s := segment{field: field, deep: part == "**", only: only && field != ""}
		if part != "*" && part != "**" {
			s.literal = part
		}
		if n := len(t.segments); n > 0 {
			s.preceded, _ = url.PathUnescape(t.segments[n-1].literal)
		}
		t.segments = append(t.segments, s)
	}
}

// shape is the path without the names of its parameters. In OpenAPI, two paths
// of one shape are the same.
func (t *template) shape() string {
	return t.write(func(s segment) string {
		if s.deep {
			return "{**}"
		}
		return "{}"
	})
}

// path returns the path with names in the order of the wildcards.
func (t *template) path(names []string) string {
	i := -1
	return t.write(func(segment) string {
		i++
		return "{" + names[i] + "}"
	})
}

func (t *template) write(wildcard func(segment) string) string {
	var b strings.Builder
	for _, s := range t.segments {
		b.WriteByte('/')
		if s.literal != "" {
			b.WriteString(s.literal)
		} else {
			b.WriteString(wildcard(s))
		}
	}
	if t.verb != "" {
		b.WriteString(":" + t.verb)
	}
	return b.String()
}

// wildcards returns those segments that are parameters.
func (t *template) wildcards() []segment {
	var found []segment
	for _, s := range t.segments {
		if s.literal == "" {
			found = append(found, s)
		}
	}
	return found
}

// names names the wildcards: by the field if it has but one, by the literal
// before it otherwise, which is what the wildcard picks from.
func (t *template) names() []string {
	taken := map[string]bool{}
	var names []string
	for _, s := range t.wildcards() {
		name := s.preceded
		if s.only {
			name = s.field
		}
		if name == "" {
			name = "segment"
		}
		unique := name
		for n := 2; taken[unique]; n++ {
			unique = name + strconv.Itoa(n)
		}
		taken[unique] = true
		names = append(names, unique)
	}
	return names
}

// pattern returns what a field must look like, such as `shelves/*/books/*`.
func (t *template) pattern(field string) string {
	var parts []string
	for _, s := range t.segments {
		switch {
		case s.field != field:
		case s.deep:
			parts = append(parts, "**")
		case s.literal == "":
			parts = append(parts, "*")
		default:
			parts = append(parts, s.literal)
		}
	}
	return strings.Join(parts, "/")
}
