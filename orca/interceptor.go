package orca

import (
	"context"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	grpcorca "google.golang.org/grpc/orca"
)

// ownService is not counted and its calls carry no trailer: it sends nothing
// but reports.
const ownService = "/xds.service.orca.v3.OpenRcaService/"

// watchers are services that look at a server rather than use it. Clients keep
// streams of some of them open all the time, which is no load.
var watchers = [...]string{
	ownService,
	"/grpc.health.v1.Health/",
	"/grpc.reflection.", // v1 and v1alpha
	"/grpc.channelz.",
	"/envoy.service.status.", // CSDS
}

// isWork tells whether a method is part of the server's load.
func isWork(method string) bool {
	for _, prefix := range &watchers {
		if strings.HasPrefix(method, prefix) {
			return false
		}
	}
	return true
}

// unary counts a unary call and sends the report with its answer.
func (r *Reporter) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
	if !isWork(info.FullMethod) {
		resp, err = handler(ctx, req)
		r.attach(ctx)
		return resp, err
	}
	before, began := r.inFlight.Add(1)-1, time.Since(r.start)
	panicked := true
	// Deferred, so that a handler that panics below somebody's recovery is not in
	// flight for ever.
	defer func() {
		if err == nil && !panicked {
			now := time.Since(r.start)
			r.took.Add(now, int(before), now-began)
		}
		r.finish(panicked || r.config.faults.has(err))
		r.attach(ctx)
	}()
	resp, err = handler(ctx, req)
	panicked = false
	return resp, err
}

// stream counts a stream while it is open and sends the report when it ends.
func (r *Reporter) stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	if strings.HasPrefix(info.FullMethod, ownService) {
		return handler(srv, stream)
	}
	if !isWork(info.FullMethod) {
		err = handler(srv, stream)
		r.attach(stream.Context())
		return err
	}
	r.inFlight.Add(1)
	panicked := true
	defer func() {
		r.finish(panicked || r.config.faults.has(err))
		r.attach(stream.Context())
	}()
	err = handler(srv, stream)
	panicked = false
	return err
}

// finish counts a call that has ended.
func (r *Reporter) finish(failed bool) {
	r.finished.add(failed)
	if r.inFlight.Add(-1) == 0 && r.waited.Load() {
		r.mu.Lock()
		r.wakeLocked()
		r.mu.Unlock()
	}
}

// attach puts the report into the call's trailers, unless another is there:
// two make clients drop both.
func (r *Reporter) attach(ctx context.Context) {
	current := r.current.Load()
	stream := grpc.ServerTransportStreamFromContext(ctx)
	if current == nil || stream == nil {
		return
	}
	if recorder := grpcorca.CallMetricsRecorderFromContext(ctx); recorder != nil {
		// grpc's interceptor is further out and, now that the recorder was asked
		// for, will send what is in it.
		fill(recorder, r.ServerMetrics())
		return
	}
	if hasReport(stream) {
		return
	}
	// It fails only if the call is over already, and then nobody waits for it.
	_ = stream.SetTrailer(current.trailer(int(r.inFlight.Load())))
}

// hasReport tells whether something further in has set a report: grpc's own
// interceptor, another reporter's, or the handler itself.
func hasReport(stream grpc.ServerTransportStream) bool {
	// grpc's transport lets its trailers be read, though the interface does not
	// say so. A test fails should that end.
	readable, ok := stream.(interface{ Trailer() metadata.MD })
	return ok && len(readable.Trailer()[trailerKey]) > 0
}

// fill gives grpc's recorder what the handler has not set itself.
func fill(recorder grpcorca.CallMetricsRecorder, server *grpcorca.ServerMetrics) {
	set := recorder.ServerMetrics()
	for _, field := range []struct {
		already, value float64
		record         func(float64)
	}{
		{set.CPUUtilization, server.CPUUtilization, recorder.SetCPUUtilization},
		{set.MemUtilization, server.MemUtilization, recorder.SetMemoryUtilization},
		{set.AppUtilization, server.AppUtilization, recorder.SetApplicationUtilization},
		{set.QPS, server.QPS, recorder.SetQPS},
		{set.EPS, server.EPS, recorder.SetEPS},
	} {
		if field.already == -1 && field.value != 0 {
			field.record(field.value)
		}
	}
	for name, value := range server.NamedMetrics {
		if _, ok := set.NamedMetrics[name]; !ok {
			recorder.SetNamedMetric(name, value)
		}
	}
}
