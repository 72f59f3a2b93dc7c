package otelsetup

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	prometheusexporter "go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/evenkeel/evenkeel/gateway/telemetry"
)

// Config says what the environment does not.
type Config struct {
	// ServiceName and ServiceVersion name the program, unless OTEL_SERVICE_NAME
	// and OTEL_RESOURCE_ATTRIBUTES do. Default: what the SDK finds.
	ServiceName, ServiceVersion string

	// TrustTraceContext and RecordPath are those of [telemetry.Config].
	TrustTraceContext func(*http.Request) bool
	RecordPath        bool

	// Registry is what Metrics shows. Default: one of its own, with the metrics
	// of Go's runtime and of the process.
	Registry *prometheus.Registry
}

// A Pipeline is where traces and metrics go. Its fields are not to be changed.
type Pipeline struct {
	// Telemetry is for gateway.Config, and for connections.
	Telemetry *telemetry.Telemetry
	// TracerProvider and MeterProvider are for what else the program tells; nil
	// if nothing of their kind goes anywhere.
	TracerProvider *sdktrace.TracerProvider
	MeterProvider  *sdkmetric.MeterProvider
	// Metrics answers Prometheus, as text or as OpenMetrics, which has exemplars
	// with trace ids. It is for a listener that the public does not reach.
	Metrics http.Handler
}

// New returns a pipeline. It connects to nothing yet. An error names the
// variable that is wrong.
func New(ctx context.Context, config Config) (_ *Pipeline, err error) {
	env, err := readEnvironment()
	if err != nil {
		return nil, fmt.Errorf("otelsetup: %w", err)
	}
	p := &Pipeline{}
	defer func() {
		if err != nil {
			_ = p.Shutdown(ctx)
		}
	}()
	about, err := config.resource(ctx)
	if err != nil {
		return nil, fmt.Errorf("otelsetup: resource: %w", err)
	}
	registry := config.Registry
	if registry == nil {
		registry = prometheus.NewRegistry()
		registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	}
	// Few scrapes at once suffice, whoever reaches the listener.
	p.Metrics = promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true, MaxRequestsInFlight: 4})
	if err := p.addTraces(ctx, env, about); err != nil {
		return nil, fmt.Errorf("otelsetup: traces: %w", err)
	}
	if err := p.addMetrics(ctx, env, about, registry); err != nil {
		return nil, fmt.Errorf("otelsetup: metrics: %w", err)
	}
	t := telemetry.Config{Propagator: env.propagator, TrustTraceContext: config.TrustTraceContext, RecordPath: config.RecordPath}
	// An interface that holds a nil pointer is not nil.
	if p.TracerProvider != nil {
		t.TracerProvider = p.TracerProvider
	}
	if p.MeterProvider != nil {
		t.MeterProvider = p.MeterProvider
	}
	p.Telemetry, err = telemetry.New(t)
	return p, err
}

// Shutdown sends what is left, until ctx is done, and stops.
func (p *Pipeline) Shutdown(ctx context.Context) error {
	errs := []error{p.Telemetry.Close()}
	if p.TracerProvider != nil {
		errs = append(errs, p.TracerProvider.Shutdown(ctx))
	}
	if p.MeterProvider != nil {
		errs = append(errs, p.MeterProvider.Shutdown(ctx))
	}
	return errors.Join(errs...)
}

// resource describes the program. What the environment says comes last, so that
// it holds.
func (c *Config) resource(ctx context.Context) (*resource.Resource, error) {
	about := resource.Default().Attributes()
	if c.ServiceName != "" {
		about = append(about, semconv.ServiceName(c.ServiceName))
	}
	if c.ServiceVersion != "" {
		about = append(about, semconv.ServiceVersion(c.ServiceVersion))
	}
	return resource.New(ctx, resource.WithAttributes(about...), resource.WithFromEnv())
}

func (p *Pipeline) addTraces(ctx context.Context, env *environment, about *resource.Resource) error {
	if !env.traces {
		return nil
	}
	exporter, err := newTraceExporter(ctx, env.traceProtocol)
	if err != nil {
		return err
	}
	p.TracerProvider = sdktrace.NewTracerProvider(sdktrace.WithResource(about), sdktrace.WithBatcher(exporter))
	return nil
}

func (p *Pipeline) addMetrics(ctx context.Context, env *environment, about *resource.Resource, registry *prometheus.Registry) error {
	options := []sdkmetric.Option{sdkmetric.WithResource(about)}
	if env.prometheus {
		reader, err := prometheusexporter.New(prometheusexporter.WithRegisterer(registry), prometheusexporter.WithoutScopeInfo())
		if err != nil {
			return err
		}
		options = append(options, sdkmetric.WithReader(reader))
	}
	if env.metrics {
		exporter, err := newMetricExporter(ctx, env.metricProtocol)
		if err != nil {
			return err
		}
		options = append(options, sdkmetric.WithReader(sdkmetric.NewPeriodicReader(exporter)))
	}
	if len(options) > 1 {
		p.MeterProvider = sdkmetric.NewMeterProvider(options...)
	}
	return nil
}
