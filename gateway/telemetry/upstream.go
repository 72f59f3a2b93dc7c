package telemetry

import (
	"context"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	otelcodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	experimental "google.golang.org/grpc/experimental/opentelemetry"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats/opentelemetry"
	"google.golang.org/grpc/status"

	"github.com/evenkeel/evenkeel/gateway/problem"
)

// balancerMetrics are those of this toolkit's balancing policy, which are off in
// gRPC's registry. Where it is not linked in, naming them does nothing.
var balancerMetrics = []string{
	"grpc.lb.choice_of_two.endpoints", "grpc.lb.choice_of_two.held_back",
	"grpc.lb.choice_of_two.picks", "grpc.lb.choice_of_two.failures",
	"grpc.lb.choice_of_two.probes",
}

// DialOptions make gRPC's own handler tell of a connection: spans of calls and
// of attempts, the metrics that are on by default there, those of this
// toolkit's balancing policy, and further ones by name. None for a nil
// Telemetry.
//
// Use them instead of opentelemetry.DialOption, not besides: that one adds
// trace context to what a gateway sends already, and a backend would see two.
func (t *Telemetry) DialOptions(metrics ...string) []grpc.DialOption {
	if t == nil {
		return nil
	}
	var options []grpc.DialOption
	var o opentelemetry.Options
	if t.tracer != nil {
		o.TraceOptions = experimental.TraceOptions{TracerProvider: t.config.TracerProvider, TextMapPropagator: t.config.Propagator}
		options = append(options, grpc.WithChainUnaryInterceptor(t.forgetUnary), grpc.WithChainStreamInterceptor(t.forgetStream))
	}
	if t.config.MeterProvider != nil {
		o.MetricsOptions = opentelemetry.MetricsOptions{
			MeterProvider: t.config.MeterProvider,
			Metrics:       opentelemetry.DefaultMetrics().Add(balancerMetrics...).Add(metrics...),
		}
	}
	return append(options, opentelemetry.DialOption(o))
}

func (t *Telemetry) forgetUnary(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return invoke(t.forget(ctx), method, req, reply, conn, opts...)
}

func (t *Telemetry) forgetStream(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return open(t.forget(ctx), desc, conn, method, opts...)
}

// forget takes trace context out of what goes upstream, since more of it is
// added for each attempt, and two of a key mean none.
func (t *Telemetry) forget(ctx context.Context) context.Context {
	md, ok := metadata.FromOutgoingContext(ctx)
	if !ok {
		return ctx
	}
	for _, key := range t.config.Propagator.Fields() {
		md.Delete(key)
	}
	return metadata.NewOutgoingContext(ctx, md)
}

// Inject puts the trace context of ctx into the metadata that go upstream with
// it.
func (t *Telemetry) Inject(ctx context.Context) context.Context {
	if t == nil || t.tracer == nil {
		return ctx
	}
	var c carrier
	t.config.Propagator.Inject(ctx, &c)
	if len(c.pairs) == 0 {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, c.pairs...)
}

// carrier only takes.
type carrier struct{ pairs []string }

func (c *carrier) Get(string) string { return "" }
func (c *carrier) Keys() []string    { return nil }
func (c *carrier) Set(key, value string) {
	c.pairs = append(c.pairs, strings.ToLower(key), value)
}

// WrapConn tells of the calls over a connection that takes no dial options, such
// as one to a service in the same process: a span of kind client for each, the
// trace context in their metadata, and rpc.client.call.duration. Method names
// are labels, so they must come from generated clients.
func (t *Telemetry) WrapConn(conn grpc.ClientConnInterface) grpc.ClientConnInterface {
	if t == nil || t.tracer == nil && t.metrics == nil {
		return conn
	}
	return &observedConn{ClientConnInterface: conn, telemetry: t}
}

type observedConn struct {
	grpc.ClientConnInterface
	telemetry *Telemetry
}

func (c *observedConn) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	ctx, call := c.telemetry.startCall(ctx, method)
	err := errPanicked
	defer func() { call.end(err) }()
	err = c.ClientConnInterface.Invoke(ctx, method, args, reply, opts...)
	return err
}

// errPanicked stands for the error of a call that panicked.
var errPanicked = status.Error(codes.Internal, "")

// NewStream ends the span when gRPC takes the stream to have ended, see
// [grpc.OnFinish].
func (c *observedConn) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	ctx, call := c.telemetry.startCall(ctx, method)
	stream, err := c.ClientConnInterface.NewStream(ctx, desc, method, append(opts[:len(opts):len(opts)], grpc.OnFinish(call.end))...)
	if err != nil {
		call.end(err)
		return nil, err
	}
	return stream, nil
}

// call is one that is under way.
type call struct {
	telemetry *Telemetry
	ctx       context.Context
	span      trace.Span
	method    string
	start     time.Time
	ended     atomic.Bool
}

func (t *Telemetry) startCall(ctx context.Context, method string) (context.Context, *call) {
	c := &call{telemetry: t, method: strings.TrimPrefix(method, "/"), start: time.Now()}
	if t.tracer != nil {
		ctx, c.span = t.tracer.Start(ctx, c.method, trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(c.start),
			trace.WithAttributes(semconv.RPCSystemNameGRPC, semconv.RPCMethod(c.method)))
		ctx = t.Inject(t.forget(ctx))
	}
	c.ctx = ctx
	return ctx, c
}

func (c *call) end(err error) {
	if c.ended.Swap(true) {
		return
	}
	key := callKey{method: c.method, code: codeIndex(problem.CodeName(status.Code(err))), failed: err != nil}
	if m := c.telemetry.metrics; m != nil {
		m.callDuration.Record(c.ctx, time.Since(c.start).Seconds(), m.callOptions.of(key, key.options)...)
	}
	if c.span != nil {
		if err != nil {
			c.span.SetStatus(otelcodes.Error, "") // the text may quote the request
		}
		c.span.SetAttributes(key.attributes()...)
		c.span.End()
	}
}

// callKey is what tells the labels of calls apart.
type callKey struct {
	method string
	code   uint8 // see codeNames
	failed bool
}

func (k callKey) attributes() []attribute.KeyValue {
	code := codeNames[k.code]
	attributes := []attribute.KeyValue{semconv.RPCSystemNameGRPC, semconv.RPCMethod(k.method), semconv.RPCResponseStatusCode(code)}
	if k.failed {
		attributes = append(attributes, semconv.ErrorTypeKey.String(code))
	}
	return attributes
}

func (k callKey) options() []metric.RecordOption {
	return []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(k.attributes()...))}
}
