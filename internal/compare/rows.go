package compare

import (
	"math"
	"slices"
	"time"

	"github.com/evenkeel/evenkeel/internal/sim/stat"
)

// Row is what was measured of a policy in a scenario. What is not known, such as
// a ratio without the policy that it is over, is nil.
type Row struct {
	Scenario string `json:"scenario"`
	Policy   string `json:"policy"`

	// Latencies of all calls of all rounds used, from the time that each was to be
	// sent. Failed ones count at the deadline.
	P50MS  *float64 `json:"p50_ms"`
	P99MS  *float64 `json:"p99_ms"`
	P999MS *float64 `json:"p999_ms"`

	ErrorPct   *float64 `json:"error_pct"`
	GoodputRPS *float64 `json:"goodput_rps"` // calls answered well, a second

	RoundsUsed      int `json:"rounds_used"`
	RoundsDiscarded int `json:"rounds_discarded"` // the machine was too busy

	// P99Ratio is the median over the rounds of this policy's p99 over that of
	// choice_of_two, and P99RatioCI the 99 % interval of their geometric mean, by
	// Student's t, from three rounds on.
	P99Ratio   *float64    `json:"p99_ratio"`
	P99RatioCI *[2]float64 `json:"p99_ratio_ci"`
	P50Ratio   *float64    `json:"p50_ratio"`

	// Counts over all rounds used.
	Requests int `json:"requests"`
	Errors   int `json:"errors"`
	// Where replicas are frozen or killed: the calls that were in flight there at
	// the event; those sent there afterwards, while it was down, by clients that
	// had none in flight there, and by clients that had; and the failed calls, of
	// all these.
	InFlightAtEvent   int `json:"in_flight_at_event"`
	ProbesAfterEvent  int `json:"probes_after_event"`
	PiledOnAfterEvent int `json:"piled_on_after_event"`
	ErrorsAtEvent     int `json:"errors_at_event"`

	// Imbalance is the standard deviation over the mean of what the replicas were
	// given, each in proportion to its speed; 0 is even.
	Imbalance *float64 `json:"imbalance"`
	RateRPS   *float64 `json:"rate_rps"` // calls sent, a second
	// SendLateP99MS is how late the generator sent calls, at the 99th percentile;
	// the latencies include it.
	SendLateP99MS  *float64 `json:"send_late_p99_ms"`
	MachineBusyPct *float64 `json:"machine_busy_pct"`
}

// rowsOf makes the rows of a scenario.
func rowsOf(s *Scenario, policies []Policy, rounds []round, discarded int) []Row {
	reference := slices.IndexFunc(policies, func(p Policy) bool { return p.Name == Reference })
	rows := make([]Row, len(policies))
	for i, p := range policies {
		rows[i] = Row{Scenario: s.Name, Policy: p.Name, RoundsUsed: len(rounds), RoundsDiscarded: discarded}
		if len(rounds) > 0 {
			rows[i].fill(rounds, i, reference)
		}
	}
	return rows
}

// fill sums up the rounds of policy i.
func (r *Row) fill(rounds []round, i, reference int) {
	var all []time.Duration
	seconds := 0.0
	for _, round := range rounds {
		o := round[i]
		all = append(all, o.latencies...)
		seconds += o.seconds
		r.Errors += o.errors
		r.ErrorsAtEvent += o.errorsHit
		r.InFlightAtEvent += o.events.inFlight
		r.ProbesAfterEvent += o.events.probes
		r.PiledOnAfterEvent += o.events.piled
	}
	slices.Sort(all)
	r.Requests = len(all)
	r.P50MS, r.P99MS, r.P999MS = ms(all, 0.5), ms(all, 0.99), ms(all, 0.999)
	r.ErrorPct = known(100 * float64(r.Errors) / float64(r.Requests))
	r.GoodputRPS = known(float64(r.Requests-r.Errors) / seconds)
	r.RateRPS = known(mean(rounds, i, func(o *outcome) float64 { return o.rate }))
	r.Imbalance = known(mean(rounds, i, func(o *outcome) float64 { return o.imbalance }))
	r.MachineBusyPct = known(mean(rounds, i, func(o *outcome) float64 { return 100 * o.busy }))
	r.SendLateP99MS = known(mean(rounds, i, func(o *outcome) float64 { return o.late.Seconds() * 1e3 }))
	if reference >= 0 {
		r.P50Ratio, _ = ratio(rounds, i, reference, 0.5)
		r.P99Ratio, r.P99RatioCI = ratio(rounds, i, reference, 0.99)
	}
}

// ratio is the median ratio of two policies' quantiles in the same round, and its
// interval.
func ratio(rounds []round, i, reference int, q float64) (*float64, *[2]float64) {
	var over, under, ratios []float64
	for _, round := range rounds {
		a, b := float64(quantile(round[i].latencies, q)), float64(quantile(round[reference].latencies, q))
		if a <= 0 || b <= 0 {
			continue
		}
		over, under, ratios = append(over, a), append(under, b), append(ratios, a/b)
	}
	_, ci := stat.Ratio(over, under)
	if i == reference || len(ratios) < 3 || known(ci.Low) == nil || known(ci.High) == nil {
		return known(median(ratios)), nil
	}
	return known(median(ratios)), &[2]float64{ci.Low, ci.High}
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	slices.Sort(values)
	middle := len(values) / 2
	if len(values)%2 == 1 {
		return values[middle]
	}
	return (values[middle-1] + values[middle]) / 2
}

func mean(rounds []round, i int, of func(*outcome) float64) float64 {
	sum := 0.0
	for _, round := range rounds {
		sum += of(round[i])
	}
	return sum / float64(len(rounds))
}

func ms(sorted []time.Duration, q float64) *float64 {
	if len(sorted) == 0 {
		return nil
	}
	return known(quantile(sorted, q).Seconds() * 1e3)
}

// known is nil for what JSON cannot say.
func known(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}
