package gateway_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/test/bufconn"

	"github.com/evenkeel/evenkeel/gateway"
	"github.com/evenkeel/evenkeel/gateway/auth"
	"github.com/evenkeel/evenkeel/gateway/identity"
	"github.com/evenkeel/evenkeel/gateway/internal/testcert"
	testv1 "github.com/evenkeel/evenkeel/gateway/internal/testproto/evenkeel/test/v1"
	"github.com/evenkeel/evenkeel/internal/leaktest"
)

// believer answers with the caller that its interceptors found.
type believer struct{ library }

func (*believer) WhoAmI(ctx context.Context, _ *testv1.WhoAmIRequest) (*testv1.WhoAmIResponse, error) {
	p, ok := identity.FromContext(ctx)
	if !ok {
		return &testv1.WhoAmIResponse{}, nil
	}
	return &testv1.WhoAmIResponse{Subject: p.Subject, Scopes: p.Scopes}, nil
}

// TestTheWholeWayFromTokenToService puts a door in front of a service that
// believes doors only.
func TestTheWholeWayFromTokenToService(t *testing.T) {
	leaktest.Check(t)
	const id = "spiffe://mesh/door"
	ca := testcert.New(t)
	options, err := identity.ServerOptions(identity.Config{TrustedPeers: []string{id}})
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(append(options, grpc.Creds(credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{ca.Issue("spiffe://mesh/library")}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool,
	})))...)
	testv1.RegisterLibraryServiceServer(server, &believer{})
	listener := bufconn.Listen(1 << 20)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient("passthrough:///library",
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{ca.Issue(id)}, RootCAs: ca.Pool, ServerName: "server"})),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	tokens, err := auth.NewJWT(auth.JWTConfig{Issuer: issuer, Audiences: []string{audience}, JWKSFile: writeJWKS(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tokens.Close() })
	g, err := gateway.New(gateway.Config{Authenticators: []auth.Authenticator{tokens}, Policy: librarians, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := mountLibrary(g, conn); err != nil {
		t.Fatal(err)
	}
	d := &door{Gateway: g, t: t}
	v := d.do("GET", "/v1/whoami", "", bearer(token(t, "ann", "books.read"))).want(200).decode()
	if scopes, _ := v["scopes"].([]any); v["subject"] != "ann" || len(scopes) != 1 || scopes[0] != "books.read" {
		t.Errorf("caller %v", v)
	}
	d.do("GET", "/v1/books", "").want(200) // public, for nobody
	d.do("GET", "/v1/shelves/1/books/2", "", bearer(token(t, "ann", "books.read"))).want(200)
}
