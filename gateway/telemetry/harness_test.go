package telemetry_test

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/evenkeel/evenkeel/gateway/telemetry"
)

// kept is a Telemetry whose traces and metrics stay in memory.
type kept struct {
	*telemetry.Telemetry
	t      testing.TB
	spans  *tracetest.SpanRecorder
	reader *sdkmetric.ManualReader
}

func keep(t testing.TB, change func(*telemetry.Config), sampler ...sdktrace.TracerProviderOption) *kept {
	t.Helper()
	k := &kept{t: t, spans: tracetest.NewSpanRecorder(), reader: sdkmetric.NewManualReader()}
	config := telemetry.Config{
		TracerProvider: sdktrace.NewTracerProvider(append(sampler, sdktrace.WithSpanProcessor(k.spans))...),
		MeterProvider:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(k.reader)),
	}
	if change != nil {
		change(&config)
	}
	var err error
	if k.Telemetry, err = telemetry.New(config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	return k
}

// metrics returns a line for each series, without times and bounds.
func (k *kept) metrics() string {
	k.t.Helper()
	var all metricdata.ResourceMetrics
	if err := k.reader.Collect(context.Background(), &all); err != nil {
		k.t.Fatal(err)
	}
	var lines []string
	add := func(name string, set attribute.Set, value any) {
		lines = append(lines, fmt.Sprintf("%s{%s} %v\n", name, set.Encoded(attribute.DefaultEncoder()), value))
	}
	for _, s := range all.ScopeMetrics {
		for _, m := range s.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					add(m.Name, p.Attributes, p.Value)
				}
			case metricdata.Gauge[int64]:
				for _, p := range data.DataPoints {
					add(m.Name, p.Attributes, p.Value)
				}
			case metricdata.Histogram[int64]:
				for _, p := range data.DataPoints {
					add(m.Name, p.Attributes, fmt.Sprintf("count=%d sum=%d", p.Count, p.Sum))
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					add(m.Name, p.Attributes, fmt.Sprintf("count=%d", p.Count))
				}
			default:
				k.t.Fatalf("%s is a %T", m.Name, data)
			}
		}
	}
	sort.Strings(lines)
	return strings.Join(lines, "")
}

// wantMetrics requires lines of metrics.
func (k *kept) wantMetrics(lines ...string) {
	k.t.Helper()
	all := k.metrics()
	for _, line := range lines {
		if !strings.Contains(all, line+"\n") {
			k.t.Errorf("there is no line\n%s\nin\n%s", line, all)
		}
	}
}

// describe writes a span as lines.
func describe(s sdktrace.ReadOnlySpan) string {
	var lines []string
	for _, a := range s.Attributes() {
		lines = append(lines, fmt.Sprintf("  %s=%s\n", a.Key, a.Value.String()))
	}
	sort.Strings(lines)
	return fmt.Sprintf("%s %s %s\n%s", s.SpanKind(), s.Name(), s.Status().Code, strings.Join(lines, ""))
}
