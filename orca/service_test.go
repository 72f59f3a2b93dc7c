package orca

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	v3orcapb "github.com/cncf/xds/go/xds/data/orca/v3"
	v3orcaservicegrpc "github.com/cncf/xds/go/xds/service/orca/v3"
)

// ask opens an out-of-band stream; a negative interval stands for none.
func (r *rig) ask(interval time.Duration) oobStream {
	r.t.Helper()
	req := new(v3orcaservicegrpc.OrcaLoadReportRequest)
	if interval >= 0 {
		req.ReportInterval = durationpb.New(interval)
	}
	stream, err := r.oob.StreamCoreMetrics(r.t.Context(), req)
	if err != nil {
		r.t.Fatal(err)
	}
	return oobStream{stream, r.t}
}

type oobStream struct {
	v3orcaservicegrpc.OpenRcaService_StreamCoreMetricsClient
	t testing.TB
}

// next returns the next report.
func (s oobStream) next() *v3orcapb.OrcaLoadReport {
	s.t.Helper()
	report, err := s.Recv()
	if err != nil {
		s.t.Fatal(err)
	}
	return report
}

func TestOutOfBandReportsComeAtTheIntervalAsked(t *testing.T) {
	for _, test := range []struct {
		name        string
		floor       time.Duration
		asked, want time.Duration
	}{
		{"as asked", 0, 700 * time.Millisecond, 700 * time.Millisecond},
		{"below grpc's own floor", 0, time.Second, time.Second},
		{"at the default floor", 0, 100 * time.Millisecond, 100 * time.Millisecond},
		{"below the default floor", 0, time.Millisecond, 100 * time.Millisecond},
		{"zero is below any floor", 0, 0, 100 * time.Millisecond},
		{"at a lower floor", 10 * time.Millisecond, 10 * time.Millisecond, 10 * time.Millisecond},
		{"below a higher floor", 5 * time.Second, time.Second, 5 * time.Second},
		{"none asked", 0, -1, 30 * time.Second},
		{"none asked, floor above that", time.Minute, -1, time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var opts []Option
				if test.floor > 0 {
					opts = append(opts, WithMinReportingInterval(test.floor))
				}
				r := newRig(t, newReporter(t, opts...), &methods{})
				begin := time.Now()
				stream := r.ask(test.asked)
				for n := range 4 {
					stream.next()
					if got, want := time.Since(begin), time.Duration(n)*test.want; got != want {
						t.Errorf("report %d came after %v, want %v", n, got, want)
					}
				}
			})
		})
	}
}

func TestOutOfBandReportsSayWhatAnswersSay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{cores: 2, resident: 1, memory: 3}
		hold := make(chan struct{})
		first := true
		r := newRig(t, newReporter(t, withHost(m),
			WithUtilization(func() float64 { return 0.3 }),
			WithNamedMetric("queue", func() float64 { return 7 })), &methods{unary: func(context.Context) error {
			if first {
				first = false
				<-hold
			}
			return nil
		}})
		go r.call() // Stays in flight.
		synctest.Wait()
		r.report()
		m.work(time.Second)
		time.Sleep(1050 * time.Millisecond)

		answer, outOfBand := r.report(), r.ask(time.Second).next()
		if outOfBand.NamedMetrics[MetricLatency] <= 0 {
			t.Errorf("out of band %v, want a latency", outOfBand)
		}
		delete(outOfBand.NamedMetrics, MetricLatency) // who makes calls sees it
		if !proto.Equal(answer, outOfBand) {
			t.Errorf("the answer says\n%v\nout of band\n%v", answer, outOfBand)
		}
		if outOfBand.NamedMetrics[MetricInFlight] != 1 || outOfBand.NamedMetrics["queue"] != 7 || outOfBand.RpsFractional != 1 {
			t.Errorf("report %v, want 1 in flight, a queue of 7 and 1 call/s", outOfBand)
		}
		close(hold)
	})
}

func TestOutOfBandStreamsSeeNewNumbers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newReporter(t), &methods{})
		stream := r.ask(time.Second)
		for want := range 5 {
			if got := stream.next().NamedMetrics[MetricUptime]; math.Abs(got-float64(want)) > 0.11 {
				t.Errorf("uptime %v, want %d", got, want)
			}
		}
	})
}

// saysLatency tells whether reports out of band say what calls take; a snapshot must say the same.
func (r *rig) saysLatency() bool {
	r.t.Helper()
	_, ok := r.ask(time.Second).next().NamedMetrics[MetricLatency]
	if snapshot := r.Snapshot().Latency; snapshot > 0 != ok {
		r.t.Errorf("there is a latency out of band: %v; in a snapshot it is %v", ok, snapshot)
	}
	return ok
}

// Who hears the same latency every second cannot know how old it is.
func TestALatencyIsNotToldForLongAfterTheLastCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newReporter(t), &methods{unary: func(context.Context) error {
			time.Sleep(100 * time.Millisecond)
			return nil
		}})
		for range 10 {
			r.report()
		}
		for _, step := range []struct {
			wait time.Duration
			want bool
		}{{29 * time.Second, true}, {2 * time.Second, false}} {
			time.Sleep(step.wait)
			if got := r.saysLatency(); got != step.want {
				t.Errorf("%v later a latency is told: %v", step.wait, got)
			}
		}
		r.report()
		if !r.saysLatency() {
			t.Error("after another call no latency is told")
		}
	})
}

// From one number of calls in flight to another no line leads that is right for all servers.
func TestALatencyIsToldOnlyWhereAboutAsManyCallsAreInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newReporter(t), &methods{unary: func(context.Context) error {
			time.Sleep(100 * time.Millisecond)
			return nil
		}})
		for _, step := range []struct {
			came int64 // with so many others in flight
			now  int64
			want bool
		}{{0, 0, true}, {0, 1, true}, {0, 50, false}, {20, 20, true}, {20, 24, true}, {20, 200, false}, {20, 5, false}} {
			r.inFlight.Store(step.came)
			r.report()
			r.inFlight.Store(step.now)
			if got := r.saysLatency(); got != step.want {
				t.Errorf("calls came with %d in flight, and %d are: a latency is told: %v", step.came, step.now, got)
			}
		}
		r.inFlight.Store(0)
	})
}

func TestCloseEndsOutOfBandStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newReporter(t), &methods{})
		stream := r.ask(time.Hour)
		stream.next()
		r.Close()
		if _, err := stream.Recv(); status.Code(err) != codes.Unavailable {
			t.Errorf("the stream ends with %v, want Unavailable", err)
		}
		if _, err := r.ask(time.Hour).Recv(); status.Code(err) != codes.Unavailable {
			t.Errorf("a new stream ends with %v, want Unavailable", err)
		}
	})
}

func TestAClientThatGoesEndsItsStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newReporter(t), &methods{})
		ctx, cancel := context.WithCancel(t.Context())
		if _, err := r.oob.StreamCoreMetrics(ctx, nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := r.openStreams(); got != 1 {
			t.Errorf("%d streams open, want 1", got)
		}
		cancel()
		synctest.Wait()
		if got := r.openStreams(); got != 0 {
			t.Errorf("%d streams open after the client went, want 0", got)
		}
	})
}

// FuzzInterval checks that no duration a client can send gets below the floor.
func FuzzInterval(f *testing.F) {
	f.Add(int64(10), int32(0))
	f.Add(int64(-1), int32(999))
	f.Add(int64(math.MaxInt64), int32(math.MaxInt32))
	f.Add(int64(math.MinInt64), int32(math.MinInt32))
	r := &Reporter{config: &config{minInterval: DefaultMinReportingInterval}}
	f.Fuzz(func(t *testing.T, seconds int64, nanos int32) {
		got := r.interval(&v3orcaservicegrpc.OrcaLoadReportRequest{
			ReportInterval: &durationpb.Duration{Seconds: seconds, Nanos: nanos},
		})
		if got < DefaultMinReportingInterval {
			t.Errorf("interval %v", got)
		}
	})
}
