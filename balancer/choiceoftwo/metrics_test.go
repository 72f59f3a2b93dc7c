package choiceoftwo

import (
	"fmt"
	"maps"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/codes"
	estats "google.golang.org/grpc/experimental/stats"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/status"
)

// recorder sums what is recorded, by metric and labels.
type recorder struct {
	estats.UnimplementedMetricsRecorder
	mu   sync.Mutex
	sums map[string]int64
}

func (r *recorder) add(d *estats.MetricDescriptor, n int64, labels []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sums[fmt.Sprint(d.Name, labels)] += n
}

func (r *recorder) RecordInt64Count(h *estats.Int64CountHandle, n int64, labels ...string) {
	r.add(h.Descriptor(), n, labels)
}

func (r *recorder) RecordInt64UpDownCount(h *estats.Int64UpDownCountHandle, n int64, labels ...string) {
	r.add(h.Descriptor(), n, labels)
}

// current returns the sums that are not 0.
func (r *recorder) current() map[string]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	sums := maps.Clone(r.sums)
	maps.DeleteFunc(sums, func(_ string, n int64) bool { return n == 0 })
	return sums
}

type recordingChannel struct {
	fakeChannel
	recorder *recorder
}

func (c *recordingChannel) MetricsRecorder() estats.MetricsRecorder { return c.recorder }

func TestMetricsGoThroughGRPCsRegistry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cc := &recordingChannel{recorder: &recorder{sums: make(map[string]int64)}}
		b := NewBuilder().Build(cc, balancer.BuildOptions{Target: resolver.Target{URL: url.URL{Scheme: "xds", Path: "/movie"}}})
		update := balancer.ClientConnState{ResolverState: state("a", "b", "c"), BalancerConfig: &Config{}}
		if err := b.UpdateClientConnState(update); err != nil {
			t.Fatal(err)
		}
		cc.settle()
		for range 10 {
			r, err := cc.state.Picker.Pick(balancer.PickInfo{FullMethodName: "/test.Service/Unary"})
			if err != nil {
				t.Fatal(err)
			}
			r.Done(balancer.DoneInfo{BytesSent: true, Err: status.Error(codes.Unavailable, "")})
		}
		time.Sleep(11 * time.Second)
		got := cc.recorder.current()
		for name, want := range map[string]int64{
			"grpc.lb.choice_of_two.endpoints[xds:///movie READY]":     3,
			"grpc.lb.choice_of_two.held_back[xds:///movie probation]": 3,
			"grpc.lb.choice_of_two.picks[xds:///movie]":               10,
			"grpc.lb.choice_of_two.failures[xds:///movie]":            10,
		} {
			if got[name] != want {
				t.Errorf("%s is %d, want %d (all: %v)", name, got[name], want, got)
			}
		}

		// An endpoint that goes takes its part of the gauges with it, and a
		// policy that is closed all of them; the counts stay.
		update.ResolverState = resolver.State{Endpoints: update.ResolverState.Endpoints[:1]}
		if err := b.UpdateClientConnState(update); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if n := cc.recorder.current()["grpc.lb.choice_of_two.endpoints[xds:///movie READY]"]; n != 1 {
			t.Errorf("%d endpoints are ready, want 1", n)
		}
		b.Close()
		want := map[string]int64{"grpc.lb.choice_of_two.picks[xds:///movie]": 10, "grpc.lb.choice_of_two.failures[xds:///movie]": 10}
		if got := cc.recorder.current(); !maps.Equal(got, want) {
			t.Errorf("after Close: %v, want %v", got, want)
		}
	})
}
