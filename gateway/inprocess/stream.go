package inprocess

import (
	"context"
	"errors"
	"io"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// NewStream implements [grpc.ClientConnInterface]. As with every stream of gRPC,
// its user reads it to its end or cancels its context.
func (s *Server) NewStream(ctx context.Context, desc *grpc.StreamDesc, fullMethod string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	o, err := s.readOptions(opts)
	if err != nil {
		return nil, err
	}
	m, err := s.find(fullMethod)
	if err != nil {
		// Over a network the stream is made before this is found out.
		return s.failed(ctx, desc, err, &o)
	}
	return s.newStream(ctx, desc, m, &o)
}

func (s *Server) newStream(ctx context.Context, desc *grpc.StreamDesc, m *method, o *options) (*clientStream, error) {
	ctx, o.observed = observers(s.config.ClientStats).observe(ctx, true, m.fullName, desc.ClientStreams, desc.ServerStreams, nil)
	cs, err := s.openStream(ctx, desc, m, o)
	if err != nil {
		o.observed.end(nil, err)
		return nil, err
	}
	return cs, nil
}

func (s *Server) openStream(ctx context.Context, desc *grpc.StreamDesc, m *method, o *options) (*clientStream, error) {
	if err := ctx.Err(); err != nil {
		return nil, status.FromContextError(err).Err()
	}
	md, err := outgoing(ctx, m.fullName, o.creds)
	if err != nil {
		return nil, err
	}
	o.observed.headerOut(md)
	cs := s.newClientStream(ctx, desc, o)
	cs.call = s.newStreamCall(cs.ctx, m, md)
	if err := s.begin(cs.call); err != nil {
		cs.call.cancel()
		cs.cancel()
		return nil, err
	}
	ss := &serverStream{call: cs.call, options: o, in: cs.out, out: cs.in}
	go cs.call.run(ss.serve)
	return cs, nil
}

// failed returns a stream that ends with an error at once.
func (s *Server) failed(ctx context.Context, desc *grpc.StreamDesc, err error, o *options) (*clientStream, error) {
	cs := s.newClientStream(ctx, desc, o)
	cs.call = s.newStreamCall(cs.ctx, &method{}, nil)
	cs.call.finish(err)
	cs.out.leave()
	cs.in.close()
	return cs, nil
}

// newStreamCall prepares a call whose caller may wait for its headers.
func (s *Server) newStreamCall(ctx context.Context, m *method, md metadata.MD) *call {
	c := s.newCall(ctx, m, md)
	c.headerSent = make(chan struct{})
	return c
}

func (s *Server) newClientStream(ctx context.Context, desc *grpc.StreamDesc, o *options) *clientStream {
	cs := &clientStream{desc: desc, options: o, in: newPipe(s.config.WindowBytes), out: newPipe(s.config.WindowBytes)}
	cs.ctx, cs.cancel = context.WithCancel(ctx)
	return cs
}

// clientStream is a caller's end.
type clientStream struct {
	desc    *grpc.StreamDesc
	options *options
	call    *call
	ctx     context.Context
	cancel  context.CancelFunc
	in, out *pipe

	once sync.Once
	err  error // how it ended, when that was told
}

var _ grpc.ClientStream = (*clientStream)(nil)

func (s *clientStream) Context() context.Context { return s.ctx }

func (s *clientStream) Header() (metadata.MD, error) {
	select {
	case <-s.call.headerSent:
	case <-s.call.done:
	case <-s.ctx.Done():
		select {
		case <-s.call.headerSent: // it came before
		default:
			return nil, s.end(s.ended())
		}
	}
	header, _ := s.call.told()
	if header == nil {
		return nil, nil // it ended without headers, which an empty copy would hide
	}
	return header.Copy(), nil
}

func (s *clientStream) Trailer() metadata.MD {
	_, trailer := s.call.told()
	return trailer.Copy()
}

func (s *clientStream) CloseSend() error {
	s.out.close()
	return nil
}

func (s *clientStream) SendMsg(m any) error {
	data, err := s.options.encode(m)
	if err != nil {
		// A message that cannot be sent ends the stream.
		s.cancel()
		return s.end(err)
	}
	if err := s.out.push(data, s.ctx.Done()); err != nil {
		return io.EOF // RecvMsg tells why
	}
	if !s.desc.ClientStreams {
		s.out.close()
	}
	return nil
}

func (s *clientStream) RecvMsg(m any) error {
	err := s.receive(m)
	if err != nil || s.desc.ServerStreams {
		if err == nil {
			return nil
		}
		return s.end(err)
	}
	// There is one message; how the call ended comes behind it.
	switch err := s.receive(nil); {
	case errors.Is(err, io.EOF):
		_ = s.end(io.EOF)
		return nil
	case err == nil:
		return s.end(status.Error(codes.Internal, "cardinality violation: expected <EOF> for non server-streaming RPCs, but received another message"))
	default:
		return s.end(err)
	}
}

// receive takes the next message into m; io.EOF says that the call ended well.
func (s *clientStream) receive(m any) error {
	data, err, ok := s.in.pop(s.ctx.Done())
	switch {
	case !ok:
		return s.ended()
	case err != nil:
		<-s.call.done // it closes the pipe right before
		if s.call.status.Code() != codes.OK {
			return s.call.status.Err()
		}
		if !s.desc.ServerStreams && m != nil {
			return status.Error(codes.Internal, "cardinality violation: received no response message from non-server-streaming RPC")
		}
		return io.EOF
	case m == nil:
		data.Free()
		return nil
	default:
		return s.options.decode(data, m)
	}
}

// ended is the error of a stream whose context is done.
func (s *clientStream) ended() error { return status.FromContextError(s.ctx.Err()).Err() }

// end remembers how the stream ended and lets all go that belongs to it.
func (s *clientStream) end(err error) error {
	s.once.Do(func() {
		s.err = err
		s.cancel()
		s.in.leave()
		s.out.close()
		told := err
		if errors.Is(err, io.EOF) {
			told = nil
		}
		s.options.tell(s.call, told)
	})
	return s.err
}

// serverStream is a handler's end.
type serverStream struct {
	call    *call
	options *options
	in, out *pipe
}

var _ grpc.ServerStream = (*serverStream)(nil)

func (s *serverStream) Context() context.Context        { return s.call.ctx }
func (s *serverStream) SetHeader(md metadata.MD) error  { return s.call.SetHeader(md) }
func (s *serverStream) SendHeader(md metadata.MD) error { return s.call.SendHeader(md) }
func (s *serverStream) SetTrailer(md metadata.MD)       { _ = s.call.SetTrailer(md) }

func (s *serverStream) SendMsg(m any) error {
	data, err := s.options.encodeReply(s.call, m)
	if err != nil {
		return err
	}
	if err := s.out.push(data, s.call.ctx.Done()); err != nil {
		return s.gone()
	}
	return nil
}

func (s *serverStream) RecvMsg(m any) error {
	data, err, ok := s.in.pop(s.call.ctx.Done())
	switch {
	case !ok:
		return s.gone()
	case err != nil:
		return err // io.EOF
	default:
		return s.options.decodeRequest(s.call, data, m)
	}
}

// gone is what a handler is told whose caller does not listen any more.
func (s *serverStream) gone() error {
	if err := s.call.ctx.Err(); err != nil {
		return status.FromContextError(err).Err()
	}
	return status.Error(codes.Canceled, context.Canceled.Error())
}

// serve runs the handler, in a goroutine of its own.
func (s *serverStream) serve() error {
	// These run before the call is finished: receive waits for that.
	defer s.out.close()
	defer s.in.leave()
	m := s.call.method
	if m.unary != nil {
		return s.serveUnary()
	}
	server := s.call.server
	if server.stream == nil {
		return m.stream.Handler(m.impl, s)
	}
	info := &grpc.StreamServerInfo{FullMethod: m.fullName, IsClientStream: m.stream.ClientStreams, IsServerStream: m.stream.ServerStreams}
	return server.stream(m.impl, s, info, m.stream.Handler)
}

// serveUnary runs the handler of a method that is not a stream, for a caller who
// takes it for one.
func (s *serverStream) serveUnary() error {
	m := s.call.method
	reply, err := m.unary.Handler(m.impl, s.call.ctx, func(m any) error {
		err := s.RecvMsg(m)
		if errors.Is(err, io.EOF) {
			return status.Error(codes.Internal, "cardinality violation: received no request message from non-client-streaming RPC")
		}
		return err
	}, s.call.server.unary)
	if err != nil {
		return err
	}
	return s.SendMsg(reply)
}
