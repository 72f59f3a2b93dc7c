package gateway_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http/httptest"

	"google.golang.org/grpc"

	hellov1 "github.com/evenkeel/evenkeel/examples/embed/proto/hello/v1"
	"github.com/evenkeel/evenkeel/gateway"
	"github.com/evenkeel/evenkeel/gateway/auth"
	"github.com/evenkeel/evenkeel/gateway/inprocess"
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
		err = gateway.Mount(g, gateway.Service[hellov1.HelloServiceClient]{
			Desc:      &hellov1.HelloService_ServiceDesc,
			Conn:      conn,
			NewClient: hellov1.NewHelloServiceClient,
			Register:  hellov1.RegisterHelloServiceHandlerClient,
		})
		if err != nil {
			return err
		}
		return g.Serve(ctx, listener)
	}
	_ = serve // from main, with a connection and a listener
}

// hello is a service.
type hello struct {
	hellov1.UnimplementedHelloServiceServer
}

func (hello) SayHello(_ context.Context, r *hellov1.SayHelloRequest) (*hellov1.SayHelloResponse, error) {
	return &hellov1.SayHelloResponse{Greeting: "Hello, " + r.GetName() + "!"}, nil
}

// The gateway beside its service, in one process and as one [http.Handler].
func Example_inProcess() {
	service, err := inprocess.New(inprocess.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer service.Close()
	hellov1.RegisterHelloServiceServer(service, hello{})

	door, err := gateway.New(gateway.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Println(err)
		return
	}
	err = gateway.Mount(door, gateway.Service[hellov1.HelloServiceClient]{
		Desc:      &hellov1.HelloService_ServiceDesc,
		Conn:      service,
		NewClient: hellov1.NewHelloServiceClient,
		Register:  hellov1.RegisterHelloServiceHandlerClient,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, target := range []string{"/v1/hello/you", "/v1/hello/you?loudly=true"} {
		r := httptest.NewRequest("GET", target, nil)
		r.Header.Set("X-Request-Id", "example")
		w := httptest.NewRecorder()
		door.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Body)
	}
	// Output:
	// 200 {"greeting":"Hello, you!","server":""}
	// 400 {"type":"about:blank","title":"Bad Request","status":400,"detail":"the query does not fit the method: loudly: there is no such query parameter","instance":"example","code":"INVALID_ARGUMENT","errors":[{"field":"loudly","detail":"there is no such query parameter"}],"details":[{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"field":"loudly","description":"there is no such query parameter"}]}]}
}
