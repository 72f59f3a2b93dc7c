package gateway

import (
	"context"
	"strconv"
	"sync"

	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/evenkeel/evenkeel/gateway/internal/jsonbody"
	"github.com/evenkeel/evenkeel/gateway/internal/query"
	"github.com/evenkeel/evenkeel/gateway/internal/wirejson"
)

// Unary calls are made from the binding alone. What the generated handlers and
// clients would do of it costs a tenth of the gateway's time: they look headers,
// marshalers and metadata up that are known here.

// callUnary makes the call and answers with its reply.
func (x *exchange) callUnary(ctx context.Context) {
	request, err := x.newRequest()
	if err == nil {
		err = x.invoke(ctx, request)
	}
	if err != nil && (x.dry == nil || !x.dry.reached) {
		x.fail(x.problemFor(err))
	}
}

// newRequest makes the request message of body and path. What the query sets
// is put there by complete.
func (x *exchange) newRequest() (proto.Message, error) {
	b := x.binding
	m := b.message.New()
	if err := x.readInto(m); err != nil {
		return nil, status.Error(codes.InvalidArgument, "the body does not fit the method")
	}
	for i, fields := range b.pathFields {
		if _, value := x.match.Variable(i); query.Set(m, fields, value) != nil {
			return nil, status.Error(codes.InvalidArgument, "the path does not fit the method")
		}
	}
	return m.Interface(), nil
}

// readInto decodes the body into the request.
func (x *exchange) readInto(m protoreflect.Message) error {
	b := x.binding
	if b.bodyField != nil && b.bodyType != nil && (b.bodyIsMedia || !jsonbody.Empty(x.body)) {
		m = m.Mutable(b.bodyField).Message()
	}
	switch {
	case b.bodyIsMedia:
		if media, ok := m.Interface().(*httpbody.HttpBody); ok {
			media.ContentType, media.Data = x.request.Header.Get("Content-Type"), x.body
		}
		return nil
	case jsonbody.Empty(x.body):
		return nil
	case b.bodyType == nil:
		return x.gateway.marshaler.decode.Unmarshal(jsonbody.Member(b.bodyField.JSONName(), x.body), m.Interface())
	default:
		return x.gateway.marshaler.read(x.body, m.Interface())
	}
}

// invoke makes the call, if the request is one that may be sent.
func (x *exchange) invoke(ctx context.Context, request proto.Message) error {
	b := x.binding
	if err := x.complete(request); err != nil {
		return err
	}
	if err := x.check(request); err != nil {
		return err
	}
	if err := x.validate(request); err != nil {
		return err
	}
	if x.dry != nil {
		return x.dry.stop()
	}
	ctx, err := x.outgoing(ctx)
	if err != nil {
		return err
	}
	reply := b.reply.New().Interface()
	options := b.callOptions
	var returned *metadata.MD // nil if nobody wants them
	if len(x.gateway.config.ReturnHeaders) > 0 {
		returned = new(metadata.MD)
		options = append(options[:len(options):len(options)], grpc.Header(returned))
	}
	x.called.Store(true)
	if err := b.conn.Invoke(ctx, b.rpc, request, reply, options...); err != nil {
		return x.sized(err, request)
	}
	raw := wirejson.Raw(reply)
	x.succeeded(reply, raw)
	if returned != nil {
		x.returnHeaders(*returned)
	}
	return x.answer(reply, raw)
}

// answer writes a reply.
func (x *exchange) answer(reply proto.Message, raw []byte) error {
	h := x.writer.Header()
	h["Content-Type"] = contentJSON
	m := x.gateway.marshaler
	if x.enumNumbers {
		m = x.gateway.withEnumNumbers
	}
	buffer := getBuffer()
	var encoded []byte
	var err error
	if b := x.binding; raw != nil && b.responseField == nil && !b.answersMedia {
		encoded, err = m.appendRaw(buffer.data, b.reply.Descriptor(), raw)
	} else {
		encoded, err = m.append(buffer.data, x.shown(reply))
	}
	if err != nil {
		return err
	}
	buffer.data = encoded
	x.headers[1] = strconv.Itoa(len(encoded))
	h["Content-Length"] = x.headers[1:2:2]
	if _, err := x.writer.Write(encoded); err == nil {
		buffer.put() // HTTP/2 may still read what could not be written
	}
	return nil // a caller that is gone need not be told
}

// contentJSON is the header of most answers. It is shared, and full.
var contentJSON = []string{typeJSON}

// A buffer is what an answer is encoded in. An http.ResponseWriter does not keep
// what it has written.
type buffer struct{ data []byte }

var buffers = sync.Pool{New: func() any { return &buffer{data: make([]byte, 0, 1<<10)} }}

func getBuffer() *buffer {
	b, _ := buffers.Get().(*buffer)
	return b
}

// put gives a buffer back, unless it has become so large that few answers need
// it.
func (b *buffer) put() {
	if cap(b.data) > 64<<10 {
		return
	}
	b.data = b.data[:0]
	buffers.Put(b)
}
