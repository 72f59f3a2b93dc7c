package openapi

import (
	"embed"
	"net/http"
	"slices"
	"strconv"
)

//go:embed page/index.html page/app.js page/app.css page/problems.html
var page embed.FS

// contentPolicy lets the page load what is served with it, call the server that
// it came from, and nothing else.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// paths are what [Document.Handler] serves.
var paths = []string{"/openapi.json", "/openapi", "/openapi/", "/openapi/app.js", "/openapi/app.css", "/openapi/problems"}

// Paths returns the paths that every document's Handler serves.
func Paths() []string { return slices.Clone(paths) }

// Handler serves the document at /openapi.json, at /openapi/ a page to read it
// and to try calls, and at /openapi/problems what each error means. They ask no
// other server for anything. The page is not
// behind the gateway's authentication: mount it where the API may be known.
// Credentials that are typed into it are kept by nothing but the open page.
func (d *Document) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /openapi.json", file("application/json", d.json))
	mux.Handle("GET /openapi", http.RedirectHandler("openapi/", http.StatusPermanentRedirect))
	for path, f := range map[string][2]string{
		"/openapi/{$}":     {"index.html", "text/html; charset=utf-8"},
		"/openapi/app.js":  {"app.js", "text/javascript; charset=utf-8"},
		"/openapi/app.css": {"app.css", "text/css; charset=utf-8"},
	} {
		data, err := page.ReadFile("page/" + f[0])
		if err != nil { // not possible: it is embedded
			continue
		}
		mux.Handle("GET "+path, file(f[1], data))
	}
	mux.Handle("GET /openapi/problems", file("text/html; charset=utf-8", d.problems))
	return mux
}

// file serves bytes that do not change while the process lives.
func file(contentType string, data []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", contentType)
		h.Set("Content-Length", strconv.Itoa(len(data)))
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		if r.Method != http.MethodHead {
			_, _ = w.Write(data) // the caller may be gone
		}
	})
}
