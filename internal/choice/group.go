package choice

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Group is what the endpoints of one client have in common. It outlives
// fleets, as endpoints do. Its methods may be called concurrently.
type Group struct {
	histograms bool // do not change

	anyProven   atomic.Bool
	outOfBandAt atomic.Int64 // when a report came out of band last; 0 for never
	shared      atomic.Pointer[shared]
	refreshAt   atomic.Int64

	mu sync.Mutex // held to publish another shared
	// The rest is guarded by mu.
	flows      flows
	spare      spare
	lookedAt   int64   // at the fleet
	answers    uint64  // that had come until then
	answerRate float64 // a ns, of late

	// What every call writes is kept off the cache lines that every pick reads.
	_     cacheLine
	fresh freshList
	_     cacheLine
	curve curve
	_     cacheLine
	// latency is the mean logarithm of this client's latencies.
	latency pooled
	_       cacheLine

	claimScale    pooled // see claim
	inFlight, own pooled // calls at an endpoint: all, and this client's
	probes        probes
}

// shared is what is known of the fleet as a whole, and how to go by it. It does not
// change; another one takes its place.
type shared struct {
	params    *Params
	window    int64   // Params.DecayWindow
	prior     float64 // the mean per-request time, ns: that of an endpoint of which nothing is known
	logPrior  float64
	weight    float64 // the mean weight
	others    float64 // calls of other clients in flight at an endpoint, usually
	ownShare  float64 // of the calls in flight, those that are this client's
	news      news
	spare     float64 // calls that no queue is taken to cost less than
	counted   float64 // the part of a difference in speed that counts
	panicking bool    // the filters would leave too few
	outOfBand bool    // reports come out of band
	neglected float64 // by how much each ns without a call adds to what a cost is divided by
	hurried   bool    // answers come so fast that costs do not change between a few of them
}

// publish has another shared take the place of the one that there is.
func (g *Group) publish(change func(*shared)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := *g.shared.Load()
	change(&s)
	g.shared.Store(&s)
}

// cacheLine is room between fields that different processors write and read.
type cacheLine [128]byte

// float is a float64 that may be read and written concurrently.
type float struct{ bits atomic.Uint64 }

func (f *float) load() float64   { return math.Float64frombits(f.bits.Load()) }
func (f *float) store(x float64) { f.bits.Store(math.Float64bits(x)) }

// refreshInterval is how often the fleet as a whole is looked at. It is done
// within a pick, so that it costs nothing while there are none.
const refreshInterval = int64(100 * time.Millisecond)

// NewGroup returns a group of endpoints that are compared by these parameters.
// With histograms, each endpoint keeps a histogram of its latencies.
func NewGroup(p Params, histograms bool) *Group {
	g := &Group{histograms: histograms}
	g.shared.Store(&shared{
		weight: 1, ownShare: 1, counted: mostCounted, news: news{memory: presumedMemory},
		prior: unknownPerRequest, logPrior: math.Log(unknownPerRequest),
	})
	g.SetParams(p)
	return g
}

// SetParams changes the parameters. What was learned is kept.
func (g *Group) SetParams(p Params) {
	p.perWindow = 1 / max(float64(p.DecayWindow), 1)
	g.publish(func(s *shared) { s.params, s.window = &p, int64(p.DecayWindow) })
}

func (g *Group) params() *Params { return g.shared.Load().params }

// suppose takes the first per-request time that anybody shows, of which this is
// the logarithm, for typical, so that the endpoints that have shown none yet
// compare to it. It returns the logarithm of what is typical.
func (g *Group) suppose(logPerRequest float64) float64 {
	if s := g.shared.Load(); s.prior != unknownPerRequest {
		return s.logPrior
	}
	g.publish(func(s *shared) {
		if s.prior == unknownPerRequest {
			s.prior, s.logPrior = exp(logPerRequest), logPerRequest
		}
	})
	return g.shared.Load().logPrior
}

// refresh looks at the whole fleet.
func (g *Group) refresh(now int64, endpoints []*Endpoint) {
	o := g.outlook(now)
	g.mu.Lock()
	c := census{flow: g.flows.flow(), vacancy: vacancy{latency: exp(g.latency.value()) / 1e9, logTypical: o.logPrior}}
	g.mu.Unlock()
	for _, e := range endpoints {
		e.mu.Lock()
		e.rescale(&o)
		c.count(&o, e)
		e.mu.Unlock()
	}
	g.publish(func(s *shared) {
		if c.timed > 0 {
			s.logPrior = c.logPerRequest / c.timed
			s.prior = exp(s.logPrior)
		}
		if c.weight > 0 {
			s.weight = c.weight / float64(len(endpoints))
		}
		s.others = 0
		if c.heard > 0 {
			g.inFlight.add(c.inFlight/c.heard, 1, 1, enoughCensuses)
			g.own.add(c.own/c.heard, 1, 1, enoughCensuses)
			inFlight, own := g.inFlight.value(), g.own.value()
			s.others = max(inFlight-own, 0)
			s.ownShare = min(own/max(inFlight, 1e-9), 1)
		}
		s.spare = g.spare.learn(&c.vacancy, g.curve.atOnce())
		s.counted = counted(g.spare.free)
		g.flows.learn(&c.flow)
		s.news.refresh(&c.flow, s.prior, &g.latency, s.ownShare)
		left := float64(len(endpoints)-c.passedOver) / float64(max(len(endpoints), 1))
		s.panicking = left < s.params.PanicThreshold
		s.hurried = g.hurries(now, s)
		s.neglected = g.answerRate / (neglectedPicks * float64(max(len(endpoints), 1)))
		s.outOfBand = o.fade(g.outOfBandAt.Load()) > 0
	})
	g.anyProven.Store(c.proven)
	g.refreshAt.Store(now + refreshInterval)
}

// instant is for how long, in ns, no cost can change: no server is so fast.
const instant = 25e3

// answerRateTime, in ns, is over how long answers are counted.
const answerRateTime = 1e9

// hurries tells whether of late as many answers as a pick looks at came in an instant,
// or in a part of what a request takes. The caller holds g.mu.
func (g *Group) hurries(now int64, s *shared) bool {
	answers := g.fresh.added.Load()
	if age := float64(now - g.lookedAt); g.lookedAt != 0 && age > 0 {
		g.answerRate += (float64(answers-g.answers)/age - g.answerRate) * min(age/answerRateTime, 1)
	}
	few := float64(now-g.lookedAt) * float64(s.params.FreshCandidates)
	hurried := few < float64(answers-g.answers)*max(s.prior/4, instant)
	g.lookedAt, g.answers = now, answers
	return hurried
}

// enoughCensuses is over how many the calls in flight are averaged.
const enoughCensuses = 10

// census sums up what is known of a fleet's endpoints; what is old counts less.
type census struct {
	logPerRequest, timed float64 // the latter: of how many endpoints it is known
	inFlight, own, heard float64
	flow                 flow
	vacancy              vacancy
	weight               float64
	passedOver           int
	proven               bool
}

// count counts an endpoint. The caller holds its mu.
func (c *census) count(o *outlook, e *Endpoint) {
	var f facts
	e.facts.load(&f)
	if known := o.fade(f.perRequestAt); known > 0 && f.perRequest > 0 {
		c.logPerRequest += known * float64(f.logActual)
		c.timed += known
	}
	if known := o.fade(f.reportedAt); known > 0 {
		own := float64(e.inFlight()) * (1 - o.news.onTheWay)
		all := own
		if f.inFlight >= 0 || f.utilization >= 0 {
			if o.outOfBand {
				// What is expected at each is made of what is found here.
				f.inFlightMean = float32(e.inFlightMean.value)
			}
			all = float64(f.inFlightMean)
		}
		c.flow.count(&f, known)
		c.inFlight += known * all
		c.own += known * own
		c.heard += known
	}
	c.vacancy.count(&f, o.fade(f.reportedAt))
	if e.InProbation() {
		c.weight += o.params.SlowStartMinWeight // what it will begin with
	} else {
		c.weight += e.weight(o)
		c.proven = true
	}
	if e.filtered(o, &f, o.errorRate(&f)) != 0 {
		c.passedOver++
	}
}

// relative is a weight as a part of the fleet's mean: when all are new, none is
// held back, and when most are, the few others are not buried.
func (s *shared) relative(weight float64) float64 { return min(weight/s.weight, 1) }
