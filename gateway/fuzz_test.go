package gateway_test

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/gateway"
)

// FuzzRequest sends anything at all through the door: what comes back is an
// answer that says what is wrong and nothing of what is inside, and never 500.
func FuzzRequest(f *testing.F) {
	for _, c := range []struct{ method, target, body, header string }{
		{"POST", "/v1/echo", `{"text":"a","nested":{"number":1}}`, ""},
		{"POST", "/v1/books:upload", `{"book":{"title":"a"}}{"book":`, ""},
		{"POST", "/v1/chat", `{"text":"a"} x`, "text/event-stream"},
		{"PATCH", "/v1/shelves/1/books/2/notes/3?update_mask=text", `{"text":"x","author":{}}`, `"v1"`},
		{"GET", "/v1/echo?$alt=json&counts[a]=1&time=x", "", "application/json"},
		{"GET", "/v1/shelves/1/books/2/notes/3", "", `W/"v1", *`},
		{"PUT", "/v1/files/a/../b", "\x00\xff", "*/*;q=0"},
		{"GET", "/v1/events?alt=sse", "", "c1"},
	} {
		f.Add(c.method, c.target, c.body, c.header)
	}
	d := newDoor(f, func(c *gateway.Config) { c.Logger = slog.New(slog.DiscardHandler) })
	f.Fuzz(func(t *testing.T, method, target, body, value string) {
		if !sendable(method, target, value) || asksForIt(target+body) {
			return
		}
		here := &door{Gateway: d.Gateway, t: t, books: d.books}
		a := here.do(method, target, body, header("Accept", value), header("If-Match", value), header("If-None-Match", value), header("Last-Event-ID", value))
		if a.status == 500 || a.status < 200 || a.status > 599 {
			t.Fatalf("%s %s: %d %s", method, target, a.status, a.body)
		}
		if a.status >= 400 {
			var p problem
			if method == "HEAD" {
				return
			}
			if err := json.Unmarshal([]byte(a.body), &p); err != nil || p.Status != a.status || p.Detail == "" {
				t.Errorf("%s %s: %v in %s", method, target, err, a.body)
			}
		}
	})
}

// FuzzHeaders sends any header with any body, plain or gzip: none of them makes
// the door fail, or tells the backend who calls.
func FuzzHeaders(f *testing.F) {
	for _, c := range []struct{ name, value, body string }{
		{"Accept-Encoding", "gzip;q=0.5, *;q=0", `{}`}, {"Content-Type", "application/json; charset=\"utf-8", `{}`}, {"Content-Type", "application/x-ndjson;;", `{}`},
		{"Content-Encoding", "gzip", zipped(f, `{"text":"a"}`)}, {"Content-Encoding", "gzip", zipped(f, `{}`)[:15]}, {"Content-Encoding", "gzip", "\x1f\x8b\x08\xff"},
		{"Grpc-Timeout", "1S", ""}, {"Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", ""}, {"Tracestate", "a=b", ""}, {"Accept-Language", "\x80", ""},
		{"Evenkeel-Principal-Bin", "AAAA", ""}, {"Grpc-Metadata-Evenkeel-Principal-Bin", "AAAA", ""}, {"Authorization", "Bearer a.b.c", ""}, {"Authorization", "basic", ""},
		{"X-Api-Key", "ek_x", ""}, {"X-Request-Id", "a b", ""}, {"X-Forwarded-For", "1.2.3.4, [::1]:5", ""}, {"Te", "trailers", ""}, {"Expect", "200-ok", ""},
		{"Last-Event-Id", "c1", ""}, {"If-Match", `"a", W/"b`, `{}`}, {"Origin", "null", ""}, {"Cookie", "=;", ""}, {"Connection", "close, authorization", ""},
	} {
		f.Add(c.name, c.value, c.body)
	}
	d := newDoor(f, func(c *gateway.Config) {
		c.Logger = slog.New(slog.DiscardHandler)
		c.ForwardHeaders = []string{"x-tenant"}
	})
	known := token(f, "ann")
	f.Fuzz(func(t *testing.T, name, value, body string) {
		if !sendable("GET", "/", value) || !validName(name) || asksForIt(body) {
			return
		}
		here := &door{Gateway: d.Gateway, t: t, books: d.books}
		sent := header(name, value)
		for _, a := range []*answer{here.do("POST", "/v1/echo", body, sent), here.do("POST", "/v1/books:upload", body, sent), here.do("GET", "/v1/whoami", "", sent)} {
			if a.status == 500 || a.status < 200 || a.status > 599 {
				t.Errorf("%s: %q: %d %s", name, value, a.status, a.body)
			}
		}
		a := here.do("GET", "/v1/whoami", "", sent, bearer(known))
		if a.status != 200 {
			return // a second credential, or a header that is wrong
		}
		if v := a.decode(); v["subject"] != "ann" {
			t.Errorf("%s: %q: the backend believes that %v calls", name, value, v["subject"])
		}
	})
}

// validName reports whether net/http would take a header of that name.
func validName(name string) bool {
	for _, c := range []byte(name) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.') {
			return false
		}
	}
	return name != ""
}

// FuzzExplain asks about any request: the answer is what becomes of it, or that
// it is none, and nothing is called.
func FuzzExplain(f *testing.F) {
	f.Add("GET", "/v1/books?page_size=1", "Accept", "application/json", "")
	f.Add("POST", "/v1/echo", "Content-Encoding", "gzip", "x")
	f.Add("PATCH", "/v1/shelves/1/books/2", "If-Match", `"a"`, `{"title":"x"}`)
	f.Add("OPTIONS", "*", "", "", "")
	f.Add("get it", "http://x/%zz", "\r\n", "\x00", "\xff")
	f.Add("", "//v1/../..", "Grpc-Timeout", "1S", "{")
	d := newDoor(f, func(c *gateway.Config) { c.Logger = slog.New(slog.DiscardHandler) })
	f.Fuzz(func(t *testing.T, method, target, name, value, body string) {
		e, err := d.Explain(t.Context(), gateway.Question{Method: method, Target: target, Header: map[string][]string{name: {value}}, Body: []byte(body)})
		switch {
		case err != nil:
			if !strings.HasPrefix(err.Error(), "gateway: Explain: ") {
				t.Errorf("%v", err)
			}
		case len(e.Steps) == 0, e.Called == (e.Status != 0), e.Status == 500:
			t.Errorf("%s %s: %+v", method, target, e)
		}
		if n := d.books.callCount(); n > 0 {
			t.Fatal("the backend was called")
		}
	})
}

// FuzzConfig makes doors of any config: they are made, with every value within
// its range, or refused by the name of the field.
func FuzzConfig(f *testing.F) {
	f.Add("evenkeel", "x-tenant", "x-total", "/livez", int64(0), int64(0))
	f.Add("a\"b", "Evenkeel-Principal-Bin", "grpc-status", "livez", int64(-1), int64(1))
	f.Add("", "Connection", "Content-Type", "/a?b", int64(1<<62), int64(-1<<63))
	f.Add("ä", "", " ", "/", int64(5), int64(time.Second))
	f.Fuzz(func(t *testing.T, realm, forward, back, path string, number, period int64) {
		config := gateway.Config{
			Realm: realm, ForwardHeaders: []string{forward}, ReturnHeaders: []string{back}, Logger: slog.New(slog.DiscardHandler),
			Limits:   gateway.Limits{BodyBytes: number, JSONDepth: int(number), Connections: int(number), HeldBytes: period},
			Timeouts: gateway.Timeouts{Call: time.Duration(period), Write: time.Duration(number)},
			Health:   gateway.Health{LivePath: path}, Drain: gateway.Drain{Delay: time.Duration(period)},
		}
		g, err := gateway.New(config)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "gateway: Config.") {
				t.Errorf("%v", err)
			}
			return
		}
		c := g.Config()
		if c.Limits.BodyBytes < 1 || c.Limits.JSONDepth < 1 || c.Limits.JSONDepth > 1000 || c.Limits.HeldBytes < 1<<20 || c.Timeouts.Call <= 0 || c.Timeouts.Call > c.Timeouts.CallMax || c.Drain.Delay < 0 || c.Timeouts.Write <= 0 {
			t.Errorf("%+v", c)
		}
		for _, name := range append(c.ForwardHeaders, c.ReturnHeaders...) {
			lower := strings.ToLower(name)
			if !validName(name) || strings.HasPrefix(lower, "grpc-") || strings.HasPrefix(lower, "evenkeel-principal") || lower == "connection" {
				t.Errorf("%q goes through", name)
			}
		}
	})
}

// asksForIt reports whether a request may want the backend to fail or to take
// long, which it would.
func asksForIt(s string) bool {
	for _, word := range []string{"linger", "sleep", "fail", "panic", "code", "trap", "flaky", "count", "pause", "parts", "7"} {
		if strings.Contains(strings.ToLower(s), word) {
			return true
		}
	}
	return strings.Contains(s, "%")
}

// sendable reports whether net/http would let a request through.
func sendable(method, target, value string) bool {
	if !strings.HasPrefix(target, "/") || method == "" {
		return false
	}
	for _, c := range []byte(method) {
		if c < 'A' || c > 'Z' {
			return false
		}
	}
	for _, c := range []byte(target) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return !strings.ContainsAny(value, "\r\n\x00")
}
