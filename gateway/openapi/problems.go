package openapi

import (
	"bytes"
	html "html/template"

	"github.com/evenkeel/evenkeel/gateway/problem"
)

var problemsPage = html.Must(html.ParseFS(page, "page/problems.html"))

// problems returns the page that says what each problem means.
func problems(title string) ([]byte, error) {
	var b bytes.Buffer
	err := problemsPage.Execute(&b, struct {
		Title string
		Kinds []problem.Kind
	}{title, problem.Kinds()})
	return b.Bytes(), err
}
