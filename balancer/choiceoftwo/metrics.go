package choiceoftwo

import (
	"sync"
	"time"

	"google.golang.org/grpc/connectivity"
	estats "google.golang.org/grpc/experimental/stats"
)

const (
	targetLabel = "grpc.target"
	stateLabel  = "grpc.lb.choice_of_two.state"
	reasonLabel = "grpc.lb.choice_of_two.reason"
)

// The metrics are off by default: name them in the MetricsOptions of
// stats/opentelemetry to have them exported.
var (
	endpointsMetric = estats.RegisterInt64UpDownCount(estats.MetricDescriptor{
		Name:        "grpc.lb.choice_of_two.endpoints",
		Description: "EXPERIMENTAL. Endpoints that the resolver lists, by connectivity state.",
		Unit:        "{endpoint}",
		Labels:      []string{targetLabel, stateLabel},
	})
	heldBackMetric = estats.RegisterInt64UpDownCount(estats.MetricDescriptor{
		Name:        "grpc.lb.choice_of_two.held_back",
		Description: "EXPERIMENTAL. Ready endpoints that get less than their share, by reason; one may have several.",
		Unit:        "{endpoint}",
		Labels:      []string{targetLabel, reasonLabel},
	})
	picksMetric = estats.RegisterInt64Count(estats.MetricDescriptor{
		Name:        "grpc.lb.choice_of_two.picks",
		Description: "EXPERIMENTAL. Calls, retries included, that were given an endpoint.",
		Unit:        "{call}",
		Labels:      []string{targetLabel},
	})
	failuresMetric = estats.RegisterInt64Count(estats.MetricDescriptor{
		Name:        "grpc.lb.choice_of_two.failures",
		Description: "EXPERIMENTAL. Calls that ended in a way that counts against their endpoint.",
		Unit:        "{call}",
		Labels:      []string{targetLabel},
	})
	probesMetric = estats.RegisterInt64Count(estats.MetricDescriptor{
		Name:        "grpc.lb.choice_of_two.probes",
		Description: "EXPERIMENTAL. Endpoints that were asked for a load report apart from calls (probesPerCall).",
		Unit:        "{probe}",
		Labels:      []string{targetLabel},
	})
)

// metricsInterval is how often the metrics are brought up to date. Recording
// is too dear to be done at each pick.
const metricsInterval = 10 * time.Second

// metrics tells gRPC's registry what changed since it last did.
type metrics struct {
	policy   *policy
	recorder estats.MetricsRecorder

	mu              sync.Mutex
	timer           *time.Timer // nil when closed
	states          map[string]int64
	reasons         map[string]int64
	seen            map[*endpoint]totals
	probes          uint64 // recorded
	picks, failures uint64 // of endpoints that are gone, not yet recorded
}

type totals struct{ picks, failures uint64 }

func newMetrics(b *policy, r estats.MetricsRecorder) *metrics {
	m := &metrics{policy: b, recorder: r, seen: make(map[*endpoint]totals)}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.timer = time.AfterFunc(metricsInterval, m.tick)
	return m
}

func (m *metrics) tick() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.timer == nil {
		return
	}
	m.record()
	m.timer.Reset(metricsInterval)
}

// close takes back what the up-down counts hold for this client.
func (m *metrics) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.timer.Stop()
	m.timer = nil
	m.record()
	m.recordStates(nil, nil)
}

// remove keeps the counts of an endpoint that is about to go.
func (m *metrics) remove(e *endpoint) {
	v := e.core.View(m.policy.now())
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.seen[e]
	delete(m.seen, e)
	m.picks += v.Picks - old.picks
	m.failures += v.Failures - old.failures
}

func (m *metrics) record() {
	m.policy.mu.Lock()
	endpoints := make([]*endpoint, 0, len(m.policy.endpoints))
	for e := range m.policy.endpoints {
		endpoints = append(endpoints, e)
	}
	m.policy.mu.Unlock()

	now := m.policy.now()
	states, held := make(map[string]int64), make(map[string]int64)
	picks, failures := m.picks, m.failures
	m.picks, m.failures = 0, 0
	for _, e := range endpoints {
		v := e.core.View(now)
		old := m.seen[e]
		m.seen[e] = totals{v.Picks, v.Failures}
		picks += v.Picks - old.picks
		failures += v.Failures - old.failures

		e.mu.Lock()
		state := e.state
		e.mu.Unlock()
		states[state.String()]++
		if state == connectivity.Ready {
			for _, reason := range reasons(v.HeldBack) {
				held[reason]++
			}
		}
	}
	target := m.policy.target
	if picks > 0 {
		picksMetric.Record(m.recorder, int64(picks), target)
	}
	if failures > 0 {
		failuresMetric.Record(m.recorder, int64(failures), target)
	}
	if probes := m.policy.probes.Load(); probes > m.probes {
		probesMetric.Record(m.recorder, int64(probes-m.probes), target)
		m.probes = probes
	}
	m.recordStates(states, held)
}

func (m *metrics) recordStates(states, held map[string]int64) {
	target := m.policy.target
	difference(m.states, states, func(state string, n int64) {
		endpointsMetric.Record(m.recorder, n, target, state)
	})
	difference(m.reasons, held, func(reason string, n int64) {
		heldBackMetric.Record(m.recorder, n, target, reason)
	})
	m.states, m.reasons = states, held
}

// difference calls record with what changed from old to new.
func difference(old, current map[string]int64, record func(string, int64)) {
	for key, n := range current {
		if d := n - old[key]; d != 0 {
			record(key, d)
		}
	}
	for key, n := range old {
		if _, ok := current[key]; !ok {
			record(key, -n)
		}
	}
}
