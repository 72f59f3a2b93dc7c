package overload

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/durationpb"
)

// ConnConfig says how calls are limited that go through [Limiter.Wrap].
type ConnConfig struct {
	// Priority says which calls go first. It is called concurrently. Default:
	// what the method declares, see [Declared]; Default for methods whose
	// descriptor is not linked in.
	Priority func(ctx context.Context, fullMethod string) Priority
}

// Wrap returns a connection whose calls are limited. A call that is refused is
// not made.
//
// A unary call is in flight until it ends. A stream is until its headers come or
// it ends, and its time says nothing: how long it lasts is up to who uses it.
func (l *Limiter) Wrap(conn grpc.ClientConnInterface, config ConnConfig) grpc.ClientConnInterface {
	if config.Priority == nil {
		declared := &declaredPriorities{}
		config.Priority = declared.of
	}
	return &limitedConn{ClientConnInterface: conn, limiter: l, priority: config.Priority}
}

type limitedConn struct {
	grpc.ClientConnInterface
	limiter  *Limiter
	priority func(context.Context, string) Priority
}

func (c *limitedConn) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	call, ok := c.limiter.Acquire(method, c.priority(ctx, method))
	if !ok {
		return c.limiter.refusal()
	}
	outcome := Ignored // of a call that panics
	defer func() { call.Done(outcome) }()
	err := c.ClientConnInterface.Invoke(ctx, method, args, reply, opts...)
	outcome = outcomeOf(err)
	return err
}

func (c *limitedConn) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	call, ok := c.limiter.Acquire(method, c.priority(ctx, method))
	if !ok {
		return nil, c.limiter.refusal()
	}
	stream, err := c.ClientConnInterface.NewStream(ctx, desc, method, opts...)
	if err != nil {
		call.Done(Ignored)
		return nil, err
	}
	s := &limitedStream{ClientStream: stream}
	s.accepted = sync.OnceFunc(func() { call.Done(Ignored) })
	// A stream whose user waits for nothing ends with its context.
	context.AfterFunc(stream.Context(), s.accepted)
	return s, nil
}

// limitedStream tells when a stream was accepted or ended.
type limitedStream struct {
	grpc.ClientStream
	accepted func()
}

func (s *limitedStream) Header() (metadata.MD, error) {
	defer s.accepted()
	return s.ClientStream.Header()
}

func (s *limitedStream) RecvMsg(m any) error {
	defer s.accepted()
	return s.ClientStream.RecvMsg(m)
}

func (s *limitedStream) SendMsg(m any) error {
	err := s.ClientStream.SendMsg(m)
	if errors.Is(err, io.EOF) {
		s.accepted() // it ended
	}
	return err
}

// outcomeOf tells what a call's status says about load. RESOURCE_EXHAUSTED says
// nothing: it is also for quotas of one caller, and one caller must not be able
// to lower the limit for all.
func outcomeOf(err error) Outcome {
	switch status.Code(err) {
	case codes.OK:
		return Succeeded
	case codes.DeadlineExceeded:
		return TimedOut
	case codes.Unavailable:
		return Dropped
	default:
		return Ignored
	}
}

// refusal is the error of a call that is not made.
func (l *Limiter) refusal() error {
	st := status.New(codes.Unavailable, "more calls are in flight than can be served in time")
	with, err := st.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(l.config.RetryAfter)})
	if err != nil {
		return st.Err() // not possible: the code is not OK
	}
	return with.Err()
}

// declaredPriorities remembers what methods declare. It grows with the methods
// that are linked in, not with what is asked.
type declaredPriorities struct{ known sync.Map }

func (d *declaredPriorities) of(_ context.Context, fullMethod string) Priority {
	if p, ok := d.known.Load(fullMethod); ok {
		return p.(Priority)
	}
	name := strings.ReplaceAll(strings.TrimPrefix(fullMethod, "/"), "/", ".")
	descriptor, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
	method, ok := descriptor.(protoreflect.MethodDescriptor)
	if err != nil || !ok {
		return Default
	}
	p, err := Declared(method)
	if err != nil {
		p = Default
	}
	d.known.Store(fullMethod, p)
	return p
}
