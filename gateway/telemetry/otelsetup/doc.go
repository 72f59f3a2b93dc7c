// Package otelsetup makes a ready OpenTelemetry pipeline for package telemetry:
// for programs that have none.
//
//	pipeline, err := otelsetup.New(ctx, otelsetup.Config{ServiceName: "door"})
//	…
//	defer pipeline.Shutdown(ctx)
//	g, err := gateway.New(gateway.Config{Telemetry: pipeline.Telemetry})
//	…
//	// not on the public listener
//	a, err := admin.New(g, admin.Config{Handlers: map[string]http.Handler{"/metrics": pipeline.Metrics}})
//
// Without anything in the environment it makes metrics for Prometheus and no
// traces. OpenTelemetry's own variables say the rest:
//
//	OTEL_SDK_DISABLED=true             makes nothing of requests
//	OTEL_EXPORTER_OTLP_ENDPOINT        where traces and metrics are sent, too; this and all others
//	                                   beginning with OTEL_EXPORTER_OTLP_ are read by the exporters
//	OTEL_EXPORTER_OTLP_PROTOCOL        http/protobuf (default) or grpc; OTEL_EXPORTER_OTLP_TRACES_PROTOCOL
//	                                   and OTEL_EXPORTER_OTLP_METRICS_PROTOCOL for one of them
//	OTEL_TRACES_EXPORTER               otlp or none; default otlp if there is an endpoint
//	OTEL_METRICS_EXPORTER              a list of prometheus and otlp, or none; default prometheus, and otlp
//	                                   if there is an endpoint
//	OTEL_TRACES_SAMPLER                such as parentbased_traceidratio, with OTEL_TRACES_SAMPLER_ARG=0.01;
//	                                   default: all traces that begin here
//	OTEL_PROPAGATORS                   a list of tracecontext and baggage, or none; default tracecontext
//	OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES
//	OTEL_BSP_*, OTEL_METRIC_EXPORT_*   how often, and how much at once, is sent
//
// A value that is none of these is an error. Nothing global is set. What cannot
// be sent is lost, after the exporter's retries; OpenTelemetry's error handler
// tells of it.
//
// # Sources
//
// OpenTelemetry's specification of environment variables; of its defaults this
// package leaves out the endpoint localhost, and baggage.
package otelsetup
