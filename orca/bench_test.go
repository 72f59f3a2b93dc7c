package orca

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	grpcorca "google.golang.org/grpc/orca"

	"github.com/evenkeel/evenkeel/internal/leaktest"
)

// transport is a call's transport that does nothing, so that only the reporter
// is measured.
type transport struct{ grpc.ServerTransportStream }

func (transport) SetTrailer(metadata.MD) error { return nil }
func (transport) Trailer() metadata.MD         { return nil }

var info = &grpc.UnaryServerInfo{FullMethod: "/grpc.testing.TestService/EmptyCall"}

func nothing(context.Context, any) (any, error) { return nil, nil }

func TestCountingAndReportingACallAllocatesNothing(t *testing.T) {
	leaktest.Check(t)
	// A long window, so that no measurement happens meanwhile.
	r, err := NewReporter(WithWindow(maxWindow))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ctx := grpc.NewContextWithServerTransportStream(t.Context(), transport{})
	if allocs := testing.AllocsPerRun(1000, func() { r.unary(ctx, nil, info, nothing) }); allocs != 0 {
		t.Errorf("%v allocations a call, want 0", allocs)
	}

	r.inFlight.Add(cachedInFlight)
	defer r.inFlight.Add(-cachedInFlight)
	if allocs := testing.AllocsPerRun(1000, func() { r.unary(ctx, nil, info, nothing) }); allocs > 5 {
		t.Errorf("%v allocations a call above %d in flight, want at most 5", allocs, cachedInFlight)
	}
}

func BenchmarkInterceptor(b *testing.B) {
	r := newReporter(b)
	defer r.Close()
	ctx := grpc.NewContextWithServerTransportStream(b.Context(), transport{})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r.unary(ctx, nil, info, nothing)
		}
	})
}

// BenchmarkUnary measures whole calls over a pipe: with no reports, with ours,
// and with grpc's own recorder saying as much as ours does.
func BenchmarkUnary(b *testing.B) {
	run := func(b *testing.B, m *methods, opts func(*Reporter) []grpc.ServerOption) {
		reporter := newReporter(b)
		r := newRigWith(b, reporter, m, opts(reporter))
		ctx := b.Context()
		b.ReportAllocs()
		for b.Loop() {
			if _, err := r.client.EmptyCall(ctx, &testgrpc.Empty{}); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("none", func(b *testing.B) {
		run(b, &methods{}, func(*Reporter) []grpc.ServerOption { return nil })
	})
	b.Run("evenkeel", func(b *testing.B) {
		run(b, &methods{}, (*Reporter).ServerOptions)
	})
	b.Run("grpc recorder", func(b *testing.B) {
		begin := time.Now()
		run(b, &methods{unary: func(ctx context.Context) error {
			recorder := grpcorca.CallMetricsRecorderFromContext(ctx)
			recorder.SetCPUUtilization(0.61)
			recorder.SetMemoryUtilization(0.27)
			recorder.SetQPS(123.4)
			recorder.SetNamedMetric(MetricInFlight, 7)
			recorder.SetNamedMetric(MetricUptime, time.Since(begin).Seconds())
			return nil
		}}, func(*Reporter) []grpc.ServerOption {
			return []grpc.ServerOption{grpcorca.CallMetricsServerOption(nil)}
		})
	})
	b.Run("grpc recorder and provider", func(b *testing.B) {
		begin := time.Now()
		provider := grpcorca.NewServerMetricsRecorder()
		provider.SetCPUUtilization(0.61)
		provider.SetMemoryUtilization(0.27)
		provider.SetQPS(123.4)
		run(b, &methods{unary: func(ctx context.Context) error {
			recorder := grpcorca.CallMetricsRecorderFromContext(ctx)
			recorder.SetNamedMetric(MetricInFlight, 7)
			recorder.SetNamedMetric(MetricUptime, time.Since(begin).Seconds())
			return nil
		}}, func(*Reporter) []grpc.ServerOption {
			return []grpc.ServerOption{grpcorca.CallMetricsServerOption(provider)}
		})
	})
}

// BenchmarkStep measures what happens ten times a window.
func BenchmarkStep(b *testing.B) {
	r, err := NewReporter(WithWindow(maxWindow))
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	config, err := newConfig(nil)
	if err != nil {
		b.Fatal(err)
	}
	s := newSampler(config, time.Now())
	b.ReportAllocs()
	for b.Loop() {
		r.publish(s.measure(time.Now(), 0))
	}
}
