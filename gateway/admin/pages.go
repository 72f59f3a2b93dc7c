package admin

import (
	"bytes"
	"embed"
	"encoding/json"
	"html/template"
	"io"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/evenkeel/evenkeel/gateway"
)

//go:embed page/*.html page/style.css
var page embed.FS

var pages = template.Must(template.ParseFS(page, "page/*.html"))

// render writes a page.
func (a *Admin) render(w http.ResponseWriter, name, title string, data any) {
	var b bytes.Buffer
	err := pages.ExecuteTemplate(&b, name+".html", struct {
		Title    string
		Profiles bool
		Extra    []string
		Data     any
	}{title, a.config.Profiles, a.extra(), data})
	if err != nil { // not possible with the pages as they are
		http.Error(w, "the page cannot be made", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(b.Bytes()) // the caller may be gone
}

// extra are the paths that were added, sorted.
func (a *Admin) extra() []string {
	var paths []string
	for path := range a.config.Handlers {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return paths
}

func serveStyle(w http.ResponseWriter, _ *http.Request) {
	style, err := page.ReadFile("page/style.css")
	if err != nil { // not possible: it is embedded
		return
	}
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	_, _ = w.Write(style)
}

// answer writes v in the form that the path asks for: as JSON, as text, or as a
// page.
func (a *Admin) answer(w http.ResponseWriter, r *http.Request, v any, text func(io.Writer), html func()) {
	switch {
	case strings.HasSuffix(r.URL.Path, ".json"):
		w.Header().Set("Content-Type", "application/json")
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		_ = e.Encode(v)
	case strings.HasSuffix(r.URL.Path, ".txt"):
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		text(w)
	default:
		html()
	}
}

// overview is what the first page shows.
type overview struct {
	State      string // ready, not ready, draining
	Why        string
	Services   []gateway.Mounted
	Routes     int
	Host       string
	PID        int
	Uptime     time.Duration
	Go         string
	Program    string
	Version    string
	Goroutines int
}

func (a *Admin) serveIndex(w http.ResponseWriter, r *http.Request) {
	o := overview{
		State: "ready", Services: a.gateway.Services(), Routes: len(a.gateway.Routes()), PID: os.Getpid(),
		Uptime: time.Since(a.started).Round(time.Second), Go: runtime.Version(), Goroutines: runtime.NumGoroutine(),
	}
	o.Host, _ = os.Hostname()
	if info, ok := debug.ReadBuildInfo(); ok {
		o.Program, o.Version = info.Path, versionOf(info)
	}
	if err := a.gateway.Ready(r.Context()); err != nil {
		o.State, o.Why = "not ready", err.Error()
	}
	a.render(w, "index", "Overview", o)
}

// versionOf is the version of the program, or else its commit.
func versionOf(info *debug.BuildInfo) string {
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}

func (a *Admin) serveLive(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, "ok\n")
}

func (a *Admin) serveReady(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if err := a.gateway.Ready(r.Context()); err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "not ready: "+err.Error()+"\n")
		return
	}
	_, _ = io.WriteString(w, "ok\n")
}
