package door

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/evenkeel/evenkeel/examples/mesh/internal/fleet"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/keys"
)

// serveDoor serves the mesh's door in front of conn.
func serveDoor(t *testing.T, conn grpc.ClientConnInterface) (url, key string, stop func()) {
	t.Helper()
	made, err := keys.New()
	if err != nil {
		t.Fatal(err)
	}
	jwks := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(jwks, made.JWKS(), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := New(Config{
		Trust:  Trust{JWKSFile: jwks, APIKeySHA256: made.APIKeySHA256()},
		Conns:  map[string]grpc.ClientConnInterface{fleet.Movie: conn},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Serve(ctx, listener) }()
	return "http://" + listener.Addr().String(), made.APIKey(), func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestTheDoorDescribesItself(t *testing.T) {
	conn, err := grpc.NewClient("passthrough:///nowhere", grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	url, _, stop := serveDoor(t, conn)
	defer stop()
	resp, err := http.Get(url + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var doc struct{ Paths map[string]any }
	if err := json.NewDecoder(resp.Body).Decode(&doc); err != nil || doc.Paths["/v1/movies/{name}"] == nil {
		t.Errorf("%d paths, %v", len(doc.Paths), err)
	}
	http.DefaultClient.CloseIdleConnections()
}
