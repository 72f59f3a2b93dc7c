package otelsetup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// environment is what the variables say.
type environment struct {
	traces, metrics, prometheus   bool // which are made, and sent where
	traceProtocol, metricProtocol string
	propagator                    propagation.TextMapPropagator
}

func readEnvironment() (*environment, error) {
	e := &environment{}
	switch strings.ToLower(os.Getenv("OTEL_SDK_DISABLED")) {
	case "", "false":
	case "true":
		e.propagator = propagation.TraceContext{}
		return e, nil
	default:
		return nil, unknown("OTEL_SDK_DISABLED", os.Getenv("OTEL_SDK_DISABLED"), "true, false")
	}
	var errs [5]error
	e.traces, errs[0] = tracesWanted()
	e.metrics, e.prometheus, errs[1] = metricsWanted()
	e.traceProtocol, errs[2] = protocolFor("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
	e.metricProtocol, errs[3] = protocolFor("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL")
	e.propagator, errs[4] = propagators()
	return e, errors.Join(errs[:]...)
}

func unknown(name, value, known string) error {
	return fmt.Errorf("%s=%q: must be of %s", name, value, known)
}

func tracesWanted() (bool, error) {
	const name = "OTEL_TRACES_EXPORTER"
	switch value := os.Getenv(name); value {
	case "":
		return cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT")) != "", nil
	case "otlp":
		return true, nil
	case "none":
		return false, nil
	default:
		return false, unknown(name, value, "otlp, none")
	}
}

func metricsWanted() (otlp, prometheus bool, err error) {
	const name = "OTEL_METRICS_EXPORTER"
	value := os.Getenv(name)
	switch value {
	case "":
		return cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"), os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT")) != "", true, nil
	case "none":
		return false, false, nil
	}
	for one := range strings.SplitSeq(value, ",") {
		switch strings.TrimSpace(one) {
		case "otlp":
			otlp = true
		case "prometheus":
			prometheus = true
		default:
			return false, false, unknown(name, value, "otlp, prometheus, or none")
		}
	}
	return otlp, prometheus, nil
}

const (
	protocolHTTP = "http/protobuf"
	protocolGRPC = "grpc"
)

func protocolFor(name string) (string, error) {
	if os.Getenv(name) == "" {
		name = "OTEL_EXPORTER_OTLP_PROTOCOL"
	}
	switch value := cmp.Or(os.Getenv(name), protocolHTTP); value {
	case protocolHTTP, protocolGRPC:
		return value, nil
	default:
		return "", unknown(name, value, protocolHTTP+", "+protocolGRPC)
	}
}

func propagators() (propagation.TextMapPropagator, error) {
	const name = "OTEL_PROPAGATORS"
	value := cmp.Or(os.Getenv(name), "tracecontext")
	var all []propagation.TextMapPropagator
	if value != "none" {
		for one := range strings.SplitSeq(value, ",") {
			switch strings.TrimSpace(one) {
			case "tracecontext":
				all = append(all, propagation.TraceContext{})
			case "baggage":
				all = append(all, propagation.Baggage{})
			default:
				return nil, unknown(name, value, "tracecontext, baggage, or none")
			}
		}
	}
	return propagation.NewCompositeTextMapPropagator(all...), nil
}

// The exporters read where to send to from the environment.

func newTraceExporter(ctx context.Context, protocol string) (sdktrace.SpanExporter, error) {
	if protocol == protocolGRPC {
		return otlptracegrpc.New(ctx)
	}
	return otlptracehttp.New(ctx)
}

func newMetricExporter(ctx context.Context, protocol string) (sdkmetric.Exporter, error) {
	if protocol == protocolGRPC {
		return otlpmetricgrpc.New(ctx)
	}
	return otlpmetrichttp.New(ctx)
}
