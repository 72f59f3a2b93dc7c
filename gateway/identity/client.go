package identity

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/evenkeel/evenkeel/gateway/auth"
)

// UnaryClientInterceptor passes the caller that a handler's context carries on
// with the handler's own calls. A call made for nobody carries nobody.
func UnaryClientInterceptor() grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		ctx, err := forward(ctx)
		if err != nil {
			return err
		}
		return invoke(ctx, method, req, reply, cc, opts...)
	}
}

// StreamClientInterceptor does for streams what [UnaryClientInterceptor] does
// for unary calls.
func StreamClientInterceptor() grpc.StreamClientInterceptor {
	return func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, stream grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
		ctx, err := forward(ctx)
		if err != nil {
			return nil, err
		}
		return stream(ctx, desc, cc, method, opts...)
	}
}

func forward(ctx context.Context) (context.Context, error) {
	p, _ := auth.FromContext(ctx)
	ctx, err := AppendToOutgoing(ctx, p)
	if err != nil {
		return nil, status.Errorf(codes.Internal, "the caller's identity cannot be sent: %v", err)
	}
	return ctx, nil
}
