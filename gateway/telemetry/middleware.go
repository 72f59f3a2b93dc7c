package telemetry

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
)

// Middleware tells of the requests that next answers. Their route is the pattern
// that an [http.ServeMux] in next matched; put it around the mux, not around one
// of its handlers.
func (t *Telemetry) Middleware(next http.Handler) http.Handler {
	if t == nil || t.tracer == nil && t.metrics == nil {
		return next
	}
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		r, q := t.Start(r)
		// Copied, for the body that is counted and for the pattern, which the mux
		// sets in the request that it gets.
		r = r.WithContext(r.Context())
		w := &countingWriter{ResponseWriter: rw}
		body := &countingBody{ReadCloser: r.Body}
		if r.Body != nil && r.Body != http.NoBody {
			r.Body = body
		}
		defer func() {
			thrown := recover()
			q.End(Outcome{
				Route: t.routeOf(r.Pattern), Status: w.status, Panicked: thrown != nil && thrown != http.ErrAbortHandler,
				RequestBytes: body.n.Load(), ResponseBytes: w.n,
			})
			if thrown != nil {
				panic(thrown)
			}
		}()
		next.ServeHTTP(w, r)
		if w.status == 0 {
			w.status = http.StatusOK // as net/http answers
		}
	})
}

// routeOf returns the route of a pattern, which is registered, so that there are
// not more of them than there are handlers.
func (t *Telemetry) routeOf(pattern string) *Route {
	if pattern == "" {
		return nil
	}
	if r, ok := t.patterns.Load(pattern); ok {
		return r.(*Route)
	}
	method, path, ok := strings.Cut(pattern, " ")
	if !ok {
		method, path = "", pattern
	}
	r, _ := t.patterns.LoadOrStore(pattern, t.NewRoute(method, strings.TrimLeft(path, " \t"), ""))
	return r.(*Route)
}

// countingBody counts what a handler reads.
type countingBody struct {
	io.ReadCloser
	n atomic.Int64
}

func (b *countingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n.Add(int64(n))
	return n, err
}

// countingWriter counts what a handler answers.
type countingWriter struct {
	http.ResponseWriter
	status int
	n      int64
}

func (w *countingWriter) WriteHeader(status int) {
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *countingWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(p)
	w.n += int64(n)
	return n, err
}

// Flush is there for handlers that ask for an [http.Flusher].
func (w *countingWriter) Flush() { _ = http.NewResponseController(w.ResponseWriter).Flush() }

// Unwrap lets [http.ResponseController] through.
func (w *countingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
