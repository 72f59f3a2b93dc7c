package inprocess

import (
	"context"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
)

// Invoke implements [grpc.ClientConnInterface].
func (s *Server) Invoke(ctx context.Context, fullMethod string, args, reply any, opts ...grpc.CallOption) error {
	o, err := s.readOptions(opts)
	if err != nil {
		return err
	}
	m, err := s.find(fullMethod)
	if err == nil && m.unary == nil {
		return s.invokeStream(ctx, m, args, reply, &o)
	}
	ctx, o.observed = observers(s.config.ClientStats).observe(ctx, true, fullMethod, false, false, nil)
	var c *call
	if err == nil {
		c, err = s.invoke(ctx, m, args, reply, &o)
	}
	o.tell(c, err)
	return err
}

func (s *Server) invoke(ctx context.Context, m *method, args, reply any, o *options) (*call, error) {
	if err := ctx.Err(); err != nil {
		return nil, status.FromContextError(err).Err()
	}
	md, err := outgoing(ctx, m.fullName, o.creds)
	if err != nil {
		return nil, err
	}
	o.observed.headerOut(md)
	request, err := o.encode(args)
	if err != nil {
		return nil, err
	}
	c := s.newCall(ctx, m, md)
	if err := s.begin(c); err != nil {
		c.cancel()
		request.Free()
		return nil, err
	}
	u := &unaryCall{call: c, options: o, request: request}
	go c.run(u.serve)
	select {
	case <-c.done:
	case <-ctx.Done():
		// The handler may go on, but nobody waits for it.
		u.abandon()
		return c, status.FromContextError(ctx.Err()).Err()
	}
	if c.status.Code() != codes.OK {
		return c, c.status.Err()
	}
	return c, o.decode(u.take(), reply)
}

// unaryCall is a call and its two messages.
type unaryCall struct {
	*call
	options *options
	request mem.BufferSlice

	mu        sync.Mutex // guards what follows
	reply     mem.BufferSlice
	abandoned bool
}

// serve runs the handler, in a goroutine of its own.
func (u *unaryCall) serve() error {
	decoded := false
	defer func() {
		if !decoded {
			u.request.Free()
		}
	}()
	reply, err := u.method.unary.Handler(u.method.impl, u.ctx, func(m any) error {
		if decoded {
			return status.Error(codes.Internal, "the request was decoded twice")
		}
		decoded = true
		return u.options.decodeRequest(u.call, u.request, m)
	}, u.server.unary)
	if err != nil {
		return err
	}
	data, err := u.options.encodeReply(u.call, reply)
	if err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.abandoned {
		data.Free()
		return nil
	}
	u.reply = data
	return nil
}

// take returns the reply, which is then the caller's to free.
func (u *unaryCall) take() mem.BufferSlice {
	u.mu.Lock()
	defer u.mu.Unlock()
	reply := u.reply
	u.reply = nil
	return reply
}

// abandon gives the reply up, whether it is there or not.
func (u *unaryCall) abandon() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.abandoned = true
	u.reply.Free()
	u.reply = nil
}

// invokeStream calls a method that is a stream with one message each way, as it
// can be done over a network.
func (s *Server) invokeStream(ctx context.Context, m *method, args, reply any, o *options) error {
	stream, err := s.newStream(ctx, &grpc.StreamDesc{}, m, o)
	if err != nil {
		return err
	}
	if err := stream.SendMsg(args); err != nil {
		return err
	}
	return stream.RecvMsg(reply)
}
