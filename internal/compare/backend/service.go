package backend

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/evenkeel/evenkeel/internal/compare/share"
)

// method is the backend's one method. Its request says how much work the call is:
// the client draws it, so that all policies are given the same calls.
const method = "/evenkeel.compare.Backend/Work"

// service is written out, since its messages are all well known.
var service = grpc.ServiceDesc{
	ServiceName: "evenkeel.compare.Backend",
	HandlerType: (*worker)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "Work", Handler: handleWork}},
}

type worker interface {
	work(ctx context.Context, amount time.Duration) error
}

func handleWork(srv any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
	request := new(durationpb.Duration)
	if err := decode(request); err != nil {
		return nil, err
	}
	handler := func(ctx context.Context, request any) (any, error) {
		return new(emptypb.Empty), srv.(worker).work(ctx, request.(*durationpb.Duration).AsDuration())
	}
	if interceptor == nil {
		return handler(ctx, request)
	}
	return interceptor(ctx, request, &grpc.UnaryServerInfo{Server: srv, FullMethod: method}, handler)
}

func (s *Server) work(ctx context.Context, amount time.Duration) error {
	if amount <= 0 {
		return status.Errorf(codes.InvalidArgument, "the work is %v: want more than 0", amount)
	}
	switch err := s.pool.Do(ctx, amount); {
	case errors.Is(err, share.ErrFull):
		return status.Error(codes.ResourceExhausted, err.Error())
	case err != nil:
		return status.FromContextError(err).Err()
	}
	return nil
}

// Call has a backend do some work.
func Call(ctx context.Context, conn grpc.ClientConnInterface, work time.Duration) error {
	return conn.Invoke(ctx, method, durationpb.New(work), new(emptypb.Empty))
}
