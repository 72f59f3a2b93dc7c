package sim

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/evenkeel/evenkeel/internal/sim/scenario"
)

// reporter says what a server says of itself, true or not.
type reporter struct {
	scenario.Reports
	liar   bool    // always wrong
	factor float64 // by which a liar is wrong
	said   Report  // what is repeated until it is refreshed
	saidAt int64   // 0: never
}

func newReporter(c scenario.Reports, random *rand.Rand) reporter {
	r := reporter{Reports: c}
	// Both are drawn whatever the config, so that one scenario's servers
	// differ from another's only by what the scenario says.
	share, factor := random.Float64(), wrongFactor(c, random)
	r.liar, r.factor = share < c.Wrong.Servers, factor
	return r
}

// wrongFactor is log-uniform over the range, up or down.
func wrongFactor(c scenario.Reports, random *rand.Rand) float64 {
	low, high := c.Wrong.By[0], c.Wrong.By[1]
	f := low * math.Pow(high/low, random.Float64())
	if random.IntN(2) == 0 {
		return 1 / f
	}
	return f
}

// report is the server's report at this moment; false if it makes none. The
// caller has advanced the server.
func (s *server) report(now int64, random *rand.Rand) Report {
	r := &s.reporter
	if r.Refresh > 0 && r.saidAt != 0 && now-r.saidAt < int64(r.Refresh) {
		return r.said
	}
	m := &s.meter
	said := Report{
		Utilization: m.utilization, InFlight: float64(s.count), RPS: m.rps, EPS: m.eps,
		Uptime: time.Duration(now - s.startedAt), Draining: s.draining,
	}
	if m.weight > 0 && m.weight < 1 {
		said.Utilization /= m.weight
		said.RPS /= m.weight
		said.EPS /= m.weight
	}
	if s.took != nil {
		said.Latency = s.took.Typical(time.Duration(now), int(s.count))
	}
	switch r.UtilizationOf {
	case scenario.OfSlots:
		said.Utilization = float64(s.active) / min(float64(s.slots), float64(s.maxQueue))
	case scenario.OfQueue:
		said.Utilization = float64(s.count) / s.workers
	}
	factor := 1.0
	if r.liar {
		factor = r.factor
	} else if r.Wrong.Reports > 0 && random.Float64() < r.Wrong.Reports {
		factor = wrongFactor(r.Reports, random)
	}
	if factor != 1 {
		r.distort(&said, factor)
	}
	for _, field := range r.Omit {
		omit(&said, field)
	}
	r.said, r.saidAt = said, now
	return said
}

// probe is the server's answer to a probe. The caller has advanced the server.
func (s *server) probe(now int64, random *rand.Rand) Probe {
	p := Probe{InFlight: s.count, Latency: s.history.median(s.count), Report: Report{Utilization: -1, RPS: -1, EPS: -1}}
	if !s.reporter.Silent() {
		p.Report = s.report(now, random)
	}
	// Whoever can answer a probe has its queue and its latencies at hand, whatever it reports.
	p.Report.InFlight, p.Report.Latency = float64(s.count), s.took.Typical(time.Duration(now), int(s.count))
	return p
}

func (r *reporter) distort(said *Report, factor float64) {
	wrong := func(field string) bool {
		return len(r.Wrong.Fields) == 0 || slices.Contains(r.Wrong.Fields, field)
	}
	if wrong("utilization") {
		said.Utilization *= factor
	}
	if wrong("in_flight") {
		said.InFlight *= factor
	}
	if len(r.Wrong.Fields) == 0 {
		said.Latency = time.Duration(float64(said.Latency) * factor)
	}
	if slices.Contains(r.Wrong.Fields, "rps") {
		said.RPS *= factor
		said.EPS *= factor
	}
}

func omit(said *Report, field string) {
	switch field {
	case "utilization":
		said.Utilization = -1
	case "in_flight":
		said.InFlight = -1
	case "rps":
		said.RPS, said.EPS = -1, -1
	case "eps":
		said.EPS = -1
	case "uptime":
		said.Uptime = 0
	}
}

// history is what a server tells those who probe it: the latencies of recent
// calls, by how many were in flight when they came.
type history struct {
	rings [64]ring
}

type ring struct {
	latencies [32]int64
	count     int
	median    int64 // of them, as of when count was medianAt
	medianAt  int
}

// enough samples for a median; with fewer, those of neighbouring counts are
// taken in.
const enough = 8

func (h *history) add(inFlight int32, latency int64) {
	r := &h.rings[min(int(inFlight), len(h.rings)-1)]
	r.latencies[r.count%len(r.latencies)] = latency
	r.count++
}

// median is that of the calls that came when about as many were in flight.
func (h *history) median(inFlight int32) time.Duration {
	at := min(int(inFlight), len(h.rings)-1)
	var best *ring
	for away := 0; away < len(h.rings); away++ {
		for _, i := range [2]int{at - away, at + away} {
			if i < 0 || i >= len(h.rings) {
				continue
			}
			if r := &h.rings[i]; r.count >= enough || (r.count > 0 && best == nil) {
				best = r
			}
		}
		if best != nil && best.count >= enough {
			break
		}
	}
	if best == nil {
		return 0
	}
	return time.Duration(best.current())
}

// current is the median of the ring, a few samples old at most.
func (r *ring) current() int64 {
	if r.medianAt == 0 || r.count-r.medianAt >= 4 {
		sorted := r.latencies
		n := min(r.count, len(sorted))
		slices.Sort(sorted[:n])
		r.median, r.medianAt = sorted[n/2], r.count
	}
	return r.median
}
