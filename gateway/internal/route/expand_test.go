package route

import "testing"

func TestExpandingIsTheInverseOfMatching(t *testing.T) {
	for _, c := range []struct {
		template, value, want string
	}{
		{"/v1/{name=movies/*}", "movies/7", "/v1/movies/7"},
		{"/v1/{name=movies/*}", "movies/a b:c%", "/v1/movies/a%20b%3Ac%25"},
		{"/v1/{name=movies/*}", "movies/a%2Fb", "/v1/movies/a%2Fb"},
		{"/v1/{name=movies/*}:peek", "movies/7", "/v1/movies/7:peek"},
		{"/v1/{name}", "a/b", "/v1/a%2Fb"},
		{"/v1/files/{name=**}", "a/b/c", "/v1/files/a/b/c"},
		{"/v1/{name=movies/*}", "shows/7", ""},
		{"/v1/{name=movies/*}", "movies/", ""},
		{"/v1/{name=movies/*}", "movies/7/8", ""},
		{"/v1/{name=movies/*}", "movies/..", ""},
		{"/v1/{name}", "", ""},
		{"/v1/*/{name}", "a", ""},
	} {
		parsed, err := Parse(c.template)
		if err != nil {
			t.Fatal(err)
		}
		if got := parsed.Expand(func(string) string { return c.value }); got != c.want {
			t.Errorf("%s with %q: %q, want %q", c.template, c.value, got, c.want)
		}
	}
}

// FuzzExpand: what a value expands to matches the template, with that value.
func FuzzExpand(f *testing.F) {
	for _, v := range []string{"movies/7", "movies/a b", "movies/ä:%2F?#", "movies/..", "", "movies/%2e"} {
		f.Add(v)
	}
	var tree Tree[string]
	var parsed []*Template
	for _, template := range []string{"/a/{name=movies/*}", "/b/{name=**}", "/c/{name}", "/d/{name=movies/*}:verb"} {
		if err := tree.Insert("GET", template, template); err != nil {
			f.Fatal(err)
		}
		p, err := Parse(template)
		if err != nil {
			f.Fatal(err)
		}
		parsed = append(parsed, p)
	}
	f.Fuzz(func(t *testing.T, value string) {
		for _, p := range parsed {
			path := p.Expand(func(string) string { return value })
			if path == "" {
				continue
			}
			m := tree.Match("GET", path, true)
			if got := m.Params()["name"]; !m.Found || got != value {
				t.Errorf("%q expands to %q, which matches %v with %q", value, path, m.Found, got)
			}
		}
	})
}
