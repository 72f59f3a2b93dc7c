package gateway_test

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

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
