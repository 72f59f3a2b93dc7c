package openapi

import (
	"bytes"
	html "html/template"
	"strings"

	"github.com/evenkeel/evenkeel/gateway/problem"
)

var problemsPage = html.Must(html.New("problems.html").Funcs(html.FuncMap{"words": words}).ParseFS(page, "page/problems.html"))

// Problems returns where callers find the page that Handler serves at
// /openapi/problems: below the first of Config.Servers. Behind it and a `#`, the
// Anchor of a [problem.Kind] is the type of such problems.
func (d *Document) Problems() string { return d.problemsAt }

func (c *Config) problemsAt() string {
	const path = "/openapi/problems"
	if len(c.Servers) == 0 {
		return path
	}
	return strings.TrimSuffix(c.Servers[0], "/") + path
}

// problems returns the page that says what each problem means.
func problems(title, at string) ([]byte, error) {
	var b bytes.Buffer
	err := problemsPage.Execute(&b, struct {
		Title, At string
		Kinds     []problem.Kind
	}{title, at, problem.Kinds()})
	return b.Bytes(), err
}

// A word is a part of a text.
type word struct {
	Text string
	Code bool
}

// words takes a text apart at its backquotes.
func words(text string) []word {
	var all []word
	code := false
	for part := range strings.SplitSeq(text, "`") {
		if part != "" {
			all = append(all, word{part, code})
		}
		code = !code
	}
	return all
}
