package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/evenkeel/evenkeel/gateway/identity"
	"github.com/evenkeel/evenkeel/gateway/internal/wirejson"
)

// upstream is the connection that the generated clients use. It is the last
// gate: a stream passes only within an exchange that was authorized for just
// that method, with valid messages, and with the caller's identity on it. Unary
// calls do not come here, see callUnary.
type upstream struct {
	conn          grpc.ClientConnInterface
	decodeReplies bool
}

var _ grpc.ClientConnInterface = (*upstream)(nil)

// admit returns the exchange that a call belongs to, and the context that it is
// to be made with.
func admit(ctx context.Context, method string) (*exchange, context.Context, error) {
	x, ok := ctx.Value(exchangeKey{}).(*exchange)
	switch {
	case !ok:
		return nil, nil, status.Error(codes.Internal, "a call outside of any request")
	case x.probe != nil:
		return nil, nil, status.Error(codes.Aborted, "only a probe")
	case x.binding.rpc != method:
		return nil, nil, status.Errorf(codes.Internal, "a call of %s in a request for %s", method, x.binding.rpc)
	}
	ctx, err := identity.AppendToOutgoing(ctx, x.principal)
	if err != nil {
		return nil, nil, status.Errorf(codes.Internal, "the caller's identity cannot be sent: %v", err)
	}
	return x, x.observed.Inject(ctx), nil
}

// Invoke refuses every call. A generated handler of a unary method makes one only
// when it is probed.
func (u *upstream) Invoke(ctx context.Context, method string, _, _ any, _ ...grpc.CallOption) error {
	_, _, err := admit(ctx, method)
	if err == nil {
		err = status.Error(codes.Internal, "the gateway makes unary calls itself")
	}
	return err
}

// complete puts into a request what the generated handlers do not.
func (x *exchange) complete(args any) error {
	msg, ok := args.(proto.Message)
	if !ok || x.queried == nil && x.patch == nil && x.ifMatch == "" {
		return nil
	}
	if x.queried != nil {
		proto.Merge(msg, x.queried)
	}
	p := x.applyPatch(msg)
	if p == nil {
		p = x.applyIfMatch(msg.ProtoReflect())
	}
	if p != nil {
		x.refused.Store(p)
	}
	return x.refusal()
}

func (u *upstream) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	if x, ok := ctx.Value(exchangeKey{}).(*exchange); ok && x.probe != nil {
		return probeStream{ctx}, nil
	}
	x, ctx, err := admit(ctx, method)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	return &lazyStream{x: x, ctx: ctx, cancel: cancel, started: make(chan struct{}), open: func() (grpc.ClientStream, error) {
		if x.dry != nil {
			return nil, x.dry.stop()
		}
		x.called.Store(true)
		return u.conn.NewStream(ctx, desc, method, x.binding.withReplies(u.decodeReplies, opts)...)
	}}, nil
}

// lazyStream opens the stream when its first message is found to be valid, or
// when there is none, so that the backend does not see one that is not.
type lazyStream struct {
	x      *exchange
	ctx    context.Context
	cancel context.CancelFunc // the request's end cancels it anyway
	open   func() (grpc.ClientStream, error)

	once    sync.Once
	started chan struct{} // closed when the two below are set
	stream  grpc.ClientStream
	err     error

	header metadata.MD // that came
	ended  error       // what RecvMsg returns from now on
}

// start opens the stream, unless its first message was refused.
func (s *lazyStream) start() error {
	s.once.Do(func() {
		if s.err = s.x.refusal(); s.err != nil {
		} else if s.stream, s.err = s.open(); s.err != nil {
			s.err = unquoted{s.err}
		}
		close(s.started)
	})
	return s.err
}

// wait waits for the sending side to start: in a bidirectional stream, that is
// another goroutine.
func (s *lazyStream) wait() error {
	select {
	case <-s.started:
		return s.err
	default:
	}
	select {
	case <-s.started:
		return s.err
	case <-s.ctx.Done():
		return status.FromContextError(s.ctx.Err()).Err()
	}
}

func (s *lazyStream) SendMsg(m any) error {
	if !s.x.binding.clientStream() {
		if err := s.x.complete(m); err != nil {
			return err
		}
	}
	if err := s.x.check(m); err != nil {
		return err
	}
	if err := s.x.validate(m); err != nil {
		return err
	}
	if err := s.start(); err != nil {
		return err
	}
	return s.stream.SendMsg(m)
}

func (s *lazyStream) CloseSend() error {
	if err := s.start(); err != nil {
		return nil // told by Header
	}
	if s.x.refusal() != nil {
		// The backend must not take what came so far for all there is.
		s.cancel()
		return nil
	}
	return s.stream.CloseSend()
}

// Header waits for the backend to accept the stream. If it refuses, the error
// is returned here, while it can still be answered with a status of its own.
// If it accepts, the caller is told at once, even if there is no message yet.
func (s *lazyStream) Header() (metadata.MD, error) {
	if err := s.wait(); err != nil {
		return nil, err
	}
	md, err := s.stream.Header()
	if err != nil {
		return nil, unquoted{err}
	}
	if md == nil {
		// It ended without headers, so there is no message to miss.
		s.ended = s.stream.RecvMsg(&emptypb.Empty{})
		if s.ended == nil {
			s.ended = status.Error(codes.Internal, "a message without headers")
		}
		if !errors.Is(s.ended, io.EOF) {
			return nil, unquoted{s.ended}
		}
	}
	s.header = md
	if s.x.binding.serverStream() {
		s.x.startStream(md)
	}
	return md, nil
}

// RecvMsg returns the next message. An error behind the headers is told in
// band here, since the generated handlers would tell it in their own form.
func (s *lazyStream) RecvMsg(m any) error {
	if s.ended != nil {
		s.tellEnd()
		return s.ended
	}
	if err := s.wait(); err != nil {
		return err
	}
	err := s.stream.RecvMsg(m)
	if err == nil {
		s.received(m)
		return nil
	}
	if !s.x.binding.serverStream() {
		return err
	}
	// A message that was not sent is told even if the backend is content.
	if errors.Is(err, io.EOF) && s.x.refused.Load() == nil {
		s.tellEnd()
		s.ended = err
		return err
	}
	s.x.failStream(err)
	s.ended = io.EOF
	return io.EOF
}

// tellEnd ends what the caller gets, unless an error has.
func (s *lazyStream) tellEnd() {
	if s.x.writer.frames != nil {
		s.x.writer.frames.end()
	}
}

// received looks at a message that came.
func (s *lazyStream) received(m any) {
	switch {
	case !s.x.binding.serverStream():
		if msg, ok := m.(proto.Message); ok {
			s.x.succeeded(msg, wirejson.Raw(msg))
			s.x.returnHeaders(s.header)
		}
	case s.x.writer.frames != nil && (s.x.binding.eventID != nil || s.x.binding.eventType != nil):
		if msg, ok := m.(proto.Message); ok {
			s.x.writer.frames.describe(s.x.binding, msg.ProtoReflect())
		}
	}
}

func (s *lazyStream) Trailer() metadata.MD {
	if s.wait() != nil {
		return nil
	}
	return s.stream.Trailer()
}

func (s *lazyStream) Context() context.Context { return s.ctx }

// unquoted is an error of the upstream without its text, which may quote the
// request: the generated handlers of streams log what they get. What is told of
// it comes from its status.
type unquoted struct{ err error }

func (unquoted) Error() string { return "the upstream did not accept the stream" }

func (u unquoted) GRPCStatus() *status.Status { return status.Convert(u.err) }

// startStream sends the status and the headers of a stream that was accepted.
func (x *exchange) startStream(md metadata.MD) {
	x.returnHeaders(md)
	if x.binding.answersMedia {
		return // its first message tells the media type
	}
	h := x.writer.Header()
	h.Set("Content-Type", x.contentType)
	h.Add("Vary", "Accept") // which has chosen the form
	if x.contentType == typeSSE {
		h.Set("X-Accel-Buffering", "no") // nginx would hold events back
	}
	x.writer.WriteHeader(http.StatusOK)
	_ = x.writer.flush() // if the caller is gone, the context says so
	x.writer.frames = newFrames(x.contentType, x.gateway.config.Streams.Heartbeat, x.writer.sendNow)
}

func (x *exchange) validate(m any) error {
	if !x.binding.hasRules {
		return x.refusal()
	}
	msg, ok := m.(proto.Message)
	if !ok {
		return status.Errorf(codes.Internal, "a request of type %T", m)
	}
	if p := x.gateway.validator.check(x, msg); p != nil {
		x.refused.Store(p)
	}
	return x.refusal()
}

// refusal returns an error if a message was refused. Why is told from the
// problem, see problemFor; this text may be logged.
func (x *exchange) refusal() error {
	if x.refused.Load() == nil {
		return nil
	}
	return status.Error(codes.InvalidArgument, "the message was refused")
}

// probeStream is the stream of a probe: nothing goes in or comes out. The
// generated handlers would log an error.
type probeStream struct{ ctx context.Context }

func (s probeStream) Header() (metadata.MD, error) { return nil, nil }
func (s probeStream) Trailer() metadata.MD         { return nil }
func (s probeStream) CloseSend() error             { return nil }
func (s probeStream) Context() context.Context     { return s.ctx }
func (s probeStream) SendMsg(any) error            { return nil }
func (s probeStream) RecvMsg(any) error            { return io.EOF }
