// Package route finds which method a path names, by the path templates of
// google.api.http, in a time that does not depend on how many routes there are.
//
//	var tree route.Tree[string]
//	err := tree.Insert("GET", "/v1/{name=shelves/*}:peek", "Peek")
//	m := tree.Match("GET", "/v1/shelves/7:peek")
//	// m.Found, m.Value == "Peek", m.Params()["name"] == "shelves/7"
//
// Source: the grammar and the escaping rules in google/api/http.proto.
package route

import (
	"fmt"
	"strings"
)

// segKind is what a segment of a template matches.
type segKind uint8

const (
	literal segKind = iota
	star            // `*`: one segment, not empty
	deep            // `**`: what is left, nothing included
)

type segment struct {
	kind segKind
	text string // of a literal, unescaped
}

// A variable captures segments [start, end) of the path, or all from start on
// if end is -1.
type variable struct {
	field      string
	start, end int
	// multi is set if the pattern may match more than one segment; then an
	// escaped slash stays escaped.
	multi bool
}

// A Template is a parsed path template.
type Template struct {
	segments []segment
	vars     []variable
	verb     string
}

// maxTemplate bounds a template; one is written by hand.
const maxTemplate = 4096

// Parse reads a path template:
//
//	Template = "/" Segments [ Verb ] ;
//	Segments = Segment { "/" Segment } ;
//	Segment  = "*" | "**" | LITERAL | Variable ;
//	Variable = "{" FieldPath [ "=" Segments ] "}" ;
//	FieldPath = IDENT { "." IDENT } ;
//	Verb     = ":" LITERAL ;
func Parse(template string) (*Template, error) {
	if len(template) > maxTemplate {
		return nil, fmt.Errorf("path template of %d bytes: at most %d are allowed", len(template), maxTemplate)
	}
	if !strings.HasPrefix(template, "/") {
		return nil, fmt.Errorf("path template %q: must start with a slash", template)
	}
	p := parser{rest: template[1:], tmpl: &Template{}}
	if err := p.template(); err != nil {
		return nil, fmt.Errorf("path template %q: at byte %d: %w", template, len(template)-len(p.rest), err)
	}
	return p.tmpl, nil
}

// Fields returns the field paths that the template binds.
func (t *Template) Fields() []string {
	fields := make([]string, len(t.vars))
	for i, v := range t.vars {
		fields[i] = v.field
	}
	return fields
}

type parser struct {
	rest string
	tmpl *Template
}

func (p *parser) template() error {
	if err := p.segments(false); err != nil {
		return err
	}
	if p.take(':') {
		verb := p.literal()
		if verb == "" || strings.Contains(verb, ":") {
			return fmt.Errorf("a verb is a word behind one colon")
		}
		p.tmpl.verb = verb
	}
	if p.rest != "" {
		return fmt.Errorf("unexpected %q", p.rest[0])
	}
	for i, s := range p.tmpl.segments {
		if s.kind == deep && i != len(p.tmpl.segments)-1 {
			return fmt.Errorf("`**` must be the last segment")
		}
	}
	return nil
}

func (p *parser) segments(inVariable bool) error {
	for {
		if err := p.segment(inVariable); err != nil {
			return err
		}
		if !p.take('/') {
			return nil
		}
	}
}

func (p *parser) segment(inVariable bool) error {
	switch {
	case strings.HasPrefix(p.rest, "**"):
		p.rest = p.rest[2:]
		p.push(segment{kind: deep})
	case p.take('*'):
		p.push(segment{kind: star})
	case strings.HasPrefix(p.rest, "{"):
		if inVariable {
			return fmt.Errorf("a variable cannot hold another")
		}
		p.rest = p.rest[1:]
		return p.variable()
	default:
		text := p.literal()
		if text == "" {
			return fmt.Errorf("a segment is missing")
		}
		unescaped, ok := unescape(text, true)
		if !ok {
			return fmt.Errorf("%q holds a broken escape", text)
		}
		p.push(segment{kind: literal, text: unescaped})
	}
	return nil
}

func (p *parser) variable() error {
	end := strings.IndexAny(p.rest, "=}")
	if end < 0 {
		return fmt.Errorf("a variable is not closed")
	}
	v := variable{field: p.rest[:end], start: len(p.tmpl.segments)}
	if !isFieldPath(v.field) {
		return fmt.Errorf("%q is not a field path", v.field)
	}
	for _, other := range p.tmpl.vars {
		if other.field == v.field {
			return fmt.Errorf("field %q is bound twice", v.field)
		}
	}
	p.rest = p.rest[end:]
	if p.take('=') {
		if err := p.segments(true); err != nil {
			return err
		}
	} else {
		p.push(segment{kind: star})
	}
	if !p.take('}') {
		return fmt.Errorf("a variable is not closed")
	}
	v.end = len(p.tmpl.segments)
	last := p.tmpl.segments[v.end-1]
	v.multi = v.end-v.start > 1 || last.kind == deep
	if last.kind == deep {
		v.end = -1
	}
	p.tmpl.vars = append(p.tmpl.vars, v)
	return nil
}

func (p *parser) push(s segment) { p.tmpl.segments = append(p.tmpl.segments, s) }

func (p *parser) take(c byte) bool {
	if p.rest == "" || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

// literal takes what a segment of a URL may hold (RFC 3986, pchar), but for
// what means something in a template.
func (p *parser) literal() string {
	n := 0
	for n < len(p.rest) && isLiteral(p.rest[n]) {
		n++
	}
	text := p.rest[:n]
	p.rest = p.rest[n:]
	return text
}

func isLiteral(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	default:
		return strings.IndexByte("-._~!$&'()+,;=@%", c) >= 0
	}
}

func isFieldPath(s string) bool {
	for _, ident := range strings.Split(s, ".") {
		if ident == "" || '0' <= ident[0] && ident[0] <= '9' {
			return false
		}
		for i := range len(ident) {
			c := ident[i]
			if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
				return false
			}
		}
	}
	return true
}
