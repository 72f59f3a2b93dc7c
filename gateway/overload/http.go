package overload

import (
	"net/http"

	"google.golang.org/grpc/codes"

	"github.com/evenkeel/evenkeel/gateway/problem"
)

// MiddlewareConfig says how requests are limited before an [http.Handler].
type MiddlewareConfig struct {
	// Method names what takes about the same time whenever it is asked for.
	// Default: the pattern that [http.ServeMux] matched, so that the middleware
	// goes inside it.
	Method func(*http.Request) string
	// Priority says which requests go first. Default: all are Default.
	Priority func(*http.Request) Priority
}

// Middleware limits the requests that are in next at once; others are answered
// 503. The time that is measured is that of next as a whole: what waits for a
// slow caller, as by reading a long body, does not belong into it.
func (l *Limiter) Middleware(next http.Handler, config MiddlewareConfig) http.Handler {
	if config.Method == nil {
		config.Method = func(r *http.Request) string { return r.Pattern }
	}
	if config.Priority == nil {
		config.Priority = func(*http.Request) Priority { return Default }
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		call, ok := l.Acquire(config.Method(r), config.Priority(r))
		if !ok {
			l.Problem().Write(w)
			return
		}
		sw := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		outcome := Ignored // of a handler that panics
		defer func() { call.Done(outcome) }()
		next.ServeHTTP(sw, r)
		if r.Context().Err() == nil {
			outcome = outcomeOfStatus(sw.status)
		}
	})
}

// Problem returns the answer to a request that is refused.
func (l *Limiter) Problem() *problem.Problem {
	p := problem.New(http.StatusServiceUnavailable, codes.Unavailable, "more requests are in flight than can be served in time; Retry-After tells when to try again")
	p.RetryAfter = l.config.RetryAfter
	return p
}

func outcomeOfStatus(status int) Outcome {
	switch {
	case status < http.StatusBadRequest:
		return Succeeded
	case status == http.StatusGatewayTimeout:
		return TimedOut
	case status == http.StatusServiceUnavailable:
		return Dropped
	default:
		return Ignored
	}
}

// statusWriter remembers the status.
type statusWriter struct {
	http.ResponseWriter
	status int
	sent   bool
}

func (w *statusWriter) WriteHeader(status int) {
	if !w.sent && status >= 200 {
		w.status, w.sent = status, true
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(p []byte) (int, error) {
	w.sent = true
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController through.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
