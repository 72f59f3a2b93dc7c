package orca

import (
	"context"
	"errors"
	"io"
	"math"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// openLoop makes a call every interval until d has passed, whatever becomes of
// the calls before, and waits for the last. It begins a quarter of the interval
// late, so that no call starts or ends at just the moment of a measurement.
func (r *rig) openLoop(interval, d time.Duration) {
	var calls sync.WaitGroup
	defer calls.Wait()
	time.Sleep(interval / 4)
	for begin := time.Now(); time.Since(begin) < d; time.Sleep(interval) {
		calls.Go(func() { r.call() })
	}
}

func TestAKnownLoadIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{cores: 0.5, resident: 100, memory: 400}
		var calls atomic.Int64
		r := newRig(t, newReporter(t, withHost(m)), &methods{unary: func(context.Context) error {
			time.Sleep(100 * time.Millisecond)
			m.work(10 * time.Millisecond)
			if calls.Add(1)%5 == 0 {
				return status.Error(codes.Internal, "every fifth")
			}
			return nil
		}})

		// 20 calls a second, each 100 ms long and 10 ms of CPU.
		done := make(chan struct{})
		go func() {
			defer close(done)
			r.openLoop(50*time.Millisecond, 5*time.Second)
		}()
		time.Sleep(3*time.Second + 20*time.Millisecond)
		load := r.Snapshot()
		<-done

		want := Load{
			InFlight:       2,
			RPS:            20,
			EPS:            4,
			CPUUtilization: 0.4, // 20 times 10 ms of CPU, of half a core
			MemUtilization: 0.25,
			Latency:        100 * time.Millisecond,
			Uptime:         3 * time.Second,
			Window:         time.Second,
		}
		load.Latency = load.Latency.Round(time.Microsecond)
		load.CPUUtilization = math.Round(load.CPUUtilization*1e9) / 1e9
		if !reflect.DeepEqual(load, want) {
			t.Errorf("load %+v\nwant %+v", load, want)
		}
	})
}

// TestCapacityIsRightWhileLoadChanges is what one window is for: rate over
// utilization stays what the server can do, though both are on the move.
func TestCapacityIsRightWhileLoadChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{cores: 0.5}
		r := newRig(t, newReporter(t, withHost(m)), &methods{unary: func(context.Context) error {
			m.work(10 * time.Millisecond)
			return nil
		}})
		const capacity = 0.5 / 0.010 // calls/s
		for _, interval := range []time.Duration{100, 25, 400, 50} {
			go r.openLoop(interval*time.Millisecond, 1500*time.Millisecond)
			for range 15 {
				time.Sleep(100*time.Millisecond + 10*time.Microsecond)
				load := r.Snapshot()
				if load.RPS == 0 {
					continue // Nothing has finished yet.
				}
				if got := load.RPS / load.CPUUtilization; math.Abs(got-capacity) > 1e-6 {
					t.Errorf("capacity %v calls/s at %v calls/s, want %v", got, load.RPS, capacity)
				}
			}
			time.Sleep(time.Second)
		}
	})
}

func TestTheCallThatCarriesTheReportIsNotInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		var held atomic.Bool
		r := newRig(t, newReporter(t), &methods{unary: func(context.Context) error {
			if held.Load() {
				<-hold
			}
			return nil
		}})
		if got, ok := r.report().NamedMetrics[MetricInFlight]; got != 0 || !ok {
			t.Errorf("alone: in_flight %v (present: %v), want 0", got, ok)
		}
		held.Store(true)
		for range 3 {
			go r.call()
		}
		synctest.Wait()
		held.Store(false)
		if got := r.report().NamedMetrics[MetricInFlight]; got != 3 {
			t.Errorf("beside 3 others: in_flight %v, want 3", got)
		}
		close(hold)
		synctest.Wait()
		if got := r.Snapshot().InFlight; got != 0 {
			t.Errorf("after all: in flight %d, want 0", got)
		}
	})
}

func TestMoreCallsInFlightThanAreCachedAreReportedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newReporter(t), &methods{})
		r.inFlight.Add(10 * cachedInFlight)
		if got := r.report().NamedMetrics[MetricInFlight]; got != 10*cachedInFlight {
			t.Errorf("in_flight %v, want %d", got, 10*cachedInFlight)
		}
		r.inFlight.Add(-10 * cachedInFlight)
	})
}

func TestUptimeGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newReporter(t), &methods{})
		if got, ok := r.report().NamedMetrics[MetricUptime]; got != 0 || !ok {
			t.Errorf("uptime %v (present: %v) at the start, want 0", got, ok)
		}
		for second := 1.0; second <= 3; second++ {
			time.Sleep(time.Second)
			if got := r.report().NamedMetrics[MetricUptime]; math.Abs(got-second) > 0.11 {
				t.Errorf("uptime %v after %v s", got, second)
			}
		}
	})
}

func TestStreamsAreInFlightWhileTheyAreOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newReporter(t), &methods{stream: func(stream testgrpc.TestService_FullDuplexCallServer) error {
			for {
				if _, err := stream.Recv(); err != nil {
					if errors.Is(err, io.EOF) {
						return nil
					}
					return err
				}
			}
		}})
		stream, err := r.client.FullDuplexCall(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		cancelled, cancel := context.WithCancel(t.Context())
		if _, err := r.client.FullDuplexCall(cancelled); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if load := r.Snapshot(); load.InFlight != 2 || load.RPS != 0 {
			t.Errorf("%d in flight and %v calls/s while two streams are open, want 2 and 0", load.InFlight, load.RPS)
		}

		cancel()
		stream.CloseSend()
		if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
			t.Fatalf("the stream ends with %v", err)
		}
		synctest.Wait()
		time.Sleep(550 * time.Millisecond)
		load := r.Snapshot()
		if load.InFlight != 0 || load.RPS != 2 || load.EPS != 0 {
			t.Errorf("load %+v after one stream ended and one was cancelled, want 2 calls/s, no errors, none in flight", load)
		}
		if reports := parse(t, stream.Trailer()); len(reports) != 1 {
			t.Errorf("%d reports at the stream's end, want 1", len(reports))
		}
	})
}

func TestThoseWhoOnlyWatchAreNotLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newReporter(t), &methods{})
		watched := healthgrpc.NewHealthClient(r.conn)

		if _, err := watched.Watch(t.Context(), &healthgrpc.HealthCheckRequest{}); err != nil {
			t.Fatal(err)
		}
		if _, err := r.oob.StreamCoreMetrics(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		var trailer metadata.MD
		if _, err := watched.Check(t.Context(), &healthgrpc.HealthCheckRequest{}, grpc.Trailer(&trailer)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(500 * time.Millisecond)
		if load := r.Snapshot(); load.InFlight != 0 || load.RPS != 0 {
			t.Errorf("%d in flight and %v calls/s, want none", load.InFlight, load.RPS)
		}
		if reports := parse(t, trailer); len(reports) != 1 {
			t.Errorf("%d reports with a health check's answer, want 1 as with every unary one", len(reports))
		}
	})
}

func TestErrorsOfTheServersFaultAreCounted(t *testing.T) {
	for _, test := range []struct {
		err    error
		opts   []Option
		counts bool
	}{
		{err: nil, counts: false},
		{err: status.Error(codes.Canceled, ""), counts: false},
		{err: status.Error(codes.Unknown, ""), counts: true},
		{err: status.Error(codes.InvalidArgument, ""), counts: false},
		{err: status.Error(codes.DeadlineExceeded, ""), counts: true},
		{err: status.Error(codes.NotFound, ""), counts: false},
		{err: status.Error(codes.AlreadyExists, ""), counts: false},
		{err: status.Error(codes.PermissionDenied, ""), counts: false},
		{err: status.Error(codes.ResourceExhausted, ""), counts: true},
		{err: status.Error(codes.FailedPrecondition, ""), counts: false},
		{err: status.Error(codes.Aborted, ""), counts: false},
		{err: status.Error(codes.OutOfRange, ""), counts: false},
		{err: status.Error(codes.Unimplemented, ""), counts: false},
		{err: status.Error(codes.Internal, ""), counts: true},
		{err: status.Error(codes.Unavailable, ""), counts: true},
		{err: status.Error(codes.DataLoss, ""), counts: true},
		{err: status.Error(codes.Unauthenticated, ""), counts: false},
		{err: status.Error(99, "no such code"), counts: true},
		{err: errors.New("no status"), counts: true},
		{err: context.Canceled, counts: false},
		{err: context.DeadlineExceeded, counts: true},
		{err: status.Error(codes.NotFound, ""), opts: []Option{WithErrorCodes(codes.NotFound)}, counts: true},
		{err: status.Error(codes.Internal, ""), opts: []Option{WithErrorCodes(codes.NotFound)}, counts: false},
		{err: status.Error(codes.Internal, ""), opts: []Option{WithErrorCodes()}, counts: false},
	} {
		config, err := newConfig(test.opts)
		if err != nil {
			t.Fatal(err)
		}
		if got := config.faults.has(test.err); got != test.counts {
			t.Errorf("%v with %d options counts: %v, want %v", test.err, len(test.opts), got, test.counts)
		}
	}
}

func TestAFailedCallCarriesTheReportToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newReporter(t), &methods{unary: func(context.Context) error {
			return status.Error(codes.NotFound, "no such film")
		}})
		if reports, err := r.call(); status.Code(err) != codes.NotFound || len(reports) != 1 {
			t.Errorf("%d reports and error %v, want 1 and NotFound", len(reports), err)
		}
	})
}

func TestAPanicBelowARecoveryIsAFailedCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reporter := newReporter(t)
		recovery := grpc.ChainUnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
			defer func() {
				if p := recover(); p != nil {
					err = status.Error(codes.Internal, "recovered")
				}
			}()
			return handler(ctx, req)
		})
		r := newRigWith(t, reporter, &methods{unary: func(context.Context) error { panic("a bug") }},
			append([]grpc.ServerOption{recovery}, reporter.ServerOptions()...))
		reports, err := r.call()
		if status.Code(err) != codes.Internal || len(reports) != 1 {
			t.Errorf("%d reports and error %v, want 1 and Internal", len(reports), err)
		}
		time.Sleep(550 * time.Millisecond)
		if load := r.Snapshot(); load.InFlight != 0 || load.RPS != 2 || load.EPS != 2 {
			t.Errorf("load %+v, want none in flight and 2 errors/s of 2 calls/s", load)
		}
	})
}

func TestCPUUtilizationNeedsCores(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{} // A system where nothing can be read.
		r := newRig(t, newReporter(t, withHost(m)), &methods{})
		m.work(time.Second)
		time.Sleep(1050 * time.Millisecond)
		if report := r.report(); report.CpuUtilization != 0 || report.MemUtilization != 0 {
			t.Errorf("report %v, want neither CPU nor memory", report)
		}
	})
}

func TestAfterCloseAnswersCarryNoReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newReporter(t), &methods{})
		r.report()
		for range 2 {
			if err := r.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		}
		if reports, err := r.call(); err != nil || len(reports) != 0 {
			t.Errorf("%d reports, error %v, want none and none", len(reports), err)
		}
		if load := r.Snapshot(); load.RPS != 0 || load.Uptime != 0 {
			t.Errorf("load %+v, want nothing", load)
		}
	})
}
