package otelsetup_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	collectormetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collectortraces "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/evenkeel/evenkeel/gateway/telemetry"
	"github.com/evenkeel/evenkeel/gateway/telemetry/otelsetup"
	"github.com/evenkeel/evenkeel/internal/leaktest"
)

// collector keeps what it is sent.
type collector struct {
	collectortraces.UnimplementedTraceServiceServer
	mu      sync.Mutex
	spans   []string // service and name
	metrics []string
}

func (c *collector) Export(_ context.Context, r *collectortraces.ExportTraceServiceRequest) (*collectortraces.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, rs := range r.GetResourceSpans() {
		service := ""
		for _, a := range rs.GetResource().GetAttributes() {
			if a.GetKey() == "service.name" {
				service = a.GetValue().GetStringValue()
			}
		}
		for _, ss := range rs.GetScopeSpans() {
			for _, s := range ss.GetSpans() {
				c.spans = append(c.spans, service+" "+s.GetName())
			}
		}
	}
	return &collectortraces.ExportTraceServiceResponse{}, nil
}

type metricsCollector struct {
	collectormetrics.UnimplementedMetricsServiceServer
	*collector
}

func (c metricsCollector) Export(_ context.Context, r *collectormetrics.ExportMetricsServiceRequest) (*collectormetrics.ExportMetricsServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, rm := range r.GetResourceMetrics() {
		for _, sm := range rm.GetScopeMetrics() {
			for _, m := range sm.GetMetrics() {
				c.metrics = append(c.metrics, m.GetName())
			}
		}
	}
	return &collectormetrics.ExportMetricsServiceResponse{}, nil
}

// ServeHTTP takes what comes by http/protobuf.
func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	switch r.URL.Path {
	case "/v1/traces":
		var m collectortraces.ExportTraceServiceRequest
		if proto.Unmarshal(body, &m) == nil {
			_, _ = c.Export(r.Context(), &m)
		}
	case "/v1/metrics":
		var m collectormetrics.ExportMetricsServiceRequest
		if proto.Unmarshal(body, &m) == nil {
			_, _ = metricsCollector{collector: c}.Export(r.Context(), &m)
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// ask answers one request of a route through a pipeline's telemetry.
func ask(t *telemetry.Telemetry) {
	route := t.NewRoute("GET", "/v1/books", "")
	_, q := t.Start(httptest.NewRequest("GET", "/v1/books", nil))
	q.End(telemetry.Outcome{Route: route, Status: 200})
}

func scrape(t *testing.T, p *otelsetup.Pipeline, accept string) string {
	t.Helper()
	r := httptest.NewRequest("GET", "/metrics", nil)
	r.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	p.Metrics.ServeHTTP(w, r)
	if w.Code != 200 {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func TestWithoutAnyVariableThereIsPrometheusAndNothingElse(t *testing.T) {
	p, err := otelsetup.New(t.Context(), otelsetup.Config{ServiceName: "door", ServiceVersion: "1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	ask(p.Telemetry)
	page := scrape(t, p, "text/plain")
	for _, line := range []string{
		`http_server_request_duration_seconds_count{http_request_method="GET",http_response_status_code="200",http_route="/v1/books",network_protocol_version="1.1",url_scheme="http"} 1`,
		`http_server_active_requests{http_request_method="GET",url_scheme="http"} 0`,
		`service_name="door",service_version="1.2.3"`,
		"go_goroutines ",
		"process_start_time_seconds ",
	} {
		if !strings.Contains(page, line) {
			t.Errorf("there is no %s in\n%s", line, page)
		}
	}
	if p.TracerProvider != nil {
		t.Error("there are traces, to nowhere")
	}
	if err := p.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestTracesAndMetricsGoWhereTheEnvironmentSays(t *testing.T) {
	for _, protocol := range []string{"grpc", "http/protobuf"} {
		t.Run(protocol, func(t *testing.T) {
			leaktest.Check(t)
			c := &collector{}
			endpoint := ""
			if protocol == "grpc" {
				listener, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				server := grpc.NewServer()
				collectortraces.RegisterTraceServiceServer(server, c)
				collectormetrics.RegisterMetricsServiceServer(server, metricsCollector{collector: c})
				go func() { _ = server.Serve(listener) }()
				defer server.Stop()
				endpoint = "http://" + listener.Addr().String()
			} else {
				server := httptest.NewServer(c)
				defer server.Close()
				defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
				endpoint = server.URL
			}
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
			t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
			t.Setenv("OTEL_SERVICE_NAME", "from the environment")
			p, err := otelsetup.New(t.Context(), otelsetup.Config{ServiceName: "door"})
			if err != nil {
				t.Fatal(err)
			}
			ask(p.Telemetry)
			// An exemplar names the trace of one request that was measured.
			if page := scrape(t, p, "application/openmetrics-text"); !strings.Contains(page, ` 1 # {`) || !strings.Contains(page, `trace_id="`) {
				t.Errorf("no exemplar in\n%s", page)
			}
			if err := p.Shutdown(t.Context()); err != nil { // sends what is left
				t.Fatal(err)
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			if len(c.spans) != 1 || c.spans[0] != "from the environment GET /v1/books" {
				t.Errorf("spans %q", c.spans)
			}
			if !strings.Contains(strings.Join(c.metrics, " "), "http.server.request.duration") {
				t.Errorf("metrics %q", c.metrics)
			}
		})
	}
}

func TestTheSamplerIsTheEnvironments(t *testing.T) {
	t.Setenv("OTEL_TRACES_EXPORTER", "otlp")
	t.Setenv("OTEL_TRACES_SAMPLER", "always_off")
	p, err := otelsetup.New(t.Context(), otelsetup.Config{})
	if err != nil {
		t.Fatal(err)
	}
	_, q := p.Telemetry.Start(httptest.NewRequest("GET", "/", nil))
	if !q.SpanContext().IsValid() || q.SpanContext().IsSampled() {
		t.Errorf("%+v", q.SpanContext())
	}
	q.End(telemetry.Outcome{Status: 200})
	if err := p.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestItCanBeDisabled(t *testing.T) {
	t.Setenv("OTEL_SDK_DISABLED", "true")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	p, err := otelsetup.New(t.Context(), otelsetup.Config{})
	if err != nil {
		t.Fatal(err)
	}
	ask(p.Telemetry)
	if p.TracerProvider != nil || p.MeterProvider != nil || strings.Contains(scrape(t, p, "text/plain"), "http_server") {
		t.Error("it is not")
	}
	if err := p.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAVariableThatIsWrongIsNamed(t *testing.T) {
	for name, value := range map[string]string{
		"OTEL_SDK_DISABLED":                   "maybe",
		"OTEL_TRACES_EXPORTER":                "zipkin",
		"OTEL_METRICS_EXPORTER":               "otlp,statsd",
		"OTEL_EXPORTER_OTLP_PROTOCOL":         "http/json",
		"OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "udp",
		"OTEL_PROPAGATORS":                    "tracecontext,b3",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, value)
			if p, err := otelsetup.New(t.Context(), otelsetup.Config{}); err == nil || p != nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), value) {
				t.Errorf("%v", err)
			}
		})
	}
}
