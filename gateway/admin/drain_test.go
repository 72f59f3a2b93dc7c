package admin_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/test/bufconn"

	"github.com/evenkeel/evenkeel/gateway"
	"github.com/evenkeel/evenkeel/gateway/admin"
)

func TestADrainCanBeWatchedToItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, err := gateway.New(gateway.Config{Logger: slog.New(slog.DiscardHandler), Drain: gateway.Drain{Delay: 5 * time.Second}})
		if err != nil {
			t.Fatal(err)
		}
		a, err := admin.New(g, admin.Config{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- g.Serve(ctx, bufconn.Listen(1)) }()
		synctest.Wait()
		if w := get(a, "/readyz"); w.Code != 200 {
			t.Errorf("before: %d %s", w.Code, w.Body)
		}
		stop()
		time.Sleep(4 * time.Second)
		if w := get(a, "/readyz"); w.Code != 503 || w.Body.String() != "not ready: draining\n" {
			t.Errorf("while it drains: %d %q", w.Code, w.Body)
		}
		if w := get(a, "/livez"); w.Code != 200 {
			t.Errorf("while it drains: %d", w.Code)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		if w := get(a, "/readyz"); w.Code != 503 {
			t.Errorf("after: %d", w.Code)
		}
	})
}
