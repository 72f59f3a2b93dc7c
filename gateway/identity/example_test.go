package identity_test

import (
	"context"
	"fmt"

	"google.golang.org/grpc"

	"github.com/evenkeel/evenkeel/gateway/auth"
	"github.com/evenkeel/evenkeel/gateway/identity"
	"github.com/evenkeel/evenkeel/gateway/inprocess"
	testv1 "github.com/evenkeel/evenkeel/gateway/internal/testproto/evenkeel/test/v1"
)

// greeter is a service that asks who calls.
type greeter struct {
	testv1.UnimplementedLibraryServiceServer
}

func (greeter) WhoAmI(ctx context.Context, _ *testv1.WhoAmIRequest) (*testv1.WhoAmIResponse, error) {
	caller, _ := identity.FromContext(ctx)
	return &testv1.WhoAmIResponse{Subject: caller.Subject}, nil
}

// A service learns who calls, and enforces the option access, also where what
// stands in front of it is not a gateway. Over a network, ServerOptions do so for
// peers with certificates; here both are in one process.
func Example() {
	unary, stream, err := identity.Interceptors(identity.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	server, err := inprocess.New(inprocess.Config{
		UnaryInterceptors:  []grpc.UnaryServerInterceptor{unary},
		StreamInterceptors: []grpc.StreamServerInterceptor{stream},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	testv1.RegisterLibraryServiceServer(server, greeter{})
	client := testv1.NewLibraryServiceClient(server)

	for _, caller := range []*auth.Principal{{Subject: "ada", Method: auth.MethodJWT}, nil} {
		ctx, err := identity.AppendToOutgoing(context.Background(), caller)
		if err != nil {
			fmt.Println(err)
			return
		}
		answer, err := client.WhoAmI(ctx, &testv1.WhoAmIRequest{})
		fmt.Println(answer.GetSubject(), err)
	}
	// Output:
	// ada <nil>
	//  rpc error: code = Unauthenticated desc = the call is made on nobody's behalf, and the method needs a caller
}
