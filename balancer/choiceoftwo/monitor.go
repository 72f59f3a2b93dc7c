package choiceoftwo

import (
	"sort"
	"sync"
	"time"

	"google.golang.org/grpc/connectivity"

	"github.com/evenkeel/evenkeel/internal/choice"
)

// Monitor shows what the policy knows, in every client that it is built for
// (see WithMonitor). It may be used concurrently.
//
// Watching costs each call one atomic addition to a histogram, and each
// endpoint about 700 bytes for it.
type Monitor struct {
	mu       sync.Mutex
	policies map[*policy]struct{}
}

// NewMonitor returns a monitor that watches nobody yet.
func NewMonitor() *Monitor {
	return &Monitor{policies: make(map[*policy]struct{})}
}

// Channel is one client's use of the policy. Below xDS a client may have
// several, of the same target: one for each priority, or locality.
type Channel struct {
	Target    string             // as it was dialed, for example "xds:///movie"
	State     connectivity.State // of the whole
	Endpoints []Endpoint         // all that the resolver lists, by address
}

// Endpoint is what one client knows of an endpoint.
type Endpoint struct {
	Addresses []string
	State     connectivity.State
	InFlight  int // this client's calls

	// Totals since the endpoint was first listed: calls begun, and how they
	// ended. A cancel is also a call that was never sent.
	Picks, Successes, Failures, Cancels uint64

	ErrorRate   float64       // 0 to 1, rolling
	Utilization float64       // as last reported; NaN if unknown
	Latency     Histogram     // of the successful calls
	Uptime      time.Duration // of the server, as it reports; 0 if unknown
	Weight      float64       // 0 to 1: the part of its share that warmup allows
	// HeldBack says why it gets less than its share, if it does: "error rate",
	// "utilization", "pushback", "draining", "probation", "warmup", "silent".
	HeldBack []string
}

// Snapshot returns what is known now, ordered by target and address.
func (m *Monitor) Snapshot() []Channel {
	m.mu.Lock()
	policies := make([]*policy, 0, len(m.policies))
	for p := range m.policies {
		policies = append(policies, p)
	}
	m.mu.Unlock()
	channels := make([]Channel, len(policies))
	for i, p := range policies {
		channels[i] = p.snapshot()
	}
	sort.Slice(channels, func(i, j int) bool {
		a, b := &channels[i], &channels[j]
		if a.Target != b.Target {
			return a.Target < b.Target
		}
		return a.first() < b.first()
	})
	return channels
}

// add and remove do nothing for a nil monitor.
func (m *Monitor) add(p *policy) {
	if m != nil {
		m.mu.Lock()
		m.policies[p] = struct{}{}
		m.mu.Unlock()
	}
}

func (m *Monitor) remove(p *policy) {
	if m != nil {
		m.mu.Lock()
		delete(m.policies, p)
		m.mu.Unlock()
	}
}

func (b *policy) snapshot() Channel {
	b.mu.Lock()
	c := Channel{Target: b.target, State: b.state}
	endpoints := make([]*endpoint, 0, len(b.endpoints))
	for e := range b.endpoints {
		endpoints = append(endpoints, e)
	}
	b.mu.Unlock()
	now := b.now()
	for _, e := range endpoints {
		c.Endpoints = append(c.Endpoints, e.snapshot(now))
	}
	sort.Slice(c.Endpoints, func(i, j int) bool {
		return first(c.Endpoints[i].Addresses) < first(c.Endpoints[j].Addresses)
	})
	return c
}

// first is the first address of a channel: one target has several channels
// where xDS makes an instance of the policy for each priority or locality.
func (c *Channel) first() string {
	if len(c.Endpoints) == 0 {
		return ""
	}
	return first(c.Endpoints[0].Addresses)
}

func first(s []string) string {
	if len(s) == 0 {
		return ""
	}
	return s[0]
}

func (e *endpoint) snapshot(now int64) Endpoint {
	v := e.core.View(now)
	s := Endpoint{
		InFlight: v.InFlight,
		Picks:    v.Picks, Successes: v.Successes, Failures: v.Failures, Cancels: v.Cancels,
		ErrorRate: v.ErrorRate, Utilization: v.Utilization,
		Latency: Histogram{counts: v.Latency},
		Uptime:  v.Uptime, Weight: v.Weight, HeldBack: reasons(v.HeldBack),
	}
	e.mu.Lock()
	s.State = e.state
	for _, a := range e.addresses {
		s.Addresses = append(s.Addresses, a.Addr)
	}
	e.mu.Unlock()
	return s
}

func reasons(r choice.Reason) (names []string) {
	for _, known := range []struct {
		reason choice.Reason
		name   string
	}{
		{choice.ErrorRate, "error rate"},
		{choice.Utilization, "utilization"},
		{choice.Pushback, "pushback"},
		{choice.Draining, "draining"},
		{choice.Probation, "probation"},
		{choice.Warmup, "warmup"},
		{choice.Silent, "silent"},
	} {
		if r&known.reason != 0 {
			names = append(names, known.name)
		}
	}
	return names
}

// Histogram is a distribution of latencies, exact to 12.5 %.
type Histogram struct {
	counts [choice.HistogramBuckets]uint32
}

// Sub returns what came since the earlier histogram of the same endpoint.
func (h Histogram) Sub(earlier Histogram) Histogram {
	for i := range h.counts {
		h.counts[i] -= earlier.counts[i]
	}
	return h
}

// Add returns the sum of two histograms.
func (h Histogram) Add(other Histogram) Histogram {
	for i := range h.counts {
		h.counts[i] += other.counts[i]
	}
	return h
}

// Count returns how many latencies there are.
func (h Histogram) Count() uint64 {
	var n uint64
	for _, c := range h.counts {
		n += uint64(c)
	}
	return n
}

// Quantile returns the latency that the part q, 0 to 1, of the calls did not
// exceed; 0 if there are none.
func (h Histogram) Quantile(q float64) time.Duration {
	total := h.Count()
	if total == 0 {
		return 0
	}
	rank := min(uint64(max(q, 0)*float64(total)), total-1)
	var seen uint64
	for i, c := range h.counts {
		if seen += uint64(c); seen > rank {
			return choice.BucketCeiling(i)
		}
	}
	return choice.BucketCeiling(choice.HistogramBuckets - 1)
}
