package inprocess

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// call is what both ends of one share: its method, its metadata and how it
// ended. It is the handler's [grpc.ServerTransportStream].
type call struct {
	server *Server
	method *method
	// ctx is the handler's.
	ctx    context.Context
	cancel context.CancelFunc
	// headerSent is closed when the headers are; nil if nobody can wait for them.
	// done is closed when the handler has returned.
	headerSent, done chan struct{}
	observed         *observed

	mu      sync.Mutex // guards what follows until done is closed
	sent    bool
	header  metadata.MD
	trailer metadata.MD
	status  *status.Status
}

// newCall prepares a call whose caller has ctx and sends md.
func (s *Server) newCall(ctx context.Context, m *method, md metadata.MD) *call {
	c := &call{server: s, method: m, done: make(chan struct{})}
	c.ctx, c.cancel = context.WithCancel(callerContext{ctx, s.values})
	c.ctx = grpc.NewContextWithServerTransportStream(metadata.NewIncomingContext(c.ctx, md), c)
	clientStream, serverStream := m.streams()
	c.ctx, c.observed = observers(s.config.ServerStats).observe(c.ctx, false, m.fullName, clientStream, serverStream, md)
	return c
}

// callerContext ends when a caller's does, and has none of its values.
type callerContext struct {
	caller context.Context
	values context.Context
}

func (c callerContext) Deadline() (time.Time, bool) { return c.caller.Deadline() }
func (c callerContext) Done() <-chan struct{}       { return c.caller.Done() }
func (c callerContext) Err() error                  { return c.caller.Err() }
func (c callerContext) Value(key any) any           { return c.values.Value(key) }

// AfterFunc is what context looks for to follow another's end without a
// goroutine.
func (c callerContext) AfterFunc(f func()) func() bool { return context.AfterFunc(c.caller, f) }

// Method implements [grpc.ServerTransportStream].
func (c *call) Method() string { return c.method.fullName }

var errHeadersSent = errors.New("the headers have been sent")

// SetHeader implements [grpc.ServerTransportStream].
func (c *call) SetHeader(md metadata.MD) error {
	if len(md) == 0 {
		return nil
	}
	if err := validate(md); err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sent || c.ended() {
		return status.Error(codes.Internal, errHeadersSent.Error())
	}
	c.header = metadata.Join(c.header, md)
	return nil
}

// SendHeader implements [grpc.ServerTransportStream].
func (c *call) SendHeader(md metadata.MD) error {
	if err := validate(md); err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	c.mu.Lock()
	if c.sent || c.ended() {
		c.mu.Unlock()
		return status.Error(codes.Internal, errHeadersSent.Error())
	}
	c.header = metadata.Join(c.header, md)
	c.send()
	c.mu.Unlock()
	c.tellHeader()
	return nil
}

// SetTrailer implements [grpc.ServerTransportStream].
func (c *call) SetTrailer(md metadata.MD) error {
	if len(md) == 0 {
		return nil
	}
	if err := validate(md); err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended() {
		return status.Error(codes.Internal, "the call has ended")
	}
	c.trailer = metadata.Join(c.trailer, md)
	return nil
}

// sendHeader sends the headers before the first message.
func (c *call) sendHeader() {
	c.mu.Lock()
	now := !c.sent
	if now {
		c.send()
	}
	c.mu.Unlock()
	if now {
		c.tellHeader()
	}
}

// tellHeader tells those who observe the handler's end of the headers.
func (c *call) tellHeader() {
	if c.observed != nil {
		c.observed.headerOut(c.arrived())
	}
}

// send is called with the lock held. The header does not change after it.
func (c *call) send() {
	c.sent = true
	dropReserved(c.header)
	if c.headerSent != nil {
		close(c.headerSent)
	}
}

// arrived returns the headers that were sent, as they come from a transport.
func (c *call) arrived() metadata.MD {
	header := metadata.MD{"content-type": contentTypes}
	maps.Copy(header, c.header)
	return header
}

func (c *call) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// finish ends a call as its handler ended.
func (c *call) finish(err error) {
	st := statusOf(err)
	c.mu.Lock()
	// A response of trailers only has no headers.
	withHeader := st.Code() == codes.OK || len(c.header) > 0
	dropReserved(c.trailer)
	trailer := c.trailer
	c.mu.Unlock()
	if withHeader {
		c.sendHeader()
	}
	// Before the caller is told, so that both are told in this order.
	c.observed.end(trailer, st.Err())
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status = st
	close(c.done)
}

// statusOf is what gRPC makes of a handler's error, with nothing in it that the
// handler still holds.
func statusOf(err error) *status.Status {
	if err == nil {
		return nil // OK
	}
	st, ok := status.FromError(err)
	if !ok {
		// Convert non-status application error to a status error with code
		// Unknown, but handle context errors specifically.
		st = status.FromContextError(err)
	}
	return status.FromProto(st.Proto())
}

// run calls what serves, and makes sure that the call ends whatever that does.
func (c *call) run(serve func() error) {
	var err error
	returned := false
	defer func() {
		if !returned {
			err = c.panicked(recover())
		}
		c.finish(err)
		c.cancel()
		c.server.end(c)
	}()
	makeRoom()
	err = serve()
	returned = true
}

// makeRoom makes the goroutine's stack as large as most handlers need it, while
// there is nothing on it. It would grow several times otherwise, and each time
// all frames that are on it would have to be looked through.
//
//go:noinline
func makeRoom() {
	var room [6 << 10]byte
	use(&room)
}

//go:noinline
func use(*[6 << 10]byte) {}

// panicked tells the log what happened, and the caller only that it did.
func (c *call) panicked(thrown any) error {
	what := "the handler ended its goroutine"
	if thrown != nil {
		what = fmt.Sprint(thrown)
	}
	c.server.config.Logger.LogAttrs(context.Background(), slog.LevelError, "inprocess: a handler panicked",
		slog.String("method", c.method.fullName), slog.String("panic", what), slog.String("stack", string(debug.Stack())))
	return status.Error(codes.Internal, "the handler panicked")
}
