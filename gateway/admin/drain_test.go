package admin_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/test/bufconn"

	"github.com/evenkeel/evenkeel/gateway"
	"github.com/evenkeel/evenkeel/gateway/admin"
)

// listening is a listener in memory that may be asked.
type listening struct {
	*bufconn.Listener
	client *http.Client
}

func listen() listening {
	l := listening{Listener: bufconn.Listen(1 << 14)}
	l.client = &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return l.DialContext(ctx) },
	}}
	return l
}

// says returns the status and the text of an answer, or that there is none.
func (l listening) says(path string) string {
	resp, err := l.client.Get("http://localhost" + path)
	if err != nil {
		return "nothing"
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode == http.StatusServiceUnavailable && resp.Header.Get("Content-Type") == "application/problem+json" {
		return "503 problem"
	}
	return fmt.Sprintf("%d %s", resp.StatusCode, body)
}

// TestADrainCanBeWatchedToItsEnd goes through the order of a drain: first it is
// not ready, at both listeners, while the public one serves on; then that one
// closes; and the admin one is open until it is told to end itself.
func TestADrainCanBeWatchedToItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, err := gateway.New(gateway.Config{Logger: slog.New(slog.DiscardHandler)}) // with the default delay, 5 s
		if err != nil {
			t.Fatal(err)
		}
		a, err := admin.New(g, admin.Config{})
		if err != nil {
			t.Fatal(err)
		}
		public, inside := listen(), listen()
		ctx, stop := context.WithCancel(t.Context())
		insideCtx, stopInside := context.WithCancel(t.Context())
		served, shown := make(chan error, 1), make(chan error, 1)
		go func() { served <- g.Serve(ctx, public) }()
		go func() { shown <- a.Serve(insideCtx, inside) }()
		const ok = `200 {"status":"ok"}`
		check := func(when string, publicLive, publicReady, insideLive, insideReady string) {
			t.Helper()
			for _, c := range []struct {
				at   listening
				path string
				want string
			}{{public, "/livez", publicLive}, {public, "/readyz", publicReady}, {inside, "/livez", insideLive}, {inside, "/readyz", insideReady}} {
				if got := c.at.says(c.path); got != c.want {
					t.Errorf("%s: %s (public %v): %q, want %q", when, c.path, c.at == public, got, c.want)
				}
			}
		}
		check("before", ok, ok, "200 ok\n", "200 ok\n")
		stop()
		synctest.Wait()
		check("when it is told to end", ok, "503 problem", "200 ok\n", "503 not ready: draining\n")
		time.Sleep(4900 * time.Millisecond)
		check("at the end of the delay", ok, "503 problem", "200 ok\n", "503 not ready: draining\n")
		time.Sleep(200 * time.Millisecond)
		if err := <-served; err != nil {
			t.Error(err)
		}
		check("when it has ended", "nothing", "nothing", "200 ok\n", "503 not ready: draining\n")
		stopInside()
		if err := <-shown; err != nil {
			t.Error(err)
		}
		check("at last", "nothing", "nothing", "nothing", "nothing")
		time.Sleep(time.Second) // net/http lingers; in fake time
	})
}
