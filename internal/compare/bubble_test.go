package compare

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"

	"github.com/evenkeel/evenkeel/internal/compare/backend"
	"github.com/evenkeel/evenkeel/internal/compare/machine"
)

// bubble runs replicas within the test's process and its fake time: the same
// server, the same clients, but no processes and no network.
type bubble struct {
	mu        sync.Mutex
	listeners map[string]*bufconn.Listener
	next      int
}

func newBubble() *bubble { return &bubble{listeners: map[string]*bufconn.Listener{}} }

type inside struct {
	address string
	server  *backend.Server
	done    chan struct{}
	once    sync.Once
}

func (b *bubble) start(_ context.Context, c backend.Config) (Replica, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.Listen == "127.0.0.1:0" {
		b.next++
		c.Listen = fmt.Sprintf("127.0.0.1:%d", 7000+b.next)
	}
	listener := bufconn.Listen(1 << 16)
	server, err := backend.Serve(listener, c)
	if err != nil {
		return nil, err
	}
	b.listeners[c.Listen] = listener
	return &inside{address: c.Listen, server: server, done: make(chan struct{})}, nil
}

// dial connects to a replica, and lets the connection say with whom it is.
func (b *bubble) dial(ctx context.Context, address string) (net.Conn, error) {
	b.mu.Lock()
	listener := b.listeners[address]
	b.mu.Unlock()
	conn, err := listener.DialContext(ctx)
	if err != nil {
		return nil, err
	}
	return named{conn, address}, nil
}

type named struct {
	net.Conn
	address string
}

func (n named) RemoteAddr() net.Addr {
	a, err := net.ResolveTCPAddr("tcp", n.address)
	if err != nil {
		panic(err)
	}
	return a
}

func (i *inside) Address() string       { return i.address }
func (i *inside) Done() <-chan struct{} { return i.done }
func (i *inside) Err() error            { return nil }
func (i *inside) Thaw() error           { return i.Freeze() }

// Freeze cannot be had within one process. Taking all workers away is the same to
// clients, but for the answers that are on their way.
func (i *inside) Freeze() error {
	taken := workers
	return i.server.Do(backend.Command{Occupy: &taken})
}

func (i *inside) Kill() error {
	i.once.Do(func() { i.server.Stop(); close(i.done) })
	return nil
}

func (i *inside) Tell(c backend.Command) error {
	if c.Drain != nil {
		go func() { i.server.Drain(*c.Drain); i.once.Do(func() { close(i.done) }) }()
		return nil
	}
	return i.server.Do(c)
}

func (b *bubble) options() *Options {
	return &Options{
		Start: b.start, Rounds: 1, Duration: 5 * time.Second, Warmup: time.Second,
		Work: 400 * time.Millisecond, Seed: 1, MaxBusy: 0.7,
		Machine: func() machine.Reading { return machine.Reading{} },
		Dial:    []grpc.DialOption{grpc.WithContextDialer(b.dial)},
	}
}

// tryOut runs a trial in fake time. Calls are ten times longer than by default,
// and fewer, so that it takes little real time.
func tryOut(t *testing.T, s Scenario, policy string, change func(*Options)) (o *outcome) {
	t.Helper()
	policies, err := SelectPolicies(policy, "")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		options := newBubble().options()
		if change != nil {
			change(options)
		}
		if o, err = (&trial{scenario: &s, policy: &policies[0], options: options, seed: 1}).run(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	return o
}

func scenario(t *testing.T, name string) Scenario {
	t.Helper()
	s, err := SelectScenarios(name)
	if err != nil {
		t.Fatal(err)
	}
	return s[0]
}

// even is a fleet to which nothing happens.
func even(t *testing.T) Scenario {
	s := scenario(t, "noisy")
	s.steps = nil
	return s
}

func TestTheServersAreLoadedAsTheRateSays(t *testing.T) {
	o := tryOut(t, even(t), "round_robin", nil)
	// 40 workers at 80 % and 0.4 s a call.
	if o.rate != 80 {
		t.Errorf("%v calls a second, want 80", o.rate)
	}
	if n := float64(len(o.latencies)); n < 340 || n > 460 {
		t.Errorf("%v calls in 5 s, want about 400", n)
	}
	if o.errors > len(o.latencies)/20 || o.imbalance > 0.3 || o.late != 0 {
		t.Errorf("%d errors, imbalance %v, %v late", o.errors, o.imbalance, o.late)
	}
}

func TestFailedCallsCountAtTheDeadline(t *testing.T) {
	s := even(t)
	for r := range s.speeds {
		s.speeds[r] = 1e-3
	}
	o := tryOut(t, s, "round_robin", func(o *Options) {
		o.Work, o.Warmup, o.Duration = 4*time.Millisecond, 0, time.Second
	})
	if o.errors == 0 || quantile(o.latencies, 1) != deadline {
		t.Errorf("%d of %d failed, the longest after %v", o.errors, len(o.latencies), quantile(o.latencies, 1))
	}
}

func TestAllPoliciesRun(t *testing.T) {
	policies, err := Policies("")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range policies {
		short := func(o *Options) { o.Warmup, o.Duration = 0, 2*time.Second }
		if o := tryOut(t, even(t), p.Name, short); o.errors == len(o.latencies) {
			t.Errorf("%s: all %d calls failed", p.Name, o.errors)
		}
	}
}

func TestAKilledReplicaCostsTheCallsThatWereThere(t *testing.T) {
	s := slow(scenario(t, "crash"))
	o := tryOut(t, s, "round_robin", func(o *Options) { o.Warmup = 0 }) // whose calls are not counted
	if o.events.inFlight == 0 || o.errorsHit != o.events.inFlight+o.events.probes+o.events.piled {
		t.Errorf("%d failed there; %+v", o.errorsHit, o.events)
	}
}

func TestAReplicaThatDrainsCostsNothing(t *testing.T) {
	for _, policy := range []string{"choice_of_two", "round_robin"} {
		s := scenario(t, "rolling-restart")
		s.steps = func(*rand.Rand, time.Duration) []Step {
			return []Step{{At: time.Second, Replica: 3, Action: Restart}}
		}
		o := tryOut(t, s, policy, func(o *Options) { o.Work, o.Warmup, o.Duration = 40*time.Millisecond, time.Second, 4*time.Second })
		if o.errors > 0 || o.events != (events{}) {
			t.Errorf("%s: %d errors, %+v", policy, o.errors, o.events)
		}
	}
}

func TestWhatIsSentToAFrozenReplicaIsCounted(t *testing.T) {
	o := tryOut(t, slow(scenario(t, "freeze")), "round_robin", nil)
	if o.events.inFlight == 0 || o.events.piled == 0 {
		t.Errorf("%+v", o.events)
	}
	if most := o.events.inFlight + o.events.probes + o.events.piled; o.errorsHit == 0 || o.errorsHit > most {
		t.Errorf("%d failed there, of %d", o.errorsHit, most)
	}
}

// slow makes the replicas so slow that calls pile up at all of them, and the rate
// such that they do.
func slow(s Scenario) Scenario {
	for r := range s.speeds {
		s.speeds[r] = 0.2
	}
	s.speeds[0] = 8
	return s
}

func TestReplicasThatJoinGetCalls(t *testing.T) {
	s := scenario(t, "cold-start")
	before := s
	before.steps = nil
	// Without the two, a quarter more of the replicas gets nothing.
	alone, joined := tryOut(t, before, "round_robin", nil), tryOut(t, s, "round_robin", nil)
	if joined.imbalance >= alone.imbalance {
		t.Errorf("imbalance %v with the two, %v without", joined.imbalance, alone.imbalance)
	}
}

func TestAReplicaThatEndsByItselfIsAnError(t *testing.T) {
	policies, err := Policies("")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		options := newBubble().options()
		start := options.Start
		options.Start = func(ctx context.Context, c backend.Config) (Replica, error) {
			r, err := start(ctx, c)
			time.AfterFunc(3*time.Second, func() { r.Kill() })
			return r, err
		}
		s := even(t)
		if _, err := (&trial{scenario: &s, policy: &policies[0], options: options, seed: 1}).run(t.Context()); err == nil {
			t.Error("no error")
		}
	})
}

func TestAnInterruptEndsATrialAtOnce(t *testing.T) {
	policies, err := Policies("")
	if err != nil {
		t.Fatal(err)
	}
	for _, after := range []time.Duration{0, 500 * time.Millisecond, 4 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(after, cancel)
			begin := time.Now()
			rows, err := Run(ctx, []Scenario{scenario(t, "crash")}, policies[:1], *newBubble().options())
			if !errors.Is(err, context.Canceled) || len(rows) > 0 || time.Since(begin) > after {
				t.Errorf("after %v: %d rows, %v, took %v", after, len(rows), err, time.Since(begin))
			}
		})
	}
}
