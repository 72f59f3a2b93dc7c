package overloaded

import (
	"context"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/test/bufconn"

	"github.com/evenkeel/evenkeel/balancer/choiceoftwo"
	"github.com/evenkeel/evenkeel/gateway"
	testv1 "github.com/evenkeel/evenkeel/gateway/internal/testproto/evenkeel/test/v1"
	"github.com/evenkeel/evenkeel/gateway/overload"
)

// world is what is asked of whom.
type world struct {
	backends, workers int
	rate              int                           // calls a second that the backends can do
	mean              time.Duration                 // of a call's work
	service           func(*rand.Rand) float64      // draws a call's work, in units of mean
	load              float64                       // offered, as a part of what the backends can do
	mix               map[overload.Priority]float64 // what part of the calls is of a class
	deadline          time.Duration                 // after which callers give up
	warmUp, length    time.Duration
	limited           bool
	seed              uint64
}

// result is what came of the calls that began after the warm-up.
type result struct {
	goodput  float64 // answered in time, as a part of what the backends can do
	p99      map[overload.Priority]time.Duration
	served   map[overload.Priority]float64 // as a part of what was offered
	stats    overload.Stats
	statuses map[int]int
}

// paths are those of the methods that have a class each.
var paths = map[overload.Priority]string{overload.Critical: "/v1/vital", overload.Default: "/v1/sleep", overload.Sheddable: "/v1/scarce"}

// run lets time pass in a bubble of its own.
func (w world) run(t *testing.T) (r result) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { r = w.runInBubble(t) })
	return r
}

func (w world) runInBubble(t *testing.T) result {
	over := make(chan struct{})
	conn, stop := w.dialBackends(t, over)
	limiter, err := overload.New(overload.Config{Random: rand.New(rand.NewPCG(w.seed, 3)).Float64})
	if err != nil {
		t.Fatal(err)
	}
	service := gateway.Service[testv1.LibraryServiceClient]{
		Desc: &testv1.LibraryService_ServiceDesc, Conn: conn,
		NewClient: testv1.NewLibraryServiceClient, Register: testv1.RegisterLibraryServiceHandlerClient,
	}
	if w.limited {
		service.Overload = limiter
	}
	client, end := serve(t, service)
	r := w.offer(t, client)
	close(over) // those who still wait in queues
	end()
	stop()
	r.stats = limiter.Stats()
	return r
}

// serve serves the door, and returns a client of it and what ends both.
func serve(t *testing.T, service gateway.Service[testv1.LibraryServiceClient]) (*http.Client, func()) {
	t.Helper()
	keys := nobody{}
	var callers atomic.Uint32
	config := gateway.Config{Drain: gateway.Drain{Delay: -1}, Logger: slog.New(slog.DiscardHandler), AccessLog: gateway.AccessLog{Sample: -1}}
	config.Authenticators = keys.list()
	config.Policy = librarians
	// Each call comes from an address of its own: rates are not what is shown.
	config.RateLimit.Address = func(*http.Request) netip.Addr {
		n := callers.Add(1)
		return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
	}
	g, err := gateway.New(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := gateway.Mount(g, service); err != nil {
		t.Fatal(err)
	}
	listener := bufconn.Listen(4096)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Serve(ctx, listener) }()
	transport := &http.Transport{
		DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return listener.DialContext(ctx) },
		MaxIdleConnsPerHost: 10_000,
	}
	return &http.Client{Transport: transport}, func() {
		transport.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		time.Sleep(time.Second) // net/http lingers; in fake time
	}
}

// backend has workers. It works on calls whose callers have given up, too, as
// servers do that do not look.
type backend struct {
	testv1.UnimplementedLibraryServiceServer
	workers chan struct{}
	over    <-chan struct{}
	world   world

	mu     sync.Mutex
	random *rand.Rand
}

func (b *backend) work() {
	select {
	case b.workers <- struct{}{}:
	case <-b.over:
		return
	}
	b.mu.Lock()
	took := time.Duration(b.world.service(b.random) * float64(b.world.mean))
	b.mu.Unlock()
	select {
	case <-time.After(took):
	case <-b.over:
	}
	<-b.workers
}

func (b *backend) Vital(context.Context, *testv1.VitalRequest) (*testv1.VitalResponse, error) {
	b.work()
	return &testv1.VitalResponse{}, nil
}

func (b *backend) Sleep(context.Context, *testv1.SleepRequest) (*testv1.SleepResponse, error) {
	b.work()
	return &testv1.SleepResponse{}, nil
}

func (b *backend) Scarce(context.Context, *testv1.ScarceRequest) (*testv1.ScarceResponse, error) {
	b.work()
	return &testv1.ScarceResponse{}, nil
}

// dialBackends returns a channel over all backends, balanced by choice_of_two,
// and what ends them.
func (w world) dialBackends(t *testing.T, over <-chan struct{}) (*grpc.ClientConn, func()) {
	t.Helper()
	listeners := map[string]*bufconn.Listener{}
	var servers []*grpc.Server
	var endpoints []resolver.Endpoint
	for i := range w.backends {
		name := "backend-" + strconv.Itoa(i)
		listener := bufconn.Listen(1 << 16)
		listeners[name] = listener
		server := grpc.NewServer(grpc.WaitForHandlers(true))
		testv1.RegisterLibraryServiceServer(server, &backend{
			workers: make(chan struct{}, w.workers), over: over, world: w, random: rand.New(rand.NewPCG(w.seed, uint64(100+i))),
		})
		go func() { _ = server.Serve(listener) }()
		servers = append(servers, server)
		endpoints = append(endpoints, resolver.Endpoint{Addresses: []resolver.Address{{Addr: name}}})
	}
	names := manual.NewBuilderWithScheme("overloaded")
	names.InitialState(resolver.State{Endpoints: endpoints})
	conn, err := grpc.NewClient("overloaded:///backends", append(gateway.DialOptions(),
		grpc.WithResolvers(names), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"`+choiceoftwo.Name+`":{}}]}`),
		grpc.WithContextDialer(func(ctx context.Context, name string) (net.Conn, error) { return listeners[name].DialContext(ctx) }))...)
	if err != nil {
		t.Fatal(err)
	}
	return conn, func() {
		_ = conn.Close()
		for _, s := range servers {
			s.Stop()
		}
	}
}

// call is one that was offered.
type call struct {
	class  overload.Priority
	status int // 0 for a caller who gave up
	took   time.Duration
}

// offer sends requests at times that chance decides, whatever is answered.
func (w world) offer(t *testing.T, client *http.Client) result {
	random := rand.New(rand.NewPCG(w.seed, 1))
	var mu sync.Mutex
	var calls []call
	var all sync.WaitGroup
	start := time.Now()
	for {
		time.Sleep(time.Duration(random.ExpFloat64() / (w.load * float64(w.rate)) * float64(time.Second)))
		began := time.Since(start)
		if began > w.length {
			break
		}
		class := w.draw(random)
		all.Go(func() {
			c := call{class: class}
			c.status, c.took = ask(t.Context(), client, paths[class], w.deadline)
			if began >= w.warmUp {
				mu.Lock()
				calls = append(calls, c)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return w.sum(calls)
}

func (w world) draw(random *rand.Rand) overload.Priority {
	x := random.Float64()
	for _, class := range []overload.Priority{overload.Critical, overload.Sheddable} {
		if x < w.mix[class] {
			return class
		}
		x -= w.mix[class]
	}
	return overload.Default
}

func ask(ctx context.Context, client *http.Client, path string, deadline time.Duration) (status int, took time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	start := time.Now()
	r, err := http.NewRequestWithContext(ctx, "GET", "http://door"+path, nil)
	if err != nil {
		return 0, 0
	}
	resp, err := client.Do(r)
	if err != nil {
		return 0, time.Since(start)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0, time.Since(start)
	}
	return resp.StatusCode, time.Since(start)
}

// sum says what came of the calls.
func (w world) sum(calls []call) result {
	r := result{p99: map[overload.Priority]time.Duration{}, served: map[overload.Priority]float64{}, statuses: map[int]int{}}
	good := 0
	for class := range paths {
		var times []time.Duration
		offered := 0
		for _, c := range calls {
			if c.class != class {
				continue
			}
			r.statuses[c.status]++
			if offered++; c.status == http.StatusOK {
				times = append(times, c.took)
			}
		}
		good += len(times)
		if len(times) == 0 {
			continue
		}
		slices.Sort(times)
		r.p99[class] = times[int(math.Ceil(0.99*float64(len(times))))-1]
		r.served[class] = float64(len(times)) / float64(offered)
	}
	r.goodput = float64(good) / (w.length - w.warmUp).Seconds() / float64(w.rate)
	return r
}
