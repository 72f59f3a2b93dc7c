package route

import (
	"fmt"
	"maps"
	"net/url"
	"strings"
	"testing"
)

func TestTemplatesParse(t *testing.T) {
	for template, fields := range map[string]string{
		"/v1/books":                            "",
		"/v1/books:watch":                      "",
		"/v1/{name}":                           "name",
		"/v1/{name=shelves/*}":                 "name",
		"/v1/{name=shelves/*/books/*}:publish": "name",
		"/v1/{name=**}":                        "name",
		"/v1/files/**":                         "",
		"/v1/*/books/{book.name}":              "book.name",
		"/v1/{a=x/*}/{b.c=y/**}:verb":          "a,b.c",
		"/v1/a%20b/~user/x.y-z_w/!$&'()+,;=@":  "",
		"/{a_b1}":                              "a_b1",
	} {
		parsed, err := Parse(template)
		if err != nil {
			t.Errorf("%s: %v", template, err)
			continue
		}
		if got := strings.Join(parsed.Fields(), ","); got != fields {
			t.Errorf("%s: fields %q, want %q", template, got, fields)
		}
	}
}

func TestBadTemplatesAreRefused(t *testing.T) {
	for _, template := range []string{
		"", "v1", "/", "//", "/v1/", "/v1//x", "/v1/{", "/v1/{}", "/v1/{a", "/v1/{a=}", "/v1/{a=b", "/v1/{=b}", "/v1/{a={b}}",
		"/v1/{a}{b}", "/v1/{a}x", "/v1/x{a}", "/v1/**/x", "/v1/{a=**}/x", "/v1/***", "/v1/x:", "/v1/x:a:b", "/v1/x:a/b", "/v1/:a",
		"/v1/{a}/{a}", "/v1/{1a}", "/v1/{a..b}", "/v1/{a.}", "/v1/{a-b}", "/v1/a b", "/v1/a?b", "/v1/a#b", "/v1/%zz", "/v1/%4", "/v1/é",
		"/v1/{a=b:c}", "/v1/x:*", "/v1/x:{a}", "/" + strings.Repeat("a", 5000),
	} {
		if _, err := Parse(template); err == nil {
			t.Errorf("%q is accepted", template)
		}
	}
}

// tree returns a tree whose values are "METHOD template".
func tree(t testing.TB, routes ...string) *Tree[string] {
	t.Helper()
	tr := &Tree[string]{}
	for _, r := range routes {
		method, template, _ := strings.Cut(r, " ")
		if err := tr.Insert(method, template, r); err != nil {
			t.Fatal(err)
		}
	}
	return tr
}

func match(tr *Tree[string], method, rawPath string) Match[string] {
	u, err := url.Parse(rawPath)
	if err != nil {
		return Match[string]{}
	}
	path, escaped := Path(u)
	return tr.Match(method, path, escaped)
}

var library = []string{
	"GET /v1/{name=shelves/*}", "DELETE /v1/{name=shelves/*}", "GET /v1/shelves", "POST /v1/shelves", "GET /v1/shelves/featured",
	"GET /v1/{name=shelves/*/books/*}", "POST /v1/{name=shelves/*/books/*}:rate", "GET /v1/shelves:watch", "GET /v1/files/{path=**}",
	"GET /v1/files/index", "POST /v1/files/{path=**}:scan", "* /v1/any", "PUT /v1/any", "GET /v1/a%20b", "GET /v1/{project}/zones/{zone}",
}

func TestMatching(t *testing.T) {
	tr := tree(t, library...)
	for _, c := range []struct{ method, path, want, params string }{
		{"GET", "/v1/shelves", "GET /v1/shelves", ""},
		{"GET", "/v1/shelves/7", "GET /v1/{name=shelves/*}", "name=shelves/7"},
		{"HEAD", "/v1/shelves/7", "GET /v1/{name=shelves/*}", "name=shelves/7"},
		{"GET", "/v1/shelves/featured", "GET /v1/shelves/featured", ""},
		// The literal has no DELETE, but the star has.
		{"DELETE", "/v1/shelves/featured", "DELETE /v1/{name=shelves/*}", "name=shelves/featured"},
		{"GET", "/v1/shelves/1/books/2", "GET /v1/{name=shelves/*/books/*}", "name=shelves/1/books/2"},
		{"POST", "/v1/shelves/1/books/2:rate", "POST /v1/{name=shelves/*/books/*}:rate", "name=shelves/1/books/2"},
		// Another verb is part of the id.
		{"GET", "/v1/shelves/1/books/2:other", "GET /v1/{name=shelves/*/books/*}", "name=shelves/1/books/2:other"},
		{"GET", "/v1/shelves/1/books/urn:x:7", "GET /v1/{name=shelves/*/books/*}", "name=shelves/1/books/urn:x:7"},
		{"POST", "/v1/shelves/1/books/urn:x:rate", "POST /v1/{name=shelves/*/books/*}:rate", "name=shelves/1/books/urn:x"},
		// A verb that this path does not have.
		{"GET", "/v1/shelves/7:rate", "GET /v1/{name=shelves/*}", "name=shelves/7:rate"},
		{"GET", "/v1/shelves:watch", "GET /v1/shelves:watch", ""},
		{"GET", "/v1/files", "GET /v1/files/{path=**}", "path="},
		{"GET", "/v1/files/", "GET /v1/files/{path=**}", "path="},
		{"GET", "/v1/files/a", "GET /v1/files/{path=**}", "path=a"},
		{"GET", "/v1/files/a/b/c", "GET /v1/files/{path=**}", "path=a/b/c"},
		{"GET", "/v1/files/index", "GET /v1/files/index", ""},
		{"GET", "/v1/files/index/x", "GET /v1/files/{path=**}", "path=index/x"},
		{"POST", "/v1/files/a/b:scan", "POST /v1/files/{path=**}:scan", "path=a/b"},
		{"PUT", "/v1/any", "PUT /v1/any", ""},
		{"WHATEVER", "/v1/any", "* /v1/any", ""},
		{"GET", "/v1/p/zones/z", "GET /v1/{project}/zones/{zone}", "project=p zone=z"},
		// Escapes.
		{"GET", "/v1/a%20b", "GET /v1/a%20b", ""},
		{"GET", "/v1/%73helves/7", "GET /v1/{name=shelves/*}", "name=%73helves/7"},
		{"GET", "/v1/p%2Fq/zones/z%20z", "GET /v1/{project}/zones/{zone}", "project=p/q zone=z z"},
		{"GET", "/v1/shelves/a%2Fb", "GET /v1/{name=shelves/*}", "name=shelves/a%2Fb"},
		{"GET", "/v1/shelves/a%2fb%20c", "GET /v1/{name=shelves/*}", "name=shelves/a%2fb c"},
		{"GET", "/v1/shelves/100%25", "GET /v1/{name=shelves/*}", "name=shelves/100%"},
		{"GET", "/v1/shelves/%252F", "GET /v1/{name=shelves/*}", "name=shelves/%2F"},
		{"GET", "/v1/files/a%2Fb/c%3Ad", "GET /v1/files/{path=**}", "path=a%2Fb/c:d"},
		// Nothing.
		{"GET", "/v1/shelves/", "", ""},
		{"GET", "/v1/shelves//books/2", "", ""},
		{"GET", "/v1", "", ""},
		{"GET", "/", "", ""},
		{"GET", "v1/shelves", "", ""},
		{"GET", "/v1/shelves%2F7", "", ""},
		{"GET", "/v1%2Fshelves", "", ""},
		{"GET", "/v1/shelves%3Awatch", "", ""},
		{"GET", "/v1/shelves/1/books/2/3", "", ""},
		{"GET", "/V1/shelves", "", ""},
		{"POST", "/v1/shelves/:rate", "", ""},
	} {
		m := match(tr, c.method, c.path)
		want := c.params
		if c.path == "/v1/%73helves/7" {
			want = "name=shelves/7"
		}
		got := ""
		if m.Found {
			got = m.Value
			var params []string
			for k, v := range m.Params() {
				params = append(params, k+"="+v)
			}
			if len(params) == 2 && params[0] > params[1] {
				params[0], params[1] = params[1], params[0]
			}
			if p := strings.Join(params, " "); p != want {
				t.Errorf("%s %s: params %q, want %q", c.method, c.path, p, want)
			}
		}
		if got != c.want {
			t.Errorf("%s %s: %q, want %q", c.method, c.path, got, c.want)
		}
	}
}

func TestAllowNamesTheMethodsOfThePath(t *testing.T) {
	tr := tree(t, library...)
	for path, want := range map[string]string{
		"/v1/shelves":                "GET,HEAD,POST",
		"/v1/shelves/featured":       "DELETE,GET,HEAD",
		"/v1/shelves/7":              "DELETE,GET,HEAD",
		"/v1/shelves/1/books/2:rate": "POST",
		"/v1/nothing":                "",
	} {
		m := match(tr, "PATCH", path)
		if got := strings.Join(m.Allow, ","); m.Found || got != want {
			t.Errorf("%s: %v %q, want %q", path, m.Found, got, want)
		}
	}
}

func TestRoutesThatMatchTheSameAreRefused(t *testing.T) {
	tr := tree(t, library...)
	for _, r := range []string{"GET /v1/{other=shelves/*}", "GET /v1/shelves", "GET /v1/shelves/{id}", "GET /v1/files/**", "POST /v1/shelves/*/books/{id}:rate", "GET /v1/{a=shelves}", "GET /v1/%73helves"} {
		method, template, _ := strings.Cut(r, " ")
		if err := tr.Insert(method, template, r); err == nil {
			t.Errorf("%s is accepted", r)
		}
	}
	for _, method := range []string{"", "GE T", "GET\n", "ä", "(GET)"} {
		if err := tr.Insert(method, "/v2/x", ""); err == nil {
			t.Errorf("method %q is accepted", method)
		}
	}
}

func TestAMatchAllocatesNothing(t *testing.T) {
	tr := tree(t, library...)
	if n := testing.AllocsPerRun(100, func() {
		if m := tr.Match("GET", "/v1/shelves/1/books/2", false); !m.Found {
			t.Fatal("not found")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// naive matches a template as its definition says, segment by segment, for
// comparison. It knows no verbs.
func naive(template *Template, path string) bool {
	segments := strings.Split(path[1:], "/")
	for i, s := range template.segments {
		switch {
		case s.kind == deep:
			return true
		case i >= len(segments):
			return false
		case s.kind == star && segments[i] == "":
			return false
		case s.kind == literal && segments[i] != s.text:
			return false
		}
	}
	return len(segments) == len(template.segments)
}

func FuzzTemplate(f *testing.F) {
	for _, r := range library {
		_, template, _ := strings.Cut(r, " ")
		f.Add(template)
	}
	f.Add("/v1/{a=b/**}:c")
	f.Fuzz(func(t *testing.T, template string) {
		parsed, err := Parse(template)
		if err != nil {
			return
		}
		tr := &Tree[string]{}
		if err := tr.Insert("GET", template, template); err != nil {
			t.Fatalf("%q parses but cannot be inserted: %v", template, err)
		}
		// A path made from it matches it, and captures what was put in.
		var segments []string
		for i, s := range parsed.segments {
			if s.kind == literal {
				segments = append(segments, url.PathEscape(s.text))
			} else {
				segments = append(segments, fmt.Sprintf("x%d", i))
			}
		}
		path := "/" + strings.Join(segments, "/")
		if parsed.verb != "" {
			path += ":" + parsed.verb
		}
		m := match(tr, "GET", strings.ReplaceAll(path, ":", "%3A"))
		if parsed.verb == "" && !m.Found {
			t.Fatalf("%q does not match %q", template, path)
		}
	})
}

func FuzzMatch(f *testing.F) {
	f.Add("/v1/shelves/1/books/2:rate")
	f.Add("/v1/files/a%2Fb//c")
	f.Add("/v1/%73helves/%")
	f.Add("/v1/shelves/:rate")
	tr := tree(f, library...)
	plain := map[string]*Template{}
	for _, r := range library {
		method, template, _ := strings.Cut(r, " ")
		parsed, err := Parse(template)
		if err != nil {
			f.Fatal(err)
		}
		if method == "GET" && parsed.verb == "" {
			plain[r] = parsed
		}
	}
	f.Fuzz(func(t *testing.T, path string) {
		m := tr.Match("GET", path, true)
		if m.Found {
			_ = m.Params()
			tr.Match("HEAD", path, true)
		}
		if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, ":%") {
			return
		}
		// Without escapes and verbs the definition is easy to follow.
		want := false
		for _, parsed := range plain {
			want = want || naive(parsed, path)
		}
		anyMethod := strings.HasPrefix(m.Value, "* ")
		if m.Found != want && !anyMethod {
			t.Errorf("%q: found %v, want %v", path, m.Found, want)
		}
		if m.Found && !anyMethod && !naive(plain[m.Value], path) {
			t.Errorf("%q: %s does not match it", path, m.Value)
		}
	})
}

func TestParamsAreFreshEachTime(t *testing.T) {
	tr := tree(t, library...)
	m := tr.Match("GET", "/v1/shelves/1", false)
	first := m.Params()
	clear(first)
	if !maps.Equal(m.Params(), map[string]string{"name": "shelves/1"}) {
		t.Error("a caller can change what another gets")
	}
}

func TestDottedPathsAreFound(t *testing.T) {
	for path, want := range map[string]bool{
		"/v1/..": true, "/../v1": true, "/v1/./books": true, "/v1/%2e%2E/books": true, "/v1/.%2e": true, "/v1/%2e": true, "/.": true,
		"/": false, "/v1/...": false, "/v1/.a/..b": false, "/v1/a..": false, "/v1/%252e%252e": false, "/v1/%2e%2e%2e": false, "/v1/%2f": false, "/v1/%zz": false,
	} {
		if got := Dotted(path, true); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
	if Dotted("/v1/%2e%2e", false) {
		t.Error("what is not escaped is decoded")
	}
}
