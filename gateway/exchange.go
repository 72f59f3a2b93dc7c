package gateway

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/evenkeel/evenkeel/gateway/auth"
	"github.com/evenkeel/evenkeel/gateway/internal/route"
	"github.com/evenkeel/evenkeel/gateway/policy"
	"github.com/evenkeel/evenkeel/gateway/problem"
	"github.com/evenkeel/evenkeel/gateway/telemetry"
)

// An exchange is one request and its answer, from the first byte to the record
// in the log.
type exchange struct {
	gateway *Gateway
	writer  *responseWriter
	request *http.Request
	start   time.Time
	id      string

	// Memory of its own, so that it takes one piece and not several: what writer
	// points to, the values of headers, and the context of a unary call.
	response responseWriter
	headers  [3]string // X-Request-Id, Content-Length, Etag
	context  callContext

	// Found out step by step.
	match     route.Match[*binding]
	binding   *binding // nil if there is no route
	principal *auth.Principal
	// from is that of address, once it is known.
	from         netip.Addr
	addressKnown bool
	contentType  string // of the answer
	timeout      time.Duration
	query        url.Values
	queried      proto.Message // a request with what the query sets, or nil
	enumNumbers  bool          // asked for by the caller
	lastEventID  string        // of a stream that is taken up again
	ifMatch      string        // the state that is asked for
	body         []byte
	patch        *patch // what the body is, if it is one
	inbox        *inbox // what the body is, if it is a stream
	bytesIn      atomic.Int64
	// bodyDeadline is when the body must have been read; zero if there is none.
	bodyDeadline time.Time
	bodyWait     *wait // nil until it is worth one

	// called is set once the backend may have seen the call; what it answers is
	// its own then. A bidirectional stream sets both from its sending side.
	called atomic.Bool
	// refused is why a message was not sent.
	refused atomic.Pointer[problem.Problem]
	// denied is what a policy said against the call.
	denied atomic.Pointer[policy.Decision]
	// code, reason and panicked are for the log and for telemetry, which has
	// the request as observed, or nil.
	code     codes.Code
	reason   string
	panicked bool
	observed *telemetry.Request
	// sent is set once a call has passed the limit on calls in flight.
	sent atomic.Bool

	// probe is set if this is no request at all, see probe.
	probe *probed
	// dry is set if it is only to be explained, see Explain.
	dry *dryRun
}

type exchangeKey struct{}

// serve answers the request.
func (x *exchange) serve() {
	if x.serveDescription() {
		return
	}
	if p := x.prepare(); p != nil {
		x.fail(p)
		return
	}
	switch {
	case x.request.Method == http.MethodOptions && x.binding == nil:
		x.writer.WriteHeader(http.StatusNoContent)
	case x.request.Method == http.MethodHead && x.binding.serverStream():
		// Its headers are known without opening a stream to throw it away.
		if x.contentType != "" { // the first message would tell it
			x.writer.Header().Set("Content-Type", x.contentType)
			x.writer.Header().Add("Vary", "Accept")
		}
		x.writer.WriteHeader(http.StatusOK)
	default:
		x.call()
	}
}

// prepare does all that is done before the method is called. The order is part
// of what is promised: nothing of the body is read, and nothing of the request
// is told to be wrong, before the caller is known to be let in.
func (x *exchange) prepare() *problem.Problem {
	if p := x.checkURL(); p != nil {
		return p
	}
	if p := x.findRoute(); p != nil || x.binding == nil {
		return p
	}
	for _, step := range []func() *problem.Problem{
		x.letIn, x.refuseForms, x.authorize, x.admit, x.shed, x.parseQuery, x.negotiate, x.checkPath, x.checkQuery, x.readConditions, x.readLastEventID,
	} {
		if p := step(); p != nil {
			return p
		}
	}
	if p := x.readTimeout(); p != nil {
		return p
	}
	return x.readBody()
}

func (x *exchange) checkURL() *problem.Problem {
	if len(x.request.RequestURI) > x.gateway.config.Limits.URLBytes || len(x.request.URL.Path) > x.gateway.config.Limits.URLBytes {
		return problem.New(http.StatusRequestURITooLong, codes.InvalidArgument, "the URL is too long")
	}
	return nil
}

// findRoute resolves the method that is called. From here on, only that counts,
// however the path was written.
func (x *exchange) findRoute() *problem.Problem {
	if x.request.Method == http.MethodOptions && x.request.RequestURI == "*" {
		return nil // it asks for no path, only whether there is a server
	}
	path, escaped := route.Path(x.request.URL)
	if route.Dotted(path, escaped) {
		return problem.New(http.StatusBadRequest, codes.InvalidArgument, "the path has a segment `.` or `..`, which stands for another path")
	}
	tree := x.gateway.tree.Load()
	x.match = tree.Match(x.request.Method, path, escaped)
	if x.match.Found {
		x.binding = x.match.Value
		return nil
	}
	if len(x.match.Allow) == 0 {
		return problem.New(http.StatusNotFound, codes.NotFound, "there is nothing at this path")
	}
	allow := append(x.match.Allow, http.MethodOptions)
	slices.Sort(allow)
	x.writer.Header().Set("Allow", strings.Join(slices.Compact(allow), ", "))
	if x.request.Method == http.MethodOptions {
		if patch := tree.Match(http.MethodPatch, path, escaped); patch.Found && patch.Value.hasBody() && !patch.Value.bodyIsMedia {
			x.writer.Header().Set("Accept-Patch", strings.Join(patch.Value.bodyTypes(), ", ")) // RFC 5789, section 3.1
		}
		return nil
	}
	return problem.New(http.StatusMethodNotAllowed, codes.Unimplemented, "the path does not have this method; Allow names those that it has")
}

// checkPath refuses what no string field can hold.
func (x *exchange) checkPath() *problem.Problem {
	for i := range x.binding.pathFields {
		if _, value := x.match.Variable(i); !utf8.ValidString(value) {
			return badPath(x.binding.query.DiagnosePath(x.match.Params()))
		}
	}
	return nil
}

func (x *exchange) checkQuery() *problem.Problem {
	c := &x.gateway.config
	msg, errs := x.binding.query.Read(x.query, c.Limits.JSONDepth, c.Lenient.QueryParameters)
	if len(errs) > 0 {
		return badRequest("the query does not fit the method", errs)
	}
	x.queried = msg
	return nil
}

// call makes the call and answers.
func (x *exchange) call() {
	ctx, cancel := context.WithTimeout(x.request.Context(), x.timeout)
	defer cancel()
	if !x.binding.stream() {
		x.callUnary(ctx)
		return
	}
	// Streams do not hold a drain up.
	stop := context.AfterFunc(x.gateway.streams, cancel)
	defer stop()
	if x.binding.serverStream() {
		x.writer.ahead = streamWindow
	}
	x.callStream(ctx)
}

// callStream runs the generated handler.
func (x *exchange) callStream(ctx context.Context) {
	r := x.request.WithContext(context.WithValue(ctx, exchangeKey{}, x))
	r.Header = x.gateway.upstreamHeaders(x.request.Header)
	if from := x.behind(); from != "" {
		r.Header["X-Forwarded-For"] = []string{from} // what is behind it, the generated handlers add
	}
	if r.URL.RawQuery != "" {
		// It is read, see queried; the generated handlers would read it again,
		// by rules of their own.
		u := *r.URL
		u.RawQuery = ""
		r.URL = &u
	}
	if x.enumNumbers {
		r.Header["Accept"] = []string{enumNumbers}
	}
	if x.inbox != nil {
		x.inbox.ctx = ctx
		r.Body = x.inbox
		stop := context.AfterFunc(ctx, func() { x.inbox.deadline(time.Time{}) })
		defer stop()
		if x.binding.serverStream() {
			_ = x.writer.control.EnableFullDuplex() // HTTP/2 has it, and recorders need it not
		}
	} else {
		b := &body{data: x.body, mediaType: x.request.Header.Get("Content-Type")}
		b.Reset(x.body)
		r.Body = b
	}
	r.ContentLength = int64(len(x.body))
	x.binding.handler(x.writer, r, x.match.Params())
}

// enumNumbers stands, in a header that only generated handlers see, for the
// marshaler that they are to write with.
const enumNumbers = "enum-numbers"

// upstreamHeaders returns the headers that a generated handler may see.
func (g *Gateway) upstreamHeaders(from http.Header) http.Header {
	h := make(http.Header, 4)
	for _, name := range g.config.ForwardHeaders {
		if values := from[name]; len(values) > 0 {
			h[name] = values
		}
	}
	return h
}

// forwardHeader says which of them become metadata, and how it is named there.
func (g *Gateway) forwardHeader(name string) (string, bool) {
	if name == "Authorization" {
		return "", false // the generated handlers forward it themselves
	}
	return strings.ToLower(name), slices.Contains(g.config.ForwardHeaders, name)
}

// returnHeaders puts what of the answer's metadata the caller gets into its
// headers. Where the gateway has set one of them, such as Cache-Control, the
// backend knows better.
func (x *exchange) returnHeaders(md metadata.MD) {
	for _, key := range x.gateway.config.ReturnHeaders {
		if values := md[key]; len(values) > 0 {
			values = slices.Clone(values)
			if strings.HasSuffix(key, "-bin") {
				for i, v := range values { // as gRPC has them on the wire
					values[i] = base64.RawStdEncoding.EncodeToString([]byte(v))
				}
			}
			x.writer.Header()[http.CanonicalHeaderKey(key)] = values
		}
	}
}
