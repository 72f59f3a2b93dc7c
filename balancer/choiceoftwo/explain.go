package choiceoftwo

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evenkeel/evenkeel/internal/choice"
)

// Explainer records why endpoints were picked: of some picks, in every client
// that it is built for, it keeps what was looked at, what was known of it, how
// old that was, and what decided.
//
//	x := choiceoftwo.NewExplainer(256)
//	balancer.Register(choiceoftwo.NewBuilder(choiceoftwo.WithExplainer(x)))
//	x.SampleOneIn(100)
//
// It is off until SampleOneIn; a pick then costs one atomic load more, and
// nothing at all without an explainer. A pick that is recorded costs some
// microseconds and some kilobytes. Package explain, below this one, shows the
// records as JSON over HTTP, and as text. An Explainer may be used concurrently.
type Explainer struct {
	oneIn atomic.Int64
	hook  atomic.Pointer[func(*Decision)]

	mu   sync.Mutex
	ring []*Decision // the newest is before next
	next int
}

// NewExplainer returns an explainer that keeps the last decisions that it
// recorded: as many as keep says, but at least one.
func NewExplainer(keep int) *Explainer {
	return &Explainer{ring: make([]*Decision, max(keep, 1))}
}

// WithExplainer has the picks of every client that uses the policy recorded by x.
func WithExplainer(x *Explainer) Option {
	return func(b *builder) { b.explainer = x }
}

// SampleOneIn has one in n picks recorded, drawn at random: 1 for all, 0 or less
// for none. The default is none.
func (x *Explainer) SampleOneIn(n int) { x.oneIn.Store(int64(max(n, 0))) }

// OneIn returns what SampleOneIn set.
func (x *Explainer) OneIn() int { return int(x.oneIn.Load()) }

// OnDecision has f called with each decision that is recorded, by the call that
// it is about, before it is sent: f must be quick and must not keep changes to
// the decision. A nil f ends it.
func (x *Explainer) OnDecision(f func(*Decision)) {
	if f == nil {
		x.hook.Store(nil)
		return
	}
	x.hook.Store(&f)
}

// Decisions returns the decisions that are kept, the newest first. They are
// shared: do not change them.
func (x *Explainer) Decisions() []*Decision {
	x.mu.Lock()
	defer x.mu.Unlock()
	var all []*Decision
	for i := range x.ring {
		d := x.ring[(x.next+2*len(x.ring)-1-i)%len(x.ring)]
		if d == nil {
			break
		}
		all = append(all, d)
	}
	return all
}

// samples tells whether to record this pick. A nil explainer records none.
func (x *Explainer) samples() bool {
	if x == nil {
		return false
	}
	n := x.oneIn.Load()
	return n > 0 && (n == 1 || rand.Int64N(n) == 0)
}

func (x *Explainer) record(d *Decision) {
	x.mu.Lock()
	x.ring[x.next] = d
	x.next = (x.next + 1) % len(x.ring)
	x.mu.Unlock()
	if f := x.hook.Load(); f != nil {
		(*f)(d)
	}
}

// explainedPick picks, and records why.
func (p *picker) explainedPick(now int64, method string) choice.Choice {
	picked, x := p.fleet.Explain(now, source{})
	p.policy.explainer.record(p.decision(x, method))
	return picked
}

// Decision is one pick, and why it chose as it did. Each number's unit is in
// its name; what is not known is nil, or not there in JSON.
type Decision struct {
	Time   time.Time `json:"time"`
	Target string    `json:"target"` // of the client, as it was dialed
	Method string    `json:"method"` // of the call, for example /movie.v1.MovieService/GetMovie

	ReadyEndpoints      int     `json:"readyEndpoints"`      // how many there were to choose from
	TypicalPerRequestMs float64 `json:"typicalPerRequestMs"` // of the fleet
	// SpareCalls are as many as a server works on at once, as far as the fleet is idle: no
	// queue is taken to cost less. They are multiplied by CertainPerRequestMs.
	SpareCalls float64 `json:"spareCalls"`
	// SpeedCountedPercent is which part of the difference between a server's usual time for a
	// request and the typical one counts, as logarithms: 75 while there is room, 20 in a full fleet.
	SpeedCountedPercent float64 `json:"speedCountedPercent"`
	// FiltersIgnored: the thresholds would have left too few endpoints, so that
	// none was passed over by them (see Config.PanicThreshold).
	FiltersIgnored bool `json:"filtersIgnored"`

	Candidates []Candidate `json:"candidates"` // in the order in which they were looked at
	Winner     string      `json:"winner"`     // its endpoint's first address
	Why        Why         `json:"why"`
}

// Why says why the winner won.
type Why string

// The reasons.
const (
	OnlyOne      Why = "only one ready"     // there was one endpoint that was ready
	Cheaper      Why = "cheaper"            // its cost is lower
	TossUp       Why = "toss-up"            // its cost is the higher one, by less than chance adds
	OthersPassed Why = "others passed over" // it was the only one that was not passed over
	AllPassed    Why = "all passed over"    // all were; it is the cheapest of them, as far as chance lets tell
)

// Verdict says how a candidate fared.
type Verdict string

// The verdicts.
const (
	Won              Verdict = "won"
	Lost             Verdict = "lost" // to the winner
	NotCheapestFresh Verdict = "not the cheapest fresh"
	PassedOver       Verdict = "passed over"
)

// Candidate is an endpoint that was looked at, and its cost taken apart:
//
//	byQueue  = perRequestMs x (queueCalls + 1 + unseenCalls)
//	whenIdle = certainPerRequestMs x spareCalls
//	costMs   = max((byQueue^4 + whenIdle^4)^(1/4), unusualSilenceMs) x errorPenaltyFactor + distanceCostMs
//
// The norm of order four is about the larger of two. In the cost all but the distance is divided by neglectFactor, and by
// the weight if WeightApplied says so.
type Candidate struct {
	Endpoint   string   `json:"endpoint"`  // its first address
	DrawnFrom  string   `json:"drawnFrom"` // "fresh": it is one of those that answered last; "random"
	Verdict    Verdict  `json:"verdict"`
	PassedOver []string `json:"passedOver,omitempty"` // why, as Endpoint.HeldBack says it

	CostMs float64 `json:"costMs"` // what it was compared on

	// DistanceMs is how long the way there and back is, as the resolver says, and
	// DistanceCostMs what that costs now: less where the near endpoints are busy, and
	// nothing for an endpoint that has yet to answer.
	DistanceMs     float64 `json:"distanceMs,omitempty"`
	DistanceCostMs float64 `json:"distanceCostMs,omitempty"`

	// PerRequest is the time that each call in the queue adds. It is made from
	// "reported capacity" (utilization over requests a second), "own calls",
	// "reported latency" or "typical" (nothing is known); it fades to what is typical as it ages.
	PerRequestMs           float64  `json:"perRequestMs"`
	PerRequestFrom         string   `json:"perRequestFrom"`
	PerRequestAgeMs        *float64 `json:"perRequestAgeMs,omitempty"`
	PerRequestKnownPercent float64  `json:"perRequestKnownPercent"`
	// CertainPerRequestMs is nearer to what is typical, as far as the difference may be chance.
	CertainPerRequestMs float64 `json:"certainPerRequestMs"`

	// Queue is how many calls are expected to be before this one. It is made from
	// "reported in-flight", "reported utilization" or "own in-flight".
	QueueCalls            float64  `json:"queueCalls"`
	QueueFrom             string   `json:"queueFrom"`
	UnseenCalls           float64  `json:"unseenCalls"` // of others, that may have come since: a guess
	OwnInFlightCalls      int      `json:"ownInFlightCalls"`
	OthersInFlightCalls   float64  `json:"othersInFlightCalls"` // presumed where nothing is reported
	ReportedInFlightCalls *float64 `json:"reportedInFlightCalls,omitempty"`
	UsualInFlightCalls    *float64 `json:"usualInFlightCalls,omitempty"`
	OwnAtReportCalls      float64  `json:"ownAtReportCalls"` // of those reported, this client's
	UtilizationPercent    *float64 `json:"utilizationPercent,omitempty"`
	ReportAgeMs           *float64 `json:"reportAgeMs,omitempty"`
	ReportKnownPercent    float64  `json:"reportKnownPercent"`
	ReportByProbe         bool     `json:"reportByProbe,omitempty"` // the report was the answer to a probe

	SilenceMs float64 `json:"silenceMs"` // for how long calls have waited with none answered
	// UnusualSilenceMs is by how much that is longer than may be: six times what it takes
	// on average until one of the calls in flight is answered.
	UnusualSilenceMs float64 `json:"unusualSilenceMs"`

	OwnErrorRatePercent      float64 `json:"ownErrorRatePercent"`
	ReportedErrorRatePercent float64 `json:"reportedErrorRatePercent"`
	ErrorPenaltyFactor       float64 `json:"errorPenaltyFactor"`

	WeightPercent float64 `json:"weightPercent"` // what warmup and the way out of probation allow
	WeightApplied bool    `json:"weightApplied"`

	// NeglectFactor is above 1 where no call has been made to the endpoint for long: then what
	// is known of it may be wrong, and only a call can show that.
	NeglectFactor float64 `json:"neglectFactor"`
}

func (p *picker) decision(x *choice.Explanation, method string) *Decision {
	d := &Decision{
		Time: time.Now(), Target: p.policy.target, Method: method,
		ReadyEndpoints: x.Ready, TypicalPerRequestMs: x.Typical / 1e6, SpareCalls: x.Spare, SpeedCountedPercent: 100 * x.Counted, FiltersIgnored: x.FiltersIgnored,
		Candidates: make([]Candidate, len(x.Looks)),
	}
	for i := range x.Looks {
		l := &x.Looks[i]
		c := &d.Candidates[i]
		*c = candidate(l)
		c.Endpoint = p.ready[l.Index].endpoint.address()
		switch {
		case i == x.Winner:
			c.Verdict = Won
		case l.PassedOver != 0:
			c.Verdict = PassedOver
		case !l.Best:
			c.Verdict = NotCheapestFresh
		default:
			c.Verdict = Lost
		}
	}
	d.Winner, d.Why = d.Candidates[x.Winner].Endpoint, why(x)
	return d
}

func why(x *choice.Explanation) Why {
	if x.Ready == 1 {
		return OnlyOne
	}
	winner := &x.Looks[x.Winner]
	if winner.PassedOver != 0 {
		return AllPassed
	}
	reason := OthersPassed
	for i := range x.Looks {
		l := &x.Looks[i]
		if i == x.Winner || !l.Best || l.PassedOver != 0 {
			continue
		}
		if l.Cost < winner.Cost {
			return TossUp
		}
		reason = Cheaper
	}
	return reason
}

func candidate(l *choice.Look) Candidate {
	c := Candidate{
		DrawnFrom: "random", PassedOver: reasons(l.PassedOver), CostMs: l.Cost / 1e6,
		DistanceMs: l.Distance / 1e6, DistanceCostMs: l.ByDistance / 1e6,
		PerRequestMs: l.PerRequest / 1e6, PerRequestFrom: sources[l.PerRequestFrom],
		PerRequestAgeMs: known(float64(l.PerRequestAge), 1e-6), PerRequestKnownPercent: 100 * l.PerRequestKnown,
		CertainPerRequestMs: l.Certain / 1e6,
		QueueCalls:          l.Queue, UnseenCalls: l.Unseen, QueueFrom: sources[l.QueueFrom],
		OwnInFlightCalls: l.Own, OthersInFlightCalls: l.Others,
		ReportedInFlightCalls: known(l.InFlight, 1), UsualInFlightCalls: known(l.Usual, 1),
		OwnAtReportCalls: l.OwnThen, UtilizationPercent: known(l.Utilization, 100),
		ReportAgeMs: known(float64(l.ReportAge), 1e-6), ReportKnownPercent: 100 * l.Reported, ReportByProbe: l.Probed,
		SilenceMs:           float64(l.Silence) / 1e6,
		UnusualSilenceMs:    l.UnusualSilence / 1e6,
		OwnErrorRatePercent: 100 * l.ErrorRate, ReportedErrorRatePercent: 100 * l.ReportedErrorRate,
		ErrorPenaltyFactor: l.ErrorPenalty,
		WeightPercent:      100 * l.Weight, WeightApplied: l.Weighed,
		NeglectFactor: l.Neglect,
	}
	if l.Fresh {
		c.DrawnFrom = "fresh"
	}
	return c
}

var sources = [...]string{
	choice.Presumed:         "typical",
	choice.FromCalls:        "own calls",
	choice.FromCapacity:     "reported capacity",
	choice.FromLatency:      "reported latency",
	choice.FromInFlight:     "reported in-flight",
	choice.FromUtilization:  "reported utilization",
	choice.OwnCallsInFlight: "own in-flight",
}

// known is v in another unit, or nil if it is negative: not known.
func known(v, unit float64) *float64 {
	if v < 0 {
		return nil
	}
	v *= unit
	return &v
}
