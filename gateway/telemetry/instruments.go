package telemetry

import (
	"context"
	"errors"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/evenkeel/evenkeel/gateway/overload"
	"github.com/evenkeel/evenkeel/gateway/retry"
)

// Bounds of the histograms: those of times are what the conventions advise,
// those of sizes reach from an empty body to gigabytes.
var (
	timeBounds = []float64{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10}
	sizeBounds = []float64{0, 128, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20, 256 << 20, 1 << 30}
)

const (
	serviceKey  = attribute.Key("rpc.service")
	outcomeKey  = attribute.Key("outcome")
	priorityKey = attribute.Key("priority")
)

// instruments are all that metrics are told to.
type instruments struct {
	duration                  metric.Float64Histogram
	requestSize, responseSize metric.Int64Histogram
	callDuration              metric.Float64Histogram
	rejections, panics        metric.Int64Counter

	// Asked when metrics are collected.
	active          metric.Int64ObservableUpDownCounter
	retries, calls  metric.Int64ObservableCounter
	limit, inFlight metric.Int64ObservableGauge
	watching        metric.Registration

	activeRequests remembered[labelKey, *activeRequests]
	callOptions    remembered[callKey, []metric.RecordOption]
}

// activeRequests are those of one kind that are being answered. They are counted
// here, and told when somebody asks: telling each change costs more.
type activeRequests struct {
	n      atomic.Int64
	labels []metric.ObserveOption
}

func newInstruments(meter metric.Meter, t *Telemetry) (*instruments, error) {
	m := &instruments{}
	var errs [11]error
	m.active, errs[0] = meter.Int64ObservableUpDownCounter("http.server.active_requests",
		metric.WithUnit("{request}"), metric.WithDescription("Number of active HTTP server requests."))
	m.duration, errs[1] = meter.Float64Histogram("http.server.request.duration",
		metric.WithUnit("s"), metric.WithDescription("Duration of HTTP server requests."), metric.WithExplicitBucketBoundaries(timeBounds...))
	m.requestSize, errs[2] = meter.Int64Histogram("http.server.request.body.size",
		metric.WithUnit("By"), metric.WithDescription("Size of HTTP server request bodies."), metric.WithExplicitBucketBoundaries(sizeBounds...))
	m.responseSize, errs[3] = meter.Int64Histogram("http.server.response.body.size",
		metric.WithUnit("By"), metric.WithDescription("Size of HTTP server response bodies."), metric.WithExplicitBucketBoundaries(sizeBounds...))
	m.callDuration, errs[4] = meter.Float64Histogram("rpc.client.call.duration",
		metric.WithUnit("s"), metric.WithDescription("Duration of outgoing calls over connections that gRPC does not tell of."), metric.WithExplicitBucketBoundaries(timeBounds...))
	m.rejections, errs[5] = meter.Int64Counter("evenkeel.gateway.rejections",
		metric.WithUnit("{request}"), metric.WithDescription("Requests that the door refused itself, by reason."))
	m.panics, errs[6] = meter.Int64Counter("evenkeel.gateway.panics",
		metric.WithUnit("{panic}"), metric.WithDescription("Panics of handlers."))
	m.retries, errs[7] = meter.Int64ObservableCounter("evenkeel.gateway.retries",
		metric.WithUnit("{call}"), metric.WithDescription("Calls that were made again, and that were not for lack of budget."))
	m.limit, errs[8] = meter.Int64ObservableGauge("evenkeel.gateway.overload.limit",
		metric.WithUnit("{call}"), metric.WithDescription("How many calls may be in flight."))
	m.inFlight, errs[9] = meter.Int64ObservableGauge("evenkeel.gateway.overload.in_flight",
		metric.WithUnit("{call}"), metric.WithDescription("How many calls are in flight, of those that are limited."))
	m.calls, errs[10] = meter.Int64ObservableCounter("evenkeel.gateway.overload.calls",
		metric.WithUnit("{call}"), metric.WithDescription("Calls that the limit let in and refused, by priority."))
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	var err error
	m.watching, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		t.observe(m, o)
		return nil
	}, m.active, m.retries, m.limit, m.inFlight, m.calls)
	return m, err
}

// An Upstream is what calls go to.
type Upstream struct {
	// Service is its name, such as "movie.v1.MovieService".
	Service string
	// Retries makes its calls again; nil for none.
	Retries *retry.Conn
	// Limiter bounds its calls; nil for none.
	Limiter *overload.Limiter
}

// Watch tells of an upstream whenever metrics are collected, until Close.
func (t *Telemetry) Watch(u Upstream) {
	if t == nil || t.metrics == nil || u.Retries == nil && u.Limiter == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, there := range t.upstreams {
		if there.Limiter == u.Limiter {
			u.Limiter = nil // told already
		}
	}
	t.upstreams = append(t.upstreams, u)
}

// observe tells how things stand.
func (t *Telemetry) observe(m *instruments, o metric.Observer) {
	for _, a := range m.activeRequests.all() {
		o.ObserveInt64(m.active, a.n.Load(), a.labels...)
	}
	t.mu.Lock()
	upstreams := t.upstreams
	t.mu.Unlock()
	for _, u := range upstreams {
		service := serviceKey.String(u.Service)
		if u.Retries != nil {
			stats := u.Retries.Stats()
			o.ObserveInt64(m.retries, int64(stats.Retries), metric.WithAttributes(service, outcomeKey.String("made")))
			o.ObserveInt64(m.retries, int64(stats.OverBudget), metric.WithAttributes(service, outcomeKey.String("over_budget")))
		}
		if u.Limiter == nil {
			continue
		}
		stats := u.Limiter.Stats()
		o.ObserveInt64(m.limit, int64(stats.Limit), metric.WithAttributes(service))
		o.ObserveInt64(m.inFlight, int64(stats.InFlight), metric.WithAttributes(service))
		for _, class := range []struct {
			name  string
			stats overload.ClassStats
		}{{"critical", stats.Critical}, {"default", stats.Default}, {"sheddable", stats.Sheddable}} {
			priority := priorityKey.String(class.name)
			o.ObserveInt64(m.calls, int64(class.stats.Accepted), metric.WithAttributes(service, priority, outcomeKey.String("accepted")))
			o.ObserveInt64(m.calls, int64(class.stats.Refused), metric.WithAttributes(service, priority, outcomeKey.String("refused")))
		}
	}
}
