package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/evenkeel/evenkeel/gateway/internal/jsonbody"
	"github.com/evenkeel/evenkeel/gateway/problem"
)

// chunkBytes is how much of a body of a media type of its own goes into one
// message of a client stream.
const chunkBytes = 32 << 10

// inbox is the body of a client stream: messages that are read one by one as
// the backend takes them. No more than one of them is held at a time. A
// bidirectional stream reads from a goroutine of its own, which may outlast the
// exchange, so that it touches nothing of that but what is safe to.
type inbox struct {
	x     *exchange
	ctx   context.Context
	from  io.Reader // inflated
	dec   *json.Decoder
	total int64 // read so far
	count int   // messages read
	ended bool
	// failed is what reading failed with.
	failed error

	mu     sync.Mutex // guards what follows, and the connection's deadline
	closed bool
	gone   bool // the caller was let go
}

// openInbox makes a client stream's body ready. Nothing of it is read yet.
func (x *exchange) openInbox() *problem.Problem {
	inflated, p := x.inflater(x.request.Body)
	if p != nil {
		return p
	}
	b := &inbox{x: x, from: inflated}
	b.dec = json.NewDecoder(b.source())
	x.inbox, x.bodyWait = b, &wait{all: x.gateway.waiting, letGo: b.cut}
	return nil
}

// Read makes inbox a request's body. The generated handlers read messages, see
// next.
func (b *inbox) Read([]byte) (int, error) { return 0, io.EOF }

// Close does nothing: the exchange closes it.
func (b *inbox) Close() error { return nil }

// close ends reading, whoever reads. After it, the connection's deadline is not
// touched again.
func (b *inbox) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.x.setReadDeadline(longAgo) // whoever reads stops
		b.closed = true
	}
}

// deadline bounds the reads to come.
func (b *inbox) deadline(at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	if b.ctx.Err() != nil || b.gone {
		at = longAgo
	}
	b.x.setReadDeadline(at)
}

// cut ends reading as if the body did not come in time.
func (b *inbox) cut() {
	b.mu.Lock()
	b.gone = true
	b.mu.Unlock()
	b.deadline(longAgo)
}

// next reads a message into v. What is wrong with one is kept for the answer,
// since the generated handlers would tell the decoder's own words, or nothing.
func (b *inbox) next(v any) error {
	msg, ok := v.(proto.Message)
	if !ok || b.ended {
		return io.EOF
	}
	p, err := b.receive(msg.ProtoReflect())
	if p == nil && err == nil && b.count == 0 && b.x.queried != nil {
		proto.Merge(msg, b.x.queried) // the first message has what the query sets
	}
	b.count++
	if p != nil {
		b.x.refused.CompareAndSwap(nil, p)
		return errMalformed
	}
	return err
}

func (b *inbox) receive(msg protoreflect.Message) (*problem.Problem, error) {
	b.deadline(b.patience())
	defer b.deadline(time.Time{})
	if b.x.binding.bodyIsMedia {
		return b.chunk(msg)
	}
	return b.value(msg)
}

// patience returns until when a message must be there: none is asked of a
// bidirectional stream that rests between two.
func (b *inbox) patience() time.Time {
	if b.count > 0 && b.x.binding.serverStream() {
		return time.Time{}
	}
	return time.Now().Add(b.x.gateway.config.Timeouts.ReadBody)
}

// value reads a JSON value.
func (b *inbox) value(msg protoreflect.Message) (*problem.Problem, error) {
	var value json.RawMessage
	err := b.dec.Decode(&value)
	if b.x.bodyWait.keep(int64(len(value))) {
		b.failed = errLetGo
	}
	switch {
	case b.failed != nil:
		return b.problemFor(b.failed), nil
	case errors.Is(err, io.EOF):
		b.ended = true
		return nil, io.EOF
	case err != nil:
		return badRequest(jsonbody.NotJSON, nil), nil
	}
	limits := &b.x.gateway.config.Limits
	if int64(len(value)) > limits.BodyBytes {
		return tooLarge(limits.BodyBytes), nil
	}
	if most := limits.JSONDepth; jsonbody.TooDeep(value, most) {
		return tooDeep(most), nil
	}
	if err := b.decode(value, msg); err != nil {
		found := b.x.binding.diagnoseBody(b.x.gateway.marshaler.decode, value)
		return badRequest(found.Detail, found.Errors), nil
	}
	return nil, nil
}

func (b *inbox) decode(value []byte, msg protoreflect.Message) error {
	if field := b.x.binding.bodyField; field != nil {
		value = jsonbody.Member(field.JSONName(), value)
	}
	return b.x.gateway.marshaler.read(value, msg.Interface())
}

// chunk reads what is there of a body that is not JSON. The first message tells
// the media type, and is there even if the body is empty.
func (b *inbox) chunk(msg protoreflect.Message) (*problem.Problem, error) {
	buf := make([]byte, min(chunkBytes, b.x.gateway.config.Limits.BodyBytes))
	n, err := io.ReadAtLeast(b.from, buf, 1)
	if err != nil {
		if !errors.Is(err, io.EOF) {
			return b.problemFor(err), nil
		}
		b.ended = true
		if b.count > 0 {
			return nil, io.EOF
		}
	}
	part := &httpbody.HttpBody{Data: buf[:n]}
	if b.count == 0 {
		part.ContentType = b.x.request.Header.Get("Content-Type")
	}
	if field := b.x.binding.bodyField; field != nil {
		msg.Set(field, protoreflect.ValueOfMessage(part.ProtoReflect()))
	} else {
		proto.Merge(msg.Interface(), part)
	}
	return nil, nil
}

// problemFor says what an error of reading is.
func (b *inbox) problemFor(err error) *problem.Problem {
	switch {
	case errors.Is(err, errLetGo):
		return letGo()
	case errors.Is(err, errTooLarge):
		return tooLarge(b.x.gateway.config.Limits.BodyBytes)
	case b.x.gateway.streams.Err() != nil:
		return drained()
	case errors.Is(b.ctx.Err(), context.DeadlineExceeded):
		return problem.FromStatus(status.New(codes.DeadlineExceeded, ""))
	default:
		return readProblem(b.x.request.Context(), err)
	}
}

var (
	errTooLarge = errors.New("a message of the stream is too large")
	errLetGo    = errors.New(letGoReason)
)

// source is what the JSON decoder reads from. It lets no more through than one
// message may have.
func (b *inbox) source() io.Reader {
	limit := b.x.gateway.config.Limits.BodyBytes
	return readerFunc(func(p []byte) (int, error) {
		left := b.dec.InputOffset() + limit + 1 - b.total
		if left <= 0 {
			b.failed = errTooLarge
			return 0, b.failed
		}
		if !b.x.holdBody(int(b.total - b.dec.InputOffset())) {
			b.failed = errLetGo
			return 0, b.failed
		}
		n, err := b.from.Read(p[:min(int64(len(p)), left)])
		b.total += int64(n)
		if n > 0 && !isBlank(p[:n]) {
			// What has begun must be there in time.
			b.deadline(time.Now().Add(b.x.gateway.config.Timeouts.ReadBody))
		}
		if err != nil && !errors.Is(err, io.EOF) {
			b.failed = err
		}
		return n, err
	})
}

func isBlank(p []byte) bool { return len(bytes.TrimSpace(p)) == 0 }

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func tooDeep(most int) *problem.Problem {
	return problem.New(http.StatusBadRequest, codes.InvalidArgument, fmt.Sprintf("the body nests deeper than %d levels", most))
}

func tooLarge(limit int64) *problem.Problem {
	return problem.New(http.StatusRequestEntityTooLarge, codes.InvalidArgument, fmt.Sprintf("the body is larger than %d bytes", limit))
}
