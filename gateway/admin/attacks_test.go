package admin_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/evenkeel/evenkeel/gateway/admin"
)

// TestAttackAdminPages asks a listener that serves, as a page in an operator's
// browser could make that do, and as somebody on the machine could.
func TestAttackAdminPages(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	a := newAdmin(t, admin.Config{Profiles: true})
	go func() { done <- a.Serve(ctx, listener) }()
	ask := func(text string) (int, string) {
		t.Helper()
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body)
	}
	const own = "Host: localhost:9901\r\nConnection: close\r\n"
	for name, c := range map[string]struct {
		request string
		status  int
	}{
		"a rebound name":                {"GET /config.json HTTP/1.1\r\nHost: evil.example:9901\r\nConnection: close\r\n", 403},
		"a rebound name in the target":  {"GET http://evil.example/config.json HTTP/1.1\r\n" + own, 403},
		"a name that ends alike":        {"GET /config.json HTTP/1.1\r\nHost: localhost.evil.example\r\nConnection: close\r\n", 403},
		"two names":                     {"GET /config.json HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n", 400},
		"no name":                       {"GET /config.json HTTP/1.0\r\nConnection: close\r\n", 403},
		"a page of another site":        {"GET /routes HTTP/1.1\r\n" + own + "Sec-Fetch-Site: cross-site\r\n", 403},
		"its picture":                   {"GET /config.json HTTP/1.1\r\n" + own + "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n", 403},
		"its script":                    {"GET /debug/pprof/heap HTTP/1.1\r\n" + own + "Origin: https://evil.example\r\n", 403},
		"its form":                      {"POST /explain HTTP/1.1\r\n" + own + "Origin: null\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n", 403},
		"a path out of the pages":       {"GET /../../etc/passwd HTTP/1.1\r\n" + own, 404},
		"the same, escaped":             {"GET /static/%2e%2e%2f%2e%2e%2fetc/passwd HTTP/1.1\r\n" + own, 404},
		"headers without end":           {"GET / HTTP/1.1\r\n" + own + strings.Repeat("X-A: b\r\n", 20_000), 431},
		"somebody on the machine":       {"GET /config.json HTTP/1.1\r\n" + own, 200},
		"a person who typed an address": {"GET /routes.json HTTP/1.1\r\nHost: 127.0.0.1:9901\r\nConnection: close\r\nSec-Fetch-Site: none\r\n", 200},
	} {
		status, body := ask(c.request + "\r\n")
		if redirected := c.status == 404 && status >= 300 && status < 400; status != c.status && !redirected {
			t.Errorf("%s: %d, want %d; %s", name, status, c.status, body)
		}
		if strings.Contains(body, secret) || c.status != 200 && strings.Contains(body, "books.read") {
			t.Errorf("%s: it is told %s", name, body)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
