package telemetry_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestTheMiddlewareNamesRequestsByTheMuxesPattern(t *testing.T) {
	k := keep(t, nil)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /items/{id}", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, "made")
	})
	mux.HandleFunc("/quiet", func(http.ResponseWriter, *http.Request) {})
	h := k.Middleware(mux)
	for _, c := range []struct{ method, path string }{{"POST", "/items/1"}, {"POST", "/items/2"}, {"GET", "/quiet"}, {"GET", "/nowhere"}} {
		r := httptest.NewRequest(c.method, c.path, strings.NewReader("body!"))
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	k.wantMetrics(
		"http.server.request.body.size{http.request.method=POST,http.response.status_code=201,http.route=/items/{id},network.protocol.version=1.1,url.scheme=http} count=2 sum=10",
		"http.server.response.body.size{http.request.method=POST,http.response.status_code=201,http.route=/items/{id},network.protocol.version=1.1,url.scheme=http} count=2 sum=8",
		"http.server.request.duration{http.request.method=GET,http.response.status_code=200,http.route=/quiet,network.protocol.version=1.1,url.scheme=http} count=1",
	)
	var names []string
	for _, s := range k.spans.Ended() {
		names = append(names, s.Name())
	}
	// What the mux answers itself has a pattern of its own making, or none.
	if got := strings.Join(names[:3], ","); got != "POST /items/{id},POST /items/{id},GET /quiet" || strings.Contains(names[3], "nowhere") {
		t.Errorf("names %q", names)
	}
}

func TestTheMiddlewareTellsOfAPanicAndLetsItGoOn(t *testing.T) {
	for _, c := range []struct {
		thrown any
		want   bool
	}{{"a bug", true}, {http.ErrAbortHandler, false}} {
		k := keep(t, nil)
		h := k.Middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(c.thrown) }))
		func() {
			defer func() {
				if thrown := recover(); thrown != c.thrown {
					t.Errorf("thrown %v", thrown)
				}
			}()
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
		}()
		if got := strings.Contains(k.metrics(), "evenkeel.gateway.panics"); got != c.want {
			t.Errorf("%v: counted %v", c.thrown, got)
		}
		k.wantMetrics("http.server.active_requests{http.request.method=GET,url.scheme=http} 0")
	}
}

func TestTheMiddlewareLetsHandlersFlush(t *testing.T) {
	k := keep(t, nil)
	h := k.Middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("now"))
		w.(http.Flusher).Flush()
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
	}))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if !w.Flushed || !bytes.Equal(w.Body.Bytes(), []byte("now")) {
		t.Error("not flushed")
	}
}
