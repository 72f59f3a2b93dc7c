package inprocess

import (
	"context"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

// observers are told what happens in a call, as gRPC tells them. There are none
// as a rule, so that everything here first sees whether there are any.
type observers []stats.Handler

func (o observers) tag(ctx context.Context, method string) context.Context {
	for _, h := range o {
		ctx = h.TagRPC(ctx, &stats.RPCTagInfo{FullMethodName: method, FailFast: true})
	}
	return ctx
}

func (o observers) tell(ctx context.Context, s stats.RPCStats) {
	for _, h := range o {
		h.HandleRPC(ctx, s)
	}
}

// observed is one end of a call with those who are told of it. A nil one tells
// nobody.
type observed struct {
	observers
	ctx    context.Context
	client bool
	method string
	begin  time.Time
}

// observe begins to tell of a call, and returns the context that it is to have.
func (o observers) observe(ctx context.Context, client bool, method string, clientStream, serverStream bool, header metadata.MD) (context.Context, *observed) {
	if len(o) == 0 {
		return ctx, nil
	}
	ob := &observed{observers: o, client: client, method: method, begin: time.Now()}
	ctx = o.tag(ctx, method)
	ob.ctx = ctx
	if !client {
		o.tell(ctx, &stats.InHeader{FullMethod: method, RemoteAddr: Addr{}, LocalAddr: Addr{}, Header: header.Copy()})
	}
	o.tell(ctx, &stats.Begin{Client: client, BeginTime: ob.begin, FailFast: client, IsClientStream: clientStream, IsServerStream: serverStream})
	return ctx, ob
}

// headerOut tells of headers that are sent, headerIn of some that came.
func (o *observed) headerOut(md metadata.MD) {
	if o != nil {
		o.tell(o.ctx, &stats.OutHeader{Client: o.client, FullMethod: o.method, RemoteAddr: Addr{}, LocalAddr: Addr{}, Header: md.Copy()})
	}
}

func (o *observed) headerIn(md metadata.MD) {
	if o != nil {
		o.tell(o.ctx, &stats.InHeader{Client: o.client, Header: md.Copy()})
	}
}

// sent tells of a message that is sent, received of one that came.
func (o *observed) sent(m any, length int) {
	if o != nil {
		o.tell(o.ctx, &stats.OutPayload{Client: o.client, Payload: m, Length: length, CompressedLength: length, WireLength: length, SentTime: time.Now()})
	}
}

func (o *observed) received(m any, length int) {
	if o != nil {
		o.tell(o.ctx, &stats.InPayload{Client: o.client, Payload: m, Length: length, CompressedLength: length, WireLength: length, RecvTime: time.Now()})
	}
}

// end tells how the call ended.
func (o *observed) end(trailer metadata.MD, err error) {
	if o == nil {
		return
	}
	if o.client {
		o.tell(o.ctx, &stats.InTrailer{Client: true, Trailer: trailer.Copy()})
	} else {
		o.tell(o.ctx, &stats.OutTrailer{Trailer: trailer.Copy()})
	}
	if err != nil {
		err = status.Convert(err).Err()
	}
	o.tell(o.ctx, &stats.End{Client: o.client, BeginTime: o.begin, EndTime: time.Now(), Trailer: trailer.Copy(), Error: err})
}
