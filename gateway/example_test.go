package gateway_test

import (
	"context"
	"net"

	"google.golang.org/grpc"

	"github.com/evenkeel/evenkeel/gateway"
	"github.com/evenkeel/evenkeel/gateway/auth"
	testv1 "github.com/evenkeel/evenkeel/gateway/internal/testproto/evenkeel/test/v1"
)

func Example() {
	serve := func(ctx context.Context, conn *grpc.ClientConn, listener net.Listener) error {
		tokens, err := auth.NewJWT(auth.JWTConfig{
			Issuer:    "https://id.example.com",
			Audiences: []string{"https://api.example.com"},
			JWKSURL:   "https://id.example.com/jwks.json",
		})
		if err != nil {
			return err
		}
		defer tokens.Close()
		g, err := gateway.New(gateway.Config{Authenticators: []auth.Authenticator{tokens}})
		if err != nil {
			return err
		}
		err = gateway.Mount(g, gateway.Service[testv1.LibraryServiceClient]{
			Desc:      &testv1.LibraryService_ServiceDesc,
			Conn:      conn,
			NewClient: testv1.NewLibraryServiceClient,
			Register:  testv1.RegisterLibraryServiceHandlerClient,
		})
		if err != nil {
			return err
		}
		return g.Serve(ctx, listener)
	}
	_ = serve // from main, with a connection and a listener
}
