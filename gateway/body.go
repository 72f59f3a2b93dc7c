package gateway

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc/codes"

	"github.com/evenkeel/evenkeel/gateway/internal/jsonbody"
	"github.com/evenkeel/evenkeel/gateway/problem"
)

var errMalformed = errors.New("the body is malformed")

// body is a request's body, read and found to be within the limits.
type body struct {
	bytes.Reader
	data []byte
	// mediaType is that of a body that is not JSON.
	mediaType string
}

func (b *body) Close() error { return nil }

// take returns all of the body at once.
func (b *body) take() []byte {
	b.Reset(nil)
	return b.data
}

// decode reads the body into v, as JSON or as it is.
func (b *body) decode(m *marshaler, v any) error {
	switch v := v.(type) {
	case *httpbody.HttpBody:
		v.ContentType, v.Data = b.mediaType, b.take()
		return nil
	case **httpbody.HttpBody:
		*v = &httpbody.HttpBody{ContentType: b.mediaType, Data: b.take()}
		return nil
	default:
		return m.Unmarshal(b.take(), v)
	}
}

// readBody reads the request's body, refusing it before that where it can.
func (x *exchange) readBody() *problem.Problem {
	r, b := x.request, x.binding
	if r.ContentLength > x.gateway.config.Limits.BodyBytes && !(b.hasBody() && b.clientStream()) {
		return x.tooLarge()
	}
	if !b.hasBody() {
		return x.refuseBody()
	}
	if r.ContentLength == 0 && !b.clientStream() && b.maskField == nil {
		return nil
	}
	if p := x.checkMediaType(); p != nil {
		return p
	}
	if b.clientStream() {
		return x.openInbox()
	}
	// One byte more than allowed shows that there is more.
	inflated, p := x.inflater(&io.LimitedReader{R: r.Body, N: x.gateway.config.Limits.BodyBytes + 1})
	if p != nil {
		return p
	}
	if p := x.readAll(inflated); p != nil {
		return p
	}
	if b.bodyIsMedia {
		return nil
	}
	if most := x.gateway.config.Limits.JSONDepth; jsonbody.TooDeep(x.body, most) {
		return tooDeep(most)
	}
	if b.maskField != nil {
		return x.readPatch()
	}
	return x.checkBodyField()
}

// checkMediaType refuses a body that the method does not take.
func (x *exchange) checkMediaType() *problem.Problem {
	if x.binding.bodyIsMedia || x.request.ContentLength == 0 {
		return nil // any will do
	}
	p := checkContentType(x.request.Header, x.binding.bodyTypes()...)
	if p != nil {
		types := strings.Join(x.binding.bodyTypes(), ", ")
		x.writer.Header().Set("Accept", types)
		if x.request.Method == http.MethodPatch {
			x.writer.Header().Set("Accept-Patch", types) // RFC 5789, section 2.2
		}
	}
	return p
}

// checkBodyField judges a body that is a field which is no message as protojson
// would: the generated handlers read such by encoding/json, which takes null for
// a string, repairs what is not UTF-8, and lets keys of a map be there twice.
func (x *exchange) checkBodyField() *problem.Problem {
	b := x.binding
	if b.bodyField == nil || b.bodyType != nil || b.clientStream() || jsonbody.Empty(x.body) {
		return nil
	}
	if jsonbody.FitsField(x.gateway.marshaler.decode, x.body, b.message, b.bodyField.JSONName()) {
		return nil
	}
	found := b.diagnoseBody(x.gateway.marshaler.decode, x.body)
	return badRequest(found.Detail, found.Errors)
}

func (x *exchange) tooLarge() *problem.Problem {
	x.leaveBody()
	return tooLarge(x.gateway.config.Limits.BodyBytes)
}

// leaveBody says that the body will not be read to its end, so that the
// connection cannot be used again. In HTTP/2 that ends only the stream.
func (x *exchange) leaveBody() {
	if x.request.ProtoMajor < 2 {
		x.writer.Header().Set("Connection", "close")
	}
}

// refuseBody lets a request through that has no body where none belongs.
func (x *exchange) refuseBody() *problem.Problem {
	r := x.request
	if r.ContentLength == 0 || r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	if r.ContentLength < 0 {
		// It may be empty, chunked as it is.
		var first [1]byte
		n, err := io.ReadFull(r.Body, first[:])
		if n == 0 && errors.Is(err, io.EOF) {
			x.bodyIsRead()
			return nil
		}
		if n == 0 {
			return x.readFailed(err)
		}
	}
	x.leaveBody()
	return problem.New(http.StatusBadRequest, codes.InvalidArgument, "the method takes no body")
}

// inflater returns a reader of a body without its content coding.
func (x *exchange) inflater(raw io.Reader) (io.Reader, *problem.Problem) {
	counted := &countingReader{r: raw, n: &x.bytesIn}
	coding := x.request.Header["Content-Encoding"]
	switch {
	case len(coding) == 0, len(coding) == 1 && strings.EqualFold(coding[0], "identity"):
		return counted, nil
	case len(coding) == 1 && (strings.EqualFold(coding[0], "gzip") || strings.EqualFold(coding[0], "x-gzip")): // RFC 9110, section 8.4.1.3
		return &gzipReader{r: counted}, nil
	default:
		x.writer.Header().Set("Accept-Encoding", "gzip")
		return nil, problem.New(http.StatusUnsupportedMediaType, codes.InvalidArgument,
			"the body's Content-Encoding must be gzip, if any")
	}
}

// gzipReader opens the gzip stream at the first read, so that whatever goes
// wrong with the body goes wrong in one place.
type gzipReader struct {
	r  io.Reader
	gz *gzip.Reader
}

func (g *gzipReader) Read(p []byte) (int, error) {
	if g.gz == nil {
		gz, err := gzip.NewReader(g.r)
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
		g.gz = gz
	}
	return g.gz.Read(p)
}

type countingReader struct {
	r io.Reader
	n *atomic.Int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// firstRead is how much is allocated for a body before any of it has come:
// what the caller says of its length is not believed.
const firstRead = 16 << 10

func (x *exchange) readAll(from io.Reader) *problem.Problem {
	limit := x.gateway.config.Limits.BodyBytes
	room := int64(512)
	if announced := x.request.ContentLength; announced > 0 {
		room = min(announced, firstRead) + 1 // which shows the end without growing
	}
	data := make([]byte, 0, room)
	limited := io.LimitedReader{R: from, N: limit + 1}
	besides := 0
	if _, inflated := from.(*gzipReader); inflated {
		besides = inflaterBytes
	}
	for {
		if !x.holdBody(besides + cap(data)) {
			return x.letGo()
		}
		n, err := limited.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		switch {
		case int64(len(data)) > limit || x.bytesIn.Load() > limit:
			return x.tooLarge()
		case errors.Is(err, io.EOF):
			if x.bodyWait != nil && x.bodyWait.keep(int64(cap(data))) {
				return x.letGo()
			}
			x.bodyIsRead()
			x.body = data
			return nil
		case err != nil:
			if x.bodyWait != nil && x.bodyWait.done() {
				return x.letGo()
			}
			return x.readFailed(err)
		case len(data) == cap(data):
			data = slices.Grow(data, 1)
		}
	}
}

// inflaterBytes is what it takes to inflate a body.
const inflaterBytes = 48 << 10

// holdBody says how much is held of a body whose end has not come. It returns
// false if no more of it is taken: the caller was let go.
func (x *exchange) holdBody(bytes int) bool {
	if bytes < heldSmall {
		return true
	}
	if x.bodyWait == nil {
		x.bodyWait = &wait{all: x.gateway.waiting, letGo: func() { x.setReadDeadline(longAgo) }}
	}
	return x.bodyWait.take(int64(bytes))
}

// forgetBody says that nothing of the body is held any more. It reports whether
// the caller was let go before.
func (x *exchange) forgetBody() (gone bool) { return x.bodyWait != nil && x.bodyWait.close() }

// letGo answers for a body that is not taken.
func (x *exchange) letGo() *problem.Problem {
	x.reason = letGoReason
	x.leaveBody()
	return letGo()
}

func letGo() *problem.Problem {
	p := problem.New(http.StatusServiceUnavailable, codes.Unavailable, "more is held for callers than can be; try again later")
	p.RetryAfter = time.Second
	return p
}

// letGoReason stands in the log for one who was let go, see waiting.
const letGoReason = "let go: more is held for callers than Limits.HeldBytes"

func (x *exchange) readFailed(err error) *problem.Problem {
	x.reason = "the body could not be read"
	x.leaveBody()
	switch {
	case !time.Now().Before(x.bodyDeadline): // a broken trailer hides the cause
		return readProblem(context.Background(), os.ErrDeadlineExceeded)
	default:
		return readProblem(x.request.Context(), err)
	}
}

// readProblem says what an error of reading a body is. ctx is the request's.
func readProblem(ctx context.Context, err error) *problem.Problem {
	switch {
	case isTimeout(err):
		return problem.New(http.StatusRequestTimeout, codes.DeadlineExceeded, "the body did not arrive in time")
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum), isCorrupt(err):
		return problem.New(http.StatusBadRequest, codes.InvalidArgument, "the body is not valid gzip")
	case ctx.Err() != nil:
		return problem.New(problem.StatusClientClosedRequest, codes.Canceled, "the caller is gone")
	default:
		return problem.New(http.StatusBadRequest, codes.InvalidArgument, "the body ends before it should")
	}
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

func isCorrupt(err error) bool {
	var corrupt flate.CorruptInputError
	return errors.As(err, &corrupt)
}

// boundBody gives a request's body a deadline before anything is known of it. It
// holds for what net/http reads, too: a body that was refused is read to its
// end before the connection is used again, and even before the answer is sent.
func (x *exchange) boundBody() {
	if x.request.ContentLength != 0 {
		x.bodyDeadline = time.Now().Add(x.gateway.config.Timeouts.ReadBody)
		x.setReadDeadline(x.bodyDeadline)
	}
}

// bodyIsRead lifts the deadline: from now on, reading only tells whether the
// caller is still there.
func (x *exchange) bodyIsRead() { x.setReadDeadline(time.Time{}) }

// setReadDeadline does nothing where the server has no deadlines.
func (x *exchange) setReadDeadline(at time.Time) { _ = x.writer.control.SetReadDeadline(at) }
