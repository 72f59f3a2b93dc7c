package orca

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
)

func TestDrainIsInEveryAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newReporter(t), &methods{})
		if _, ok := r.report().NamedMetrics[MetricDraining]; ok || r.Snapshot().Draining {
			t.Error("draining before Drain")
		}
		if err := r.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 3 { // The next measurements keep it.
			if got := r.report().NamedMetrics[MetricDraining]; got != 1 || !r.Snapshot().Draining {
				t.Errorf("draining %v after Drain, want 1", got)
			}
			time.Sleep(time.Second)
		}
	})
}

func TestDrainTellsClientsBeforeTheConnectionGoesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newReporter(t), &methods{})
		streams := []oobStream{r.ask(time.Hour), r.ask(time.Hour), r.ask(time.Hour)}
		for _, stream := range streams {
			stream.next()
		}
		begin := time.Now()
		if err := r.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, stream := range streams {
			if got := stream.next().NamedMetrics[MetricDraining]; got != 1 {
				t.Errorf("draining %v on an out-of-band stream, want 1", got)
			}
		}
		if state := r.conn.GetState(); state != connectivity.Ready {
			t.Errorf("connection is %v when all know, want READY", state)
		}
		r.server.GracefulStop() // Would hang if a stream were open still.
		if took := time.Since(begin); took != 0 {
			t.Errorf("an idle server takes %v to drain and stop, want no time", took)
		}
		for _, stream := range streams {
			if _, err := stream.Recv(); status.Code(err) != codes.Unavailable {
				t.Errorf("an out-of-band stream ends with %v, want Unavailable", err)
			}
		}
	})
}

func TestDrainIsToldAtOnceAndWaitsForCallsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newReporter(t), &methods{unary: func(context.Context) error {
			time.Sleep(3 * time.Second)
			return nil
		}})
		stream := r.ask(time.Hour)
		stream.next()
		begin := time.Now()
		answered := make(chan error, 1)
		go func() {
			_, err := r.call()
			answered <- err
		}()
		synctest.Wait()

		drained := make(chan error, 1)
		go func() { drained <- r.Drain(t.Context()) }()
		if got := stream.next().NamedMetrics[MetricDraining]; got != 1 || time.Since(begin) != 0 {
			t.Errorf("draining %v after %v, want 1 at once", got, time.Since(begin))
		}
		if err := <-drained; err != nil || time.Since(begin) != 3*time.Second {
			t.Errorf("drained after %v with error %v, want 3s and none", time.Since(begin), err)
		}
		r.server.GracefulStop()
		if err := <-answered; err != nil {
			t.Errorf("the call in flight fails: %v", err)
		}
	})
}

func TestDrainGivesUpWithItsContextAndSaysWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		r := newRig(t, newReporter(t), &methods{unary: func(context.Context) error {
			<-hold
			return nil
		}})
		for range 2 {
			go r.call()
		}
		synctest.Wait()

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := r.Drain(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "2 calls") {
			t.Errorf("error %v, want the deadline and 2 calls", err)
		}

		// Again: it goes on waiting.
		drained := make(chan error, 1)
		go func() { drained <- r.Drain(t.Context()) }()
		synctest.Wait()
		select {
		case err := <-drained:
			t.Fatalf("drained with calls in flight: %v", err)
		default:
		}
		close(hold)
		if err := <-drained; err != nil {
			t.Errorf("drain: %v", err)
		}
	})
}

func TestADrainedServerRefusesOutOfBandStreamsWithoutAReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newReporter(t), &methods{})
		if err := r.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		// With a report, grpc's client would come back without any back-off.
		if report, err := r.ask(time.Second).Recv(); status.Code(err) != codes.Unavailable {
			t.Errorf("report %v, error %v, want Unavailable", report, err)
		}
	})
}

func TestStreamsLearnOfTheDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reporter := newReporter(t)
		r := newRig(t, reporter, &methods{stream: func(testgrpc.TestService_FullDuplexCallServer) error {
			<-reporter.Draining()
			return nil
		}})
		if _, err := r.client.FullDuplexCall(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := r.Snapshot().InFlight; got != 1 {
			t.Fatalf("%d in flight, want the stream", got)
		}
		if err := r.Drain(t.Context()); err != nil {
			t.Errorf("drain: %v", err)
		}
	})
}

func TestDrainAndCloseMayMeet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newReporter(t), &methods{})
		r.Close()
		if err := r.Drain(t.Context()); err != nil {
			t.Errorf("drain after close: %v", err)
		}
		if load := r.Snapshot(); load.Draining {
			t.Error("a closed reporter reports")
		}
	})
}

// TestGRPCsClientDoesNotHammerADrainedServer runs grpc's own out-of-band client
// against a server that is drained but not yet stopped.
func TestGRPCsClientDoesNotHammerADrainedServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		r := newRig(t, newReporter(t), &methods{}, grpc.ChainStreamInterceptor(
			func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
				asked.Add(1)
				return handler(srv, stream)
			}))
		listener := bufconn.Listen(1 << 20)
		go r.server.Serve(listener)
		conn, err := grpc.NewClient("passthrough:///pipe",
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }),
			grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"weighted_round_robin":{"enableOobLoadReport":true}}]}`))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.Connect()
		time.Sleep(time.Minute)
		if got := asked.Load(); got != 1 {
			t.Fatalf("%d out-of-band streams before Drain, want 1", got)
		}
		if err := r.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if got := asked.Load(); got < 2 || got > 15 {
			t.Errorf("%d out-of-band streams asked for in the minute after Drain, want a few", got-1)
		}
	})
}
