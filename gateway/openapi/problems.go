package openapi

import (
	"bytes"
	html "html/template"
	"strings"

	"github.com/evenkeel/evenkeel/gateway/problem"
)

var problemsPage = html.Must(html.New("problems.html").Funcs(html.FuncMap{"words": words}).ParseFS(page, "page/problems.html"))

// problems returns the page that says what each problem means.
func problems(title string) ([]byte, error) {
	var b bytes.Buffer
	err := problemsPage.Execute(&b, struct {
		Title string
		Kinds []problem.Kind
	}{title, problem.Kinds()})
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
