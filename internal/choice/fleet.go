package choice

import "sync/atomic"

// Reason says why an endpoint is passed over or held back. Reasons combine.
type Reason uint8

// The reasons.
const (
	ErrorRate   Reason = 1 << iota // its error rate is above the threshold
	Utilization                    // its utilization is above the threshold
	Pushback                       // it asked to be left alone
	Draining                       // it is about to go
	Probation                      // it has yet to answer the call it was given
	Warmup                         // its server is young, or it was just let out of probation
	Silent                         // it owes answers, and is late
)

// Random is a source of random numbers, such as those of math/rand/v2.
type Random interface{ Uint64() uint64 }

// Fleet is the set of endpoints that a pick chooses from. It does not change;
// what is known of its endpoints does. Pick may be called concurrently.
type Fleet struct {
	group     *Group
	endpoints []*Endpoint
	picked    atomic.Bool
	distances atomic.Pointer[distances] // nil if all are as near as each other
}

// NewFleet returns a fleet of endpoints of this group. There must be at least
// one. Nothing is done with them yet: while a thousand endpoints come up, one
// by one, there are a thousand fleets, most of which are never picked from.
func (g *Group) NewFleet(endpoints []*Endpoint) *Fleet {
	return &Fleet{group: g, endpoints: endpoints}
}

// Endpoint returns the endpoint with the index that Pick returned.
func (f *Fleet) Endpoint(i int) *Endpoint { return f.endpoints[i] }

// Len returns the number of endpoints.
func (f *Fleet) Len() int { return len(f.endpoints) }

// Choice is what a pick chose.
type Choice struct {
	Index   int     // of the endpoint
	queue   float64 // that is expected there
	expects bool    // queue is known
}

// Pick returns the index of the endpoint that the next call goes to. It is a
// choice of two: one candidate is that of which there is the freshest news,
// itself the cheapest of a few; the other is drawn at random; of the two, the
// one with the lower cost. While there is no news, both are drawn at random. If
// there are no two among FilterDraws that are not passed over, it is the one
// that is not, and if there is none, the cheapest that was looked at.
func (f *Fleet) Pick(now int64, random Random) int { return f.Choose(now, random).Index }

// Choose is Pick for callers that hand the choice on to Begin, which then need
// not look at the endpoint again.
func (f *Fleet) Choose(now int64, random Random) Choice {
	if len(f.endpoints) == 1 {
		return Choice{}
	}
	return f.pick(now, random, nil).choice()
}

// pick picks; if there is an explanation to be made, it notes what it looks at.
func (f *Fleet) pick(now int64, random Random, x *Explanation) candidate {
	if f.due(now) {
		f.group.refresh(now, f.endpoints)
		f.distances.Load().refresh(f, now)
	}
	o := f.group.outlook(now)
	o.explanation, o.distances = x, f.distances.Load()
	if x != nil {
		x.fleet(o.shared)
	}
	if len(f.endpoints) == 1 {
		var only candidate
		f.look(&o, 0, random, &only)
		return only
	}
	var fresh candidate
	slot := f.freshest(&o, random, &fresh)
	if x != nil {
		x.fresh(fresh)
	}
	if fresh.index < 0 {
		return f.drawTwo(&o, random)
	}
	bits := random.Uint64()
	var drawn candidate
	f.look(&o, f.draw(&o, random, uint32(bits>>32), fresh.index), random, &drawn)
	if drawn.passedOver == 0 && drawn.beats(&fresh, uint32(bits)) {
		return drawn
	}
	f.group.fresh.use(slot, f.endpoints[fresh.index])
	return fresh
}

// drawTwo chooses of two that are drawn at random.
func (f *Fleet) drawTwo(o *outlook, random Random) candidate {
	i, j := f.two(o, random)
	var a, b candidate
	f.look(o, i, random, &a)
	f.look(o, j, random, &b)
	if a.passedOver|b.passedOver == 0 {
		return a.better(b, random)
	}
	return f.search(o, a, b, random)
}

// due tells one pick in a while, and the first one, to look at the whole fleet.
func (f *Fleet) due(now int64) bool {
	if !f.picked.Load() && f.picked.CompareAndSwap(false, true) {
		for i, e := range f.endpoints {
			e.index.Store(int32(i))
		}
		f.distances.Store(newDistances(f.endpoints, f.group.params().DistanceWeight))
		return true
	}
	at := f.group.refreshAt.Load()
	return now >= at && f.group.refreshAt.CompareAndSwap(at, now+refreshInterval)
}

// search goes on from two candidates of which at least one is passed over.
func (f *Fleet) search(o *outlook, a, b candidate, random Random) candidate {
	d := draw{n: len(f.endpoints)}
	d.took(a.index)
	d.took(b.index)
	good, fallback := candidate{index: -1}, a.better(b, random)
	if a.passedOver == 0 {
		good = a
	} else if b.passedOver == 0 {
		good = b
	}
	for range min(o.params.FilterDraws, len(f.endpoints), maxDraws) - 2 {
		var c candidate
		f.look(o, d.next(random), random, &c)
		if c.passedOver != 0 {
			fallback = fallback.better(c, random)
			continue
		}
		if good.index >= 0 {
			return good.better(c, random)
		}
		good = c
	}
	if good.index >= 0 {
		return good
	}
	return fallback
}

// candidate is an endpoint that is looked at.
type candidate struct {
	index      int
	passedOver Reason
	cost       float64
	queue      float64 // that is expected there
	unseen     float64 // what may have come besides
	untried    bool    // it has yet to answer
}

func (c candidate) choice() Choice { return Choice{c.index, c.queue, true} }

// better returns the cheaper of two.
func (c candidate) better(other candidate, random Random) candidate {
	if other.beats(&c, uint32(random.Uint64())) {
		return other
	}
	return c
}

// noise is by how much estimates of equal endpoints differ anyhow. Without
// it the one that looks worst by a hair would get nothing while the fleet is
// idle, and so never the chance to show better.
const noise = 0.1

// beats tells whether a candidate is the cheaper one, as far as can be told;
// bits are random.
func (c *candidate) beats(other *candidate, bits uint32) bool {
	mine, others := float64(bits&(1<<16-1)), float64(bits>>16)
	if c.untried && !other.untried {
		// Among equals the one of which nothing is known is tried, else some of
		// many would wait long for their first call.
		mine = 0
	}
	return c.cost*(1+noise/(1<<16)*mine) < other.cost*(1+noise/(1<<16)*others)
}

// look looks at one endpoint.
func (f *Fleet) look(o *outlook, i int, random Random, c *candidate) {
	e := f.endpoints[i]
	var facts facts
	e.facts.loadCost(&facts)
	c.index, c.passedOver, c.untried = i, 0, false
	c.unseen = o.news.guess(random)
	own := e.inFlight()
	c.cost, c.queue = e.estimate(o, &facts, float64(own), c.unseen)
	if n := e.neglect(o, own); n > negligible {
		c.cost /= n
	}
	if e.plain.Load() != o.params || o.explanation != nil {
		f.examine(o, e, random, c)
	} else if o.distances != nil {
		c.cost += o.distances.cost(i)
	}
}

// examine looks at what else there is to be said of an endpoint.
func (f *Fleet) examine(o *outlook, e *Endpoint, random Random, c *candidate) {
	var facts facts
	e.facts.load(&facts)
	own := e.inFlight()
	errorRate := o.errorRate(&facts)
	if errorRate > 0 {
		c.cost *= penalty(errorRate)
	}
	c.passedOver = e.held(o, own)
	c.untried = e.InProbation()
	weight := o.relative(e.weight(o))
	weighed := weight < 1 && unit(random) >= weight
	if weighed {
		// With probability w the endpoint competes as an equal, which gives it
		// the part w of its fair share. Else its cost is scaled up: it still
		// takes what others have no room for, but an idle fleet, whose costs
		// are all alike, does not turn the smallest difference into a step.
		c.cost /= weight
	}
	if o.distances != nil {
		c.cost += o.farther(c)
	}
	if !o.panicking {
		c.passedOver |= e.filtered(o, &facts, errorRate)
	}
	if o.explanation != nil {
		o.explanation.look(o, e, &facts, c, weight, weighed)
	}
}

// unit is a random number in [0, 1).
func unit(random Random) float64 { return float64(random.Uint64()>>11) / (1 << 53) }

// filtered tells whether a threshold or the server itself bars the endpoint.
func (e *Endpoint) filtered(o *outlook, f *facts, errorRate float64) Reason {
	p := o.params
	var r Reason
	if errorRate > p.ErrorRateThreshold {
		r |= ErrorRate
	}
	if used := float64(f.utilization); p.UtilizationThreshold > 0 && used > p.UtilizationThreshold &&
		used*o.fade(f.reportedAt) > p.UtilizationThreshold {
		r |= Utilization
	}
	if until := e.pushbackUntil.Load(); until != 0 && o.now < until {
		r |= Pushback
	}
	if e.draining.Load() {
		r |= Draining
	}
	return r
}

// held tells whether the endpoint is in probation and has its one call
// already. A stream that has been open for long enough ends probation.
func (e *Endpoint) held(o *outlook, own int64) Reason {
	if !e.InProbation() {
		return 0
	}
	if e.streams.Load() > 0 && o.now-e.streamSince.Load() >= int64(o.params.StreamAnswerAge) {
		e.prove(o.now)
		return 0
	}
	if own < 1 || !e.group.anyProven.Load() {
		return 0
	}
	return Probation
}

// draw returns an endpoint that is drawn at random, other than one; bits are random.
func (f *Fleet) draw(o *outlook, random Random, bits uint32, other int) int {
	if o.distances != nil {
		return o.distances.draw(random, other)
	}
	i := below(bits, len(f.endpoints)-1)
	if i >= other {
		i++
	}
	return i
}

// two returns two different endpoints that are drawn at random.
func (f *Fleet) two(o *outlook, random Random) (int, int) {
	if o.distances != nil {
		return o.distances.two(random)
	}
	return two(random, len(f.endpoints))
}

// two returns two different random numbers in [0, n).
func two(random Random, n int) (int, int) {
	bits := random.Uint64()
	i := int((bits >> 32) * uint64(n) >> 32)
	j := int((bits & (1<<32 - 1)) * uint64(n-1) >> 32)
	if j >= i {
		j++
	}
	return i, j
}

// maxDraws bounds the draws, so that they need no memory of their own.
const maxDraws = 16

// draw yields the numbers below n in random order, none twice.
type draw struct {
	n     int
	count int
	drawn [maxDraws]int // in ascending order
}

func (d *draw) next(random Random) int {
	k := below(uint32(random.Uint64()>>32), d.n-d.count)
	// The k-th of those not drawn yet.
	for _, drawn := range d.drawn[:d.count] {
		if drawn <= k {
			k++
		}
	}
	d.took(k)
	return k
}

// took notes that k is drawn.
func (d *draw) took(k int) {
	at := d.count
	for at > 0 && d.drawn[at-1] > k {
		d.drawn[at] = d.drawn[at-1]
		at--
	}
	d.drawn[at] = k
	d.count++
}

// below returns a random number in [0, n) made from random bits. Its bias is
// below n/2^32.
func below(bits uint32, n int) int { return int(uint64(bits) * uint64(n) >> 32) }
