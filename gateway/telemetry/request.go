package telemetry

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// A Reason is why a front door refused a request itself.
type Reason string

// The reasons.
const (
	Unauthenticated  Reason = "unauthenticated"    // no credentials, or such as do not hold
	Denied           Reason = "denied"             // a scope, a role or a condition is missing
	RateLimited      Reason = "rate_limited"       // over a rate
	Overloaded       Reason = "overloaded"         // shed by the limit on what is in flight
	Invalid          Reason = "invalid"            // the request is wrong, too long or too slow
	NotFound         Reason = "not_found"          // there is no such route
	MethodNotAllowed Reason = "method_not_allowed" // the route does not have this method
	Unavailable      Reason = "unavailable"        // what the door needs to judge it is not there
)

var reasons = [...]Reason{"", Unauthenticated, Denied, RateLimited, Overloaded, Invalid, NotFound, MethodNotAllowed, Unavailable}

const reasonKey = attribute.Key("reason")

// index numbers the reasons; one that is not known is told as none.
func (r Reason) index() uint8 {
	for i, known := range reasons {
		if r == known {
			return uint8(i)
		}
	}
	return 0
}

// An Outcome is how a request ended.
type Outcome struct {
	// Route is where it went, nil for nowhere.
	Route *Route
	// Status is what was answered, 0 if nothing was.
	Status int
	// RequestBytes and ResponseBytes are the lengths of the bodies.
	RequestBytes, ResponseBytes int64
	// Code is the name of the gRPC code behind the answer, such as NOT_FOUND;
	// "" if there is none.
	Code string
	// FailedInBand says that the server failed, with Code, after it had sent a
	// status that does not tell so.
	FailedInBand bool
	// Rejected is why the server refused to do what was asked; "" if it did
	// not.
	Rejected Reason
	// Panicked says that a handler did.
	Panicked bool
	// RequestID is the id that the logs have; "" for none.
	RequestID string
	// ClientAddress is where the request comes from, where trusted proxies tell
	// more than the connection; "" if they do not.
	ClientAddress string
}

// A Request is one that is being answered. Its methods are not to be called
// concurrently, but may be on a nil Request.
type Request struct {
	telemetry *Telemetry
	request   *http.Request // as it came
	ctx       context.Context
	span      trace.Span // nil for none
	start     time.Time
	method    uint8
	version   protocol
	secure    bool
	active    *activeRequests // nil without metrics
}

// Start begins a request. It returns the request to go on with, whose context
// has the span, and what to call End of when it was answered.
func (t *Telemetry) Start(r *http.Request) (*http.Request, *Request) {
	if t == nil || t.tracer == nil && t.metrics == nil {
		return r, nil
	}
	q := &Request{
		telemetry: t, request: r, ctx: r.Context(), start: time.Now(),
		method: t.methods.Load().index[r.Method], version: protocolOf(r), secure: r.TLS != nil,
	}
	if t.tracer != nil {
		q.startSpan()
		r = r.WithContext(q.ctx)
	}
	if t.metrics != nil {
		q.active = t.metrics.activeLike(q)
		q.active.n.Add(1)
	}
	return r, q
}

func (q *Request) methodName() string { return q.telemetry.methods.Load().names[q.method] }

func (q *Request) scheme() string {
	if q.secure {
		return "https"
	}
	return "http"
}

func (q *Request) startSpan() {
	t := q.telemetry
	attributes := make([]attribute.KeyValue, 0, 4)
	attributes = append(attributes, semconv.HTTPRequestMethodKey.String(q.methodName()), semconv.URLScheme(q.scheme()))
	if q.method == 0 {
		attributes = append(attributes, semconv.HTTPRequestMethodOriginal(shorten(q.request.Method)))
	}
	if t.config.RecordPath {
		attributes = append(attributes, semconv.URLPath(q.request.URL.Path))
	}
	options := []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(q.start), trace.WithAttributes(attributes...),
	}
	ctx := q.ctx
	// A span that is there already is of what is around this server in the same
	// process, which has read the headers.
	if !trace.SpanContextFromContext(ctx).IsValid() {
		sent := t.config.Propagator.Extract(ctx, propagation.HeaderCarrier(q.request.Header))
		switch remote := trace.SpanContextFromContext(sent); {
		case t.config.TrustTraceContext != nil && t.config.TrustTraceContext(q.request):
			ctx = sent
		case remote.IsValid():
			options = append(options, trace.WithLinks(trace.Link{SpanContext: remote}))
		}
	}
	q.ctx, q.span = t.tracer.Start(ctx, q.spanName(nil), options...)
}

// spanName is as the conventions have it.
func (q *Request) spanName(r *Route) string {
	method := q.methodName()
	if q.method == 0 {
		method = "HTTP"
	}
	if r == nil || r.pattern == "" {
		return method
	}
	return method + " " + r.pattern
}

// SpanContext returns the trace and the span that the request has; an invalid
// one if it has none.
func (q *Request) SpanContext() trace.SpanContext {
	if q == nil || q.span == nil {
		return trace.SpanContext{}
	}
	return q.span.SpanContext()
}

// Inject puts the trace context of ctx into the metadata that go upstream with
// it, see [Telemetry.Inject].
func (q *Request) Inject(ctx context.Context) context.Context {
	if q == nil {
		return ctx
	}
	return q.telemetry.Inject(ctx)
}

// End ends the request.
func (q *Request) End(o Outcome) {
	if q == nil {
		return
	}
	if o.Route == nil {
		o.Route = q.telemetry.unrouted
	}
	if q.telemetry.metrics != nil {
		q.measure(&o)
	}
	if q.span != nil {
		if q.span.IsRecording() {
			q.describe(&o)
		}
		q.span.End()
	}
}

func (q *Request) measure(o *Outcome) {
	m := q.telemetry.metrics
	q.active.n.Add(-1)
	labels := o.Route.requestLabels(q, o)
	m.duration.Record(q.ctx, time.Since(q.start).Seconds(), labels...)
	m.requestSize.Record(q.ctx, o.RequestBytes, labels...)
	m.responseSize.Record(q.ctx, o.ResponseBytes, labels...)
	if o.Rejected != "" {
		m.rejections.Add(q.ctx, 1, o.Route.rejectionLabels(q, o.Rejected)...)
	}
	if o.Panicked {
		m.panics.Add(q.ctx, 1, o.Route.rejectionLabels(q, "")...)
	}
}

// requestIDKey is where a span has the id that the log has.
const requestIDKey = attribute.Key("evenkeel.gateway.request_id")

// describe says in the span how the request ended.
func (q *Request) describe(o *Outcome) {
	attributes := make([]attribute.KeyValue, 0, 14)
	if o.Route.pattern != "" {
		q.span.SetName(q.spanName(o.Route))
		attributes = append(attributes, semconv.HTTPRoute(o.Route.pattern))
	}
	if o.Route.rpc != "" {
		attributes = append(attributes, semconv.RPCMethod(o.Route.rpc))
	}
	if o.Status != 0 {
		attributes = append(attributes, semconv.HTTPResponseStatusCode(o.Status))
	}
	if o.Code != "" {
		attributes = append(attributes, semconv.RPCResponseStatusCode(o.Code))
	}
	if o.Rejected != "" {
		attributes = append(attributes, reasonKey.String(string(o.Rejected)))
	}
	if o.RequestID != "" {
		attributes = append(attributes, requestIDKey.String(o.RequestID))
	}
	if failed := failureName(failureIndex(o), o.Status); failed != "" {
		attributes = append(attributes, semconv.ErrorTypeKey.String(failed))
		q.span.SetStatus(codes.Error, "")
	}
	attributes = append(attributes, semconv.HTTPRequestBodySize(int(o.RequestBytes)), semconv.HTTPResponseBodySize(int(o.ResponseBytes)))
	q.span.SetAttributes(append(attributes, q.peers(o.ClientAddress)...)...)
}

// peers tells who talks to whom. client is the peer if it is "".
func (q *Request) peers(client string) []attribute.KeyValue {
	attributes := make([]attribute.KeyValue, 0, 6)
	if version := q.version.String(); version != "" {
		attributes = append(attributes, semconv.NetworkProtocolVersion(version))
	}
	if host, port := hostPort(q.request.RemoteAddr); host != "" {
		attributes = append(attributes, semconv.NetworkPeerAddress(host), semconv.ClientAddress(cmp.Or(client, host)))
		if port != 0 {
			attributes = append(attributes, semconv.NetworkPeerPort(port))
		}
	}
	if host, port := hostPort(q.request.Host); host != "" {
		attributes = append(attributes, semconv.ServerAddress(shorten(host)))
		if port != 0 {
			attributes = append(attributes, semconv.ServerPort(port))
		}
	}
	if agent := q.request.UserAgent(); agent != "" {
		attributes = append(attributes, semconv.UserAgentOriginal(shorten(agent)))
	}
	return attributes
}

// hostPort takes an address apart; the port is 0 if there is none.
func hostPort(address string) (string, int) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address, 0
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return host, 0
	}
	return host, int(n)
}

// shorten bounds what a caller puts into a span.
func shorten(s string) string {
	const most = 256
	if len(s) > most {
		return s[:most]
	}
	return s
}

// activeLike counts the requests that are being answered and have the labels of q.
func (m *instruments) activeLike(q *Request) *activeRequests {
	return m.activeRequests.of(keyOf(q.method, 0, 0, q.secure, 0), func() *activeRequests {
		return &activeRequests{labels: []metric.ObserveOption{metric.WithAttributeSet(attribute.NewSet(
			semconv.HTTPRequestMethodKey.String(q.methodName()), semconv.URLScheme(q.scheme()),
		))}}
	})
}
