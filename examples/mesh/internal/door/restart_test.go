package door

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	"github.com/evenkeel/evenkeel/balancer/choiceoftwo"
	moviev1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/movie/v1"
	"github.com/evenkeel/evenkeel/orca"
)

// backend is a movie service that can be restarted at its address.
type backend struct {
	moviev1.UnimplementedMovieServiceServer
	t       *testing.T
	address string
	calls   atomic.Int64
	working atomic.Int64 // calls

	server   *grpc.Server
	reporter *orca.Reporter
	done     chan struct{}
}

func (b *backend) GetMovie(_ context.Context, r *moviev1.GetMovieRequest) (*moviev1.Movie, error) {
	b.work()
	return &moviev1.Movie{Name: r.GetName()}, nil
}

func (b *backend) RateMovie(_ context.Context, r *moviev1.RateMovieRequest) (*moviev1.Movie, error) {
	b.work()
	return &moviev1.Movie{Name: r.GetName()}, nil
}

func (b *backend) work() {
	b.calls.Add(1)
	b.working.Add(1)
	time.Sleep(2 * time.Millisecond) // in real time
	b.working.Add(-1)
}

// utilization is of this backend alone. What the host does is the same for all of them here:
// by it, the one that has the fewest calls seems to be the slowest, and is left alone.
func (b *backend) utilization() float64 { return float64(b.working.Load()) / 16 }

func (b *backend) start() {
	b.t.Helper()
	listener, err := net.Listen("tcp", b.address)
	if err != nil {
		b.t.Fatal(err)
	}
	b.address = listener.Addr().String()
	if b.reporter, err = orca.NewReporter(orca.WithUtilization(b.utilization)); err != nil {
		b.t.Fatal(err)
	}
	b.server = grpc.NewServer(b.reporter.ServerOptions()...)
	b.reporter.Register(b.server)
	moviev1.RegisterMovieServiceServer(b.server, b)
	b.done = make(chan struct{})
	go func() {
		defer close(b.done)
		_ = b.server.Serve(listener)
	}()
}

// stop ends it as docs/operations.md says: clients are told, calls in flight end.
func (b *backend) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := b.reporter.Drain(ctx); err != nil {
		b.t.Errorf("Drain: %v", err)
	}
	b.server.GracefulStop()
	<-b.done
	if err := b.reporter.Close(); err != nil {
		b.t.Error(err)
	}
}

// TestARollingRestartOfAllBackendsUnderLoadLosesNoRequest is in real time, over
// real connections, and with the mesh's own door: what it looks for are races
// between calls and servers that go.
func TestARollingRestartOfAllBackendsUnderLoadLosesNoRequest(t *testing.T) {
	backends := make([]*backend, 4)
	addresses := make([]resolver.Endpoint, len(backends))
	for i := range backends {
		backends[i] = &backend{t: t, address: "127.0.0.1:0"}
		backends[i].start()
		addresses[i] = resolver.Endpoint{Addresses: []resolver.Address{{Addr: backends[i].address}}}
	}
	policy, err := choiceoftwo.Config{}.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	names := manual.NewBuilderWithScheme("movies")
	names.InitialState(resolver.State{Endpoints: addresses})
	conn, err := grpc.NewClient("movies:///movie", grpc.WithResolvers(names), grpc.WithTransportCredentials(insecure.NewCredentials()),
		// A server that restarts is back soon; gRPC's usual first second would
		// only make the test longer. Without a MinConnectTimeout an attempt to
		// connect would be given up after the backoff: on a busy machine all
		// would be, and calls fail although every server is there.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1.1, MaxDelay: 50 * time.Millisecond},
			MinConnectTimeout: 20 * time.Second, // gRPC's own
		}),
		grpc.WithDefaultServiceConfig(fmt.Sprintf(`{"loadBalancingConfig": [{%q: %s}]}`, choiceoftwo.Name, policy)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	url, key, stop := serveDoor(t, conn)

	var sent, failed atomic.Int64
	ctx, end := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	for i := range 16 {
		callers.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for n := 0; ctx.Err() == nil; n++ {
				sent.Add(1)
				// Every other one is a call that is not made twice.
				if err := call(client, url, key, (i+n)%2 == 0); err != nil && failed.Add(1) < 10 {
					t.Error(err)
				}
			}
		})
	}
	await := func(b *backend, calls int64) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for until := b.calls.Load() + calls; b.calls.Load() < until; {
			if ctx.Err() != nil {
				t.Fatalf("%s gets no calls", b.address)
			}
			time.Sleep(time.Millisecond)
		}
	}
	for i, b := range backends {
		await(b, 50)
		b.stop()
		await(backends[(i+1)%len(backends)], 50) // for a while it is not there
		b.start()
		await(b, 20) // as a rolling update waits until a pod is ready
	}
	end()
	callers.Wait()
	t.Logf("%d requests over %d restarts, %d failed", sent.Load(), len(backends), failed.Load())
	if failed.Load() > 0 {
		t.Errorf("%d of %d requests failed", failed.Load(), sent.Load())
	}
	stop()
	for _, b := range backends {
		b.stop()
	}
}

func call(client *http.Client, url, key string, get bool) error {
	method, path, body := http.MethodGet, "/v1/movies/1", ""
	if !get {
		method, path, body = http.MethodPost, "/v1/movies/1:rate", `{"stars": 9}`
	}
	r, err := http.NewRequest(method, url+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("X-API-Key", key)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s %s %v", method, path, resp.Status, answer, err)
	}
	return nil
}
