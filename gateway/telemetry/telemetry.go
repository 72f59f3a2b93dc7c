package telemetry

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// scope names this package as what made a span or a metric.
const scope = "github.com/evenkeel/evenkeel/gateway/telemetry"

// Config says what is made of requests. A provider that is nil leaves its part
// out.
type Config struct {
	// TracerProvider makes the spans, and decides by its sampler which are
	// recorded. Default nil: no traces.
	TracerProvider trace.TracerProvider

	// MeterProvider takes the metrics. Default nil: no metrics.
	MeterProvider metric.MeterProvider

	// Propagator reads and writes trace context. Baggage, if it is among what
	// it reads, is taken from trusted callers only. Default
	// [propagation.TraceContext]. It has no effect without a TracerProvider.
	Propagator propagation.TextMapPropagator

	// TrustTraceContext says of a request whether its trace context is the
	// parent of its span, by which the caller decides whether it is sampled. It
	// is called concurrently, before the caller is known; what it may go by is
	// the connection: r.TLS, r.RemoteAddr. Default nil: no caller's is; a new
	// trace begins, with a link to the caller's. See [Everybody].
	TrustTraceContext func(r *http.Request) bool

	// RecordPath puts the path of a request into its span, as url.path. Paths
	// may hold what should not be kept. Default false.
	RecordPath bool
}

// Everybody is a Config.TrustTraceContext for servers that only one's own
// clients and proxies can reach.
func Everybody(*http.Request) bool { return true }

// A Telemetry makes traces and metrics. Its methods may be called concurrently,
// and on a nil Telemetry, which does nothing.
type Telemetry struct {
	config  Config
	tracer  trace.Tracer // nil for none
	metrics *instruments // nil for none

	// methods are those that may be told, in an order that does not change.
	methods atomic.Pointer[methodTable]
	// unrouted is of requests without a route.
	unrouted *Route
	patterns sync.Map // of Middleware: string to *Route

	mu        sync.Mutex // guards what follows, and changes of methods
	upstreams []Upstream
}

// New returns a Telemetry. It fails if the meter refuses an instrument. Close
// it when it is not used any more and its MeterProvider still is.
func New(config Config) (*Telemetry, error) {
	if config.Propagator == nil {
		config.Propagator = propagation.TraceContext{}
	}
	t := &Telemetry{config: config}
	t.methods.Store(standardMethods())
	t.unrouted = &Route{telemetry: t}
	if config.TracerProvider != nil {
		t.tracer = config.TracerProvider.Tracer(scope, trace.WithSchemaURL(semconv.SchemaURL))
	}
	if config.MeterProvider != nil {
		meter := config.MeterProvider.Meter(scope, metric.WithSchemaURL(semconv.SchemaURL))
		var err error
		if t.metrics, err = newInstruments(meter, t); err != nil {
			return nil, fmt.Errorf("telemetry: %w", err)
		}
	}
	return t, nil
}

// Close stops telling of upstreams. The providers are not closed.
func (t *Telemetry) Close() error {
	if t == nil || t.metrics == nil {
		return nil
	}
	return t.metrics.watching.Unregister()
}

// Propagates names the request headers by which trace context is read, in lower
// case: they must not be passed on as they are. None without a TracerProvider.
func (t *Telemetry) Propagates() []string {
	if t == nil || t.tracer == nil {
		return nil
	}
	return t.config.Propagator.Fields()
}
