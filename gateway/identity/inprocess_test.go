package identity_test

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/evenkeel/evenkeel/gateway/auth"
	"github.com/evenkeel/evenkeel/gateway/identity"
	"github.com/evenkeel/evenkeel/gateway/inprocess"
	testv1 "github.com/evenkeel/evenkeel/gateway/internal/testproto/evenkeel/test/v1"
)

// reader tells who reads.
type reader struct {
	testv1.UnimplementedLibraryServiceServer
	caller *auth.Principal
}

func (r *reader) GetBook(ctx context.Context, _ *testv1.GetBookRequest) (*testv1.Book, error) {
	r.caller, _ = identity.FromContext(ctx)
	return &testv1.Book{}, nil
}

func TestACallerInTheSameProcessIsBelieved(t *testing.T) {
	unary, stream, err := identity.Interceptors(identity.Config{})
	if err != nil {
		t.Fatal(err)
	}
	server, err := inprocess.New(inprocess.Config{
		UnaryInterceptors: []grpc.UnaryServerInterceptor{unary}, StreamInterceptors: []grpc.StreamServerInterceptor{stream},
	})
	if err != nil {
		t.Fatal(err)
	}
	r := &reader{}
	testv1.RegisterLibraryServiceServer(server, r)
	client := testv1.NewLibraryServiceClient(server)

	for name, c := range map[string]struct {
		principal *auth.Principal
		want      codes.Code
	}{
		"one who may":     {&auth.Principal{Subject: "ada", Scopes: []string{"books.read"}, Method: auth.MethodJWT}, codes.OK},
		"one who may not": {&auth.Principal{Subject: "bob", Method: auth.MethodJWT}, codes.PermissionDenied},
		"nobody":          {nil, codes.Unauthenticated},
	} {
		ctx, err := identity.AppendToOutgoing(t.Context(), c.principal)
		if err != nil {
			t.Fatal(err)
		}
		r.caller = nil
		_, err = client.GetBook(ctx, &testv1.GetBookRequest{})
		if status.Code(err) != c.want || c.want == codes.OK && (r.caller == nil || r.caller.Subject != "ada") {
			t.Errorf("%s: %+v %v", name, r.caller, err)
		}
	}
	ctx := metadata.AppendToOutgoingContext(t.Context(), identity.MetadataKey, "\xff")
	if _, err := client.GetBook(ctx, &testv1.GetBookRequest{}); status.Code(err) != codes.Unauthenticated {
		t.Error(err)
	}
	// Values of the caller's own context prove nothing.
	ctx = auth.NewContext(t.Context(), &auth.Principal{Subject: "ada", Scopes: []string{"books.read"}})
	if _, err := client.GetBook(ctx, &testv1.GetBookRequest{}); status.Code(err) != codes.Unauthenticated {
		t.Error(err)
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
}
