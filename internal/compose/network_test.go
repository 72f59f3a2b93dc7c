package compose

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/evenkeel/evenkeel/balancer/choiceoftwo"
)

// network connects clients with servers in memory, so that the whole of gRPC,
// xDS included, runs in the fake time of a synctest bubble.
type network struct {
	t       *testing.T
	monitor *choiceoftwo.Monitor // of all clients of choice_of_two

	mu    sync.Mutex
	hosts map[string]*host
	conns []*grpc.ClientConn
}

// newNetwork must be called in the bubble. Its end closes clients and servers.
func newNetwork(t *testing.T) *network {
	n := &network{t: t, monitor: choiceoftwo.NewMonitor(), hosts: make(map[string]*host)}
	balancer.Register(choiceoftwo.NewBuilder(choiceoftwo.WithMonitor(n.monitor)))
	t.Cleanup(func() {
		for _, conn := range n.conns {
			conn.Close()
		}
		for _, h := range n.hosts {
			h.server.Stop()
		}
		balancer.Register(choiceoftwo.NewBuilder())
	})
	return n
}

// host is a server at an address.
type host struct {
	address  string
	server   *grpc.Server
	listener *bufconn.Listener
	dials    atomic.Int64

	healthpb.UnimplementedHealthServer // Check stands for any unary method

	handle atomic.Pointer[func(context.Context) error]
	calls  atomic.Int64
}

// start serves at an address, in place of whoever did before.
func (n *network) start(address string, opts ...grpc.ServerOption) *host {
	return n.startWith(address, func(grpc.ServiceRegistrar) {}, opts...)
}

// startWith also registers services of the caller's.
func (n *network) startWith(address string, register func(grpc.ServiceRegistrar), opts ...grpc.ServerOption) *host {
	h := &host{address: address, server: grpc.NewServer(opts...), listener: bufconn.Listen(1 << 12)}
	h.answer(takes(0))
	healthpb.RegisterHealthServer(h.server, h)
	register(h.server)
	go h.server.Serve(h.listener)
	n.mu.Lock()
	old := n.hosts[address]
	n.hosts[address] = h
	n.mu.Unlock()
	if old != nil {
		old.server.Stop()
	}
	return h
}

// startAll starts count hosts with the addresses "10.0.NET.1:80" and up.
func (n *network) startAll(net, count int) []*host {
	hosts := make([]*host, count)
	for i := range hosts {
		hosts[i] = n.start(fmt.Sprintf("10.0.%d.%d:80", net, i+1))
	}
	return hosts
}

// kill ends a host and its connections at once; dials are refused then.
func (h *host) kill() { h.server.Stop() }

func (n *network) dial(ctx context.Context, address string) (net.Conn, error) {
	n.mu.Lock()
	h := n.hosts[address]
	n.mu.Unlock()
	if h == nil {
		return nil, fmt.Errorf("nobody listens at %q", address)
	}
	h.dials.Add(1)
	return h.dial(ctx)
}

// dialing serializes dials. bufconn makes timers that are due at once; when two
// goroutines of a synctest bubble do so at a time, the race detector of Go 1.26
// crashes: they run the timers in the bubble's one context.
var dialing sync.Mutex

func (h *host) dial(ctx context.Context) (net.Conn, error) {
	dialing.Lock()
	defer dialing.Unlock()
	return h.listener.DialContext(ctx)
}

func (h *host) answer(f func(context.Context) error) { h.handle.Store(&f) }

// Check implements healthpb.HealthServer.
func (h *host) Check(ctx context.Context, _ *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	h.calls.Add(1)
	return &healthpb.HealthCheckResponse{}, (*h.handle.Load())(ctx)
}

func takes(d time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		if d == 0 {
			return nil
		}
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func fails(code codes.Code) func(context.Context) error {
	return func(context.Context) error { return status.Error(code, "as the test wants it") }
}

// client dials a target of which the caller supplies the resolver.
func (n *network) client(target string, r resolver.Builder, opts ...grpc.DialOption) *client {
	n.t.Helper()
	opts = append([]grpc.DialOption{
		grpc.WithResolvers(r),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(n.dial),
	}, opts...)
	conn, err := grpc.NewClient(target, opts...)
	if err != nil {
		n.t.Fatal(err)
	}
	n.conns = append(n.conns, conn)
	conn.Connect()
	return &client{network: n, t: n.t, conn: conn}
}

// client is a channel whose policy is watched by the network's monitor.
type client struct {
	network *network
	t       *testing.T
	conn    *grpc.ClientConn
}

func (c *client) call() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, err := healthpb.NewHealthClient(c.conn).Check(ctx, &healthpb.HealthCheckRequest{})
	return err
}

// counted makes count calls, one after another, and returns how many each of
// the hosts got.
func (c *client) counted(count int, hosts ...*host) []int64 {
	c.t.Helper()
	before := make([]int64, len(hosts))
	for i, h := range hosts {
		before[i] = h.calls.Load()
	}
	for range count {
		if err := c.call(); err != nil {
			c.t.Fatalf("call: %v", err)
		}
	}
	got := make([]int64, len(hosts))
	for i, h := range hosts {
		got[i] = h.calls.Load() - before[i]
	}
	return got
}

// during makes calls, some at a time, for as long as f runs, and fails the
// test for each one that is lost.
func (c *client) during(f func()) {
	c.t.Helper()
	var (
		stop = make(chan struct{})
		made atomic.Int64
		wg   sync.WaitGroup
	)
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(7 * time.Millisecond):
				}
				made.Add(1)
				if err := c.call(); err != nil {
					c.t.Errorf("a call was lost: %v", err)
				}
			}
		})
	}
	time.Sleep(time.Second)
	f()
	time.Sleep(time.Second)
	close(stop)
	wg.Wait()
	if made.Load() < 100 {
		c.t.Errorf("only %d calls were made meanwhile", made.Load())
	}
}

// state checks the state of the channel.
func (c *client) state(want connectivity.State) {
	c.t.Helper()
	if got := c.conn.GetState(); got != want {
		c.t.Errorf("the channel is %v, want %v", got, want)
	}
}

// policies is what the monitor sees: an entry for each instance of the policy.
func (n *network) policies() []choiceoftwo.Channel { return n.monitor.Snapshot() }

// endpoints are those of all instances, by address.
func (n *network) endpoints() map[string]choiceoftwo.Endpoint {
	found := make(map[string]choiceoftwo.Endpoint)
	for _, p := range n.policies() {
		for _, e := range p.Endpoints {
			found[e.Addresses[0]] = e
		}
	}
	return found
}

// listed are the addresses of the endpoints that are in this state, sorted.
func (n *network) listed(state connectivity.State) []string {
	var addresses []string
	for address, e := range n.endpoints() {
		if e.State == state {
			addresses = append(addresses, address)
		}
	}
	slices.Sort(addresses)
	return addresses
}

// awaitReady waits until these hosts' endpoints are ready, and no others.
func (n *network) awaitReady(hosts ...*host) {
	n.t.Helper()
	want := addresses(hosts)
	n.await(fmt.Sprint(want, " ready and no others"), func() bool {
		return slices.Equal(n.listed(connectivity.Ready), want)
	})
}

func addresses(hosts []*host) []string {
	var all []string
	for _, h := range hosts {
		all = append(all, h.address)
	}
	slices.Sort(all)
	return all
}

// await waits, in fake time, for what others bring about.
func (n *network) await(what string, happened func() bool) {
	n.t.Helper()
	for range 6000 {
		synctest.Wait()
		if happened() {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	n.t.Fatalf("ten minutes went by without: %s; there are%s", what, n.summary())
}

func (n *network) summary() string {
	var b strings.Builder
	for _, p := range n.policies() {
		fmt.Fprintf(&b, "\n%s, %v:", p.Target, p.State)
		for i, e := range p.Endpoints {
			if i == 20 {
				fmt.Fprintf(&b, "\n\tand %d others", len(p.Endpoints)-i)
				break
			}
			fmt.Fprintf(&b, "\n\t%s, %v, picks %d, successes %d, failures %d, in flight %d, %v",
				e.Addresses[0], e.State, e.Picks, e.Successes, e.Failures, e.InFlight, e.HeldBack)
		}
	}
	return b.String()
}

// idle checks that no call is counted as in flight, and that each that was
// picked is counted as ended.
func (n *network) idle() {
	n.t.Helper()
	synctest.Wait()
	for address, e := range n.endpoints() {
		if e.InFlight != 0 || e.Picks != e.Successes+e.Failures+e.Cancels {
			n.t.Errorf("%s: %d in flight after the last call, %d picks, ends %d + %d + %d",
				address, e.InFlight, e.Picks, e.Successes, e.Failures, e.Cancels)
		}
	}
}

// picks are the picks of each endpoint so far.
func (n *network) picks() map[string]uint64 {
	all := make(map[string]uint64)
	for address, e := range n.endpoints() {
		all[address] = e.Picks
	}
	return all
}

// kept checks that no endpoint was begun anew since the picks were taken.
func (n *network) kept(before map[string]uint64) {
	n.t.Helper()
	now := n.picks()
	for _, address := range slices.Sorted(maps.Keys(before)) {
		if now[address] < before[address] {
			n.t.Errorf("%s: %d picks are known, after %d: what was learned is lost", address, now[address], before[address])
		}
	}
}
