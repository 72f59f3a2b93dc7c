//go:build unix

package main

import (
	"context"
	"crypto/tls"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/evenkeel/evenkeel/gateway/auth"
	"github.com/evenkeel/evenkeel/gateway/identity"

	moviev1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/movie/v1"
)

// checkDirectCalls goes round the front door, with a forged identity: in plain
// text, and over TLS with no certificate.
func (m *runningMesh) checkDirectCalls(t *testing.T) {
	m.t = t
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	forged, err := identity.AppendToOutgoing(ctx, &auth.Principal{Subject: "mallory", Scopes: []string{"movies.read"}, Method: auth.MethodJWT})
	if err != nil {
		t.Fatal(err)
	}
	if md, _ := metadata.FromOutgoingContext(forged); len(md.Get(identity.MetadataKey)) != 1 {
		t.Fatal("the identity is not forged")
	}
	for name, creds := range map[string]credentials.TransportCredentials{
		"in plain text":         insecure.NewCredentials(),
		"without a certificate": credentials.NewTLS(&tls.Config{InsecureSkipVerify: true}),
	} {
		conn, err := grpc.NewClient("passthrough:///"+m.first.Replicas[0].Address, grpc.WithTransportCredentials(creds))
		if err != nil {
			t.Fatal(err)
		}
		call, cancel := context.WithTimeout(forged, 5*time.Second)
		got, err := moviev1.NewMovieServiceClient(conn).GetMovie(call, &moviev1.GetMovieRequest{Name: "movies/1"})
		cancel()
		conn.Close()
		if err == nil {
			t.Errorf("%s: got %s", name, got)
		}
	}
}
