package gateway

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// never is a connection that fails the test if it is used.
type never struct{ t *testing.T }

func (n never) Invoke(context.Context, string, any, any, ...grpc.CallOption) error {
	n.t.Error("a call went through")
	return nil
}

func (n never) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	n.t.Error("a stream went through")
	return nil, nil
}

func TestOnlyTheAuthorizedMethodCanBeCalled(t *testing.T) {
	u := &upstream{conn: never{t}}
	x := &exchange{binding: &binding{rpc: "/a.S/Allowed"}}
	for name, ctx := range map[string]context.Context{
		"outside of any request":  t.Context(),
		"for another method":      context.WithValue(t.Context(), exchangeKey{}, x),
		"for no request, a probe": context.WithValue(t.Context(), exchangeKey{}, &exchange{probe: &probed{}}),
	} {
		err := u.Invoke(ctx, "/a.S/Other", &emptypb.Empty{}, &emptypb.Empty{})
		if c := status.Code(err); c != codes.Internal && c != codes.Aborted {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := u.NewStream(context.WithValue(t.Context(), exchangeKey{}, x), &grpc.StreamDesc{ServerStreams: true}, "/a.S/Other"); status.Code(err) != codes.Internal {
		t.Errorf("a stream: %v", err)
	}
}
