package route

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// A Tree holds routes. The zero value holds none. Inserting and matching at
// once needs a lock; matching alone does not.
//
// Where several templates match a path, a literal goes before `*` and `*`
// before `**`, segment by segment from the left, among those that have the
// request's method. A verb that is declared for the path wins over an id that
// happens to end in it, whatever the method: `GET /v1/movies/7:rate` is not a
// GET of the movie `7:rate` where `POST /v1/movies/*:rate` exists.
type Tree[T any] struct {
	root node[T]
	// verbs holds every verb that is declared, so that a colon in the path of
	// another route costs one look-up.
	verbs map[string]bool
	// depth is how many segments the longest template has.
	depth int
}

type node[T any] struct {
	literals map[string]*node[T]
	star     *node[T]
	leaves   map[string]*leaf[T] // by verb, "" for none
	deep     map[string]*leaf[T] // `**` behind this node, by verb
}

// leaf holds the routes that have the same shape and verb.
type leaf[T any] struct {
	methods map[string]*entry[T]
}

type entry[T any] struct {
	template string
	vars     []variable
	value    T
}

// AnyMethod in [Tree.Insert] stands for every method that is not named.
const AnyMethod = "*"

// Insert adds a route. It refuses a template that is not well formed, and one
// that would match the same requests as another.
func (t *Tree[T]) Insert(method, template string, value T) error {
	parsed, err := Parse(template)
	if err != nil {
		return err
	}
	if !isToken(method) && method != AnyMethod {
		return fmt.Errorf("%q is not an HTTP method", method)
	}
	l := t.leafFor(parsed)
	if other, taken := l.methods[method]; taken {
		return fmt.Errorf("%s %s matches the same requests as %s %s, which is there already", method, template, method, other.template)
	}
	l.methods[method] = &entry[T]{template: template, vars: parsed.vars, value: value}
	return nil
}

func (t *Tree[T]) leafFor(parsed *Template) *leaf[T] {
	if parsed.verb != "" {
		if t.verbs == nil {
			t.verbs = map[string]bool{}
		}
		t.verbs[parsed.verb] = true
	}
	t.depth = max(t.depth, len(parsed.segments))
	n := &t.root
	for _, s := range parsed.segments {
		switch s.kind {
		case literal:
			next := n.literals[s.text]
			if next == nil {
				next = &node[T]{}
				if n.literals == nil {
					n.literals = map[string]*node[T]{}
				}
				n.literals[s.text] = next
			}
			n = next
		case star:
			if n.star == nil {
				n.star = &node[T]{}
			}
			n = n.star
		case deep:
			return leafIn(&n.deep, parsed.verb)
		}
	}
	return leafIn(&n.leaves, parsed.verb)
}

func leafIn[T any](leaves *map[string]*leaf[T], verb string) *leaf[T] {
	if *leaves == nil {
		*leaves = map[string]*leaf[T]{}
	}
	l := (*leaves)[verb]
	if l == nil {
		l = &leaf[T]{methods: map[string]*entry[T]{}}
		(*leaves)[verb] = l
	}
	return l
}

// A Match is what a tree says of a request.
type Match[T any] struct {
	// Found reports whether a route matches. If not, Allow names the methods
	// that the path has; none if the path is not known.
	Found bool
	Allow []string

	// Value and Template are those of the route.
	Value    T
	Template string

	path pathOf
	vars []variable
}

// Path returns the path of u in the form that Match takes: still escaped where
// that matters.
func Path(u *url.URL) (path string, escaped bool) {
	if u.RawPath != "" {
		return u.RawPath, true
	}
	// net/url keeps no RawPath where escaping Path anew gives what was sent.
	// Decoding again would decode %25xx twice.
	return u.Path, false
}

// Match finds the route of a request. Path and escaped are as [Path] returns
// them. HEAD is matched like GET unless it has a route of its own.
func (t *Tree[T]) Match(method, path string, escaped bool) Match[T] {
	if !strings.HasPrefix(path, "/") {
		return Match[T]{}
	}
	s := search[T]{method: method}
	var inline [16]string
	if colon := strings.LastIndexByte(path, ':'); colon > strings.LastIndexByte(path, '/') && t.verbs[path[colon+1:]] {
		s.verb, s.path = path[colon+1:], pathOf{text: path[1:colon], escaped: escaped}
		s.walk(&t.root, s.path.split(inline[:0], t.depth+1))
		if s.entry != nil || len(s.allow) > 0 {
			return s.match()
		}
	}
	s.verb, s.path = "", pathOf{text: path[1:], escaped: escaped}
	s.walk(&t.root, s.path.split(inline[:0], t.depth+1))
	return s.match()
}

// search is one walk through the tree. Each node is seen at most once, and at
// each segment there are at most two ways on.
type search[T any] struct {
	method, verb string
	path         pathOf
	entry        *entry[T]
	allow        []string
}

// walk reports whether it found a route below n for the segments that are left.
func (s *search[T]) walk(n *node[T], segments []string) bool {
	if len(segments) == 0 {
		// `**` matches no segment, too.
		return s.take(n.leaves) || s.take(n.deep)
	}
	if n.literals != nil {
		if text, ok := s.path.literal(segments[0]); ok {
			if next := n.literals[text]; next != nil && s.walk(next, segments[1:]) {
				return true
			}
		}
	}
	if n.star != nil && segments[0] != "" && s.walk(n.star, segments[1:]) {
		return true
	}
	return s.take(n.deep)
}

func (s *search[T]) take(leaves map[string]*leaf[T]) bool {
	l := leaves[s.verb]
	if l == nil {
		return false
	}
	e := l.methods[s.method]
	if e == nil && s.method == http.MethodHead {
		e = l.methods[http.MethodGet]
	}
	if e == nil {
		e = l.methods[AnyMethod]
	}
	if e == nil {
		for method := range l.methods {
			s.allow = append(s.allow, method)
		}
		return false
	}
	s.entry = e
	return true
}

func (s *search[T]) match() Match[T] {
	if s.entry == nil {
		if slices.Contains(s.allow, http.MethodGet) {
			s.allow = append(s.allow, http.MethodHead)
		}
		slices.Sort(s.allow)
		return Match[T]{Allow: slices.Compact(s.allow)}
	}
	return Match[T]{Found: true, Value: s.entry.value, Template: s.entry.template, path: s.path, vars: s.entry.vars}
}

// Variable returns the field path of the template's i-th variable and what it
// captured, unescaped.
func (m *Match[T]) Variable(i int) (field, value string) {
	return m.vars[i].field, m.path.capture(m.vars[i])
}

// Params returns what the template's variables captured, unescaped, by field
// path.
func (m *Match[T]) Params() map[string]string {
	params := make(map[string]string, len(m.vars))
	for _, v := range m.vars {
		params[v.field] = m.path.capture(v)
	}
	return params
}

// isToken is token of RFC 9110, section 5.6.2.
func isToken(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	}) < 0
}
