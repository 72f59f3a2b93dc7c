package control

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/balancer"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/resolver"

	"github.com/evenkeel/evenkeel/balancer/choiceoftwo"
	"github.com/evenkeel/evenkeel/internal/leaktest"
)

// replica counts its calls, and holds them while it is told to.
type replica struct {
	healthpb.UnimplementedHealthServer
	address string
	calls   atomic.Int64
	hold    atomic.Pointer[chan struct{}] // closed when they may go on
}

func (r *replica) Check(ctx context.Context, _ *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	r.calls.Add(1)
	if hold := r.hold.Load(); hold != nil {
		select {
		case <-*hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return &healthpb.HealthCheckResponse{}, nil
}

func startReplica(t *testing.T) *replica {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &replica{address: listener.Addr().String()}
	s := grpc.NewServer()
	healthpb.RegisterHealthServer(s, r)
	go s.Serve(listener)
	t.Cleanup(s.Stop)
	return r
}

// The policy stands above the localities: one picker has the endpoints of both,
// prefers the near ones, and spills over to the far ones.
func TestChoiceOfTwoStandsAboveTheLocalities(t *testing.T) {
	leaktest.Check(t)
	near, far := []*replica{startReplica(t), startReplica(t)}, []*replica{startReplica(t), startReplica(t)}
	isFar := map[string]bool{far[0].address: true, far[1].address: true}
	balancer.Register(choiceoftwo.NewBuilder(choiceoftwo.WithDistance(func(e resolver.Endpoint) time.Duration {
		if isFar[e.Addresses[0].Addr] {
			return 50 * time.Millisecond
		}
		return 0
	})))
	t.Cleanup(func() { balancer.Register(choiceoftwo.NewBuilder()) })
	plane, err := Start(Config{Listen: "127.0.0.1:0", Services: []string{"movie"}, Policy: Policy{Name: choiceoftwo.Name}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { plane.Close() })
	zones := []Endpoint{
		{Address: near[0].address, Zone: "a"}, {Address: near[1].address, Zone: "a"},
		{Address: far[0].address, Zone: "b"}, {Address: far[1].address, Zone: "b"},
	}
	publish(t, plane, zones...)
	client := healthpb.NewHealthClient(dial(t, plane))
	call := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := client.Check(ctx, &healthpb.HealthCheckRequest{}, grpc.WaitForReady(true))
		return err
	}
	calls := func(replicas []*replica) int64 { return replicas[0].calls.Load() + replicas[1].calls.Load() }

	// All are tried once, the far ones too.
	await(t, func() bool {
		if err := call(); err != nil {
			t.Fatal(err)
		}
		return near[0].calls.Load() > 0 && near[1].calls.Load() > 0 && far[0].calls.Load() > 0 && far[1].calls.Load() > 0
	})
	before := calls(far)
	for range 200 {
		if err := call(); err != nil {
			t.Fatal(err)
		}
	}
	if n := calls(far) - before; n > 20 {
		t.Errorf("with room near, %d of 200 calls went to the far locality", n)
	}

	hold := make(chan struct{})
	for _, r := range near {
		r.hold.Store(&hold)
	}
	before = calls(far)
	var running sync.WaitGroup
	await(t, func() bool {
		running.Go(func() {
			if err := call(); err != nil {
				t.Error(err)
			}
		})
		return calls(far) > before
	})
	close(hold)
	running.Wait()

	publish(t, plane, zones[2:]...)
	await(t, func() bool { // until the client has heard
		last := calls(near)
		for range 10 {
			if err := call(); err != nil {
				t.Fatal(err)
			}
		}
		return calls(near) == last
	})
}
