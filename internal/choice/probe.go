package choice

import (
	"math"
	"sync/atomic"
	"time"
)

// A probe asks an endpoint for a report apart from calls. A client that makes few
// calls hears so seldom from its endpoints that it knows little of their queues when
// it picks; the answers to probes are news like those of calls. Who embeds this
// package asks Probes after each pick whom to probe, sends the probes, and says how
// each ended: Probed or ProbeFailed.
//
// Probing adapts: none is sent while the news suffices, nor more than the budget,
// Params.ProbesPerCall, allows. And it is not calling: a probe is not in flight,
// its answer ends neither probation nor silence and forgives no failure, and
// that it fails says nothing good of the endpoint, nor bad.

// ProbeTimeout is how long to wait for the answer to a probe. What comes later is
// of no use to the calls that it was meant for.
const ProbeTimeout = time.Second

const (
	// recentNews is for how many requests' time news is recent.
	recentNews = 2
	// probeDraws is how many endpoints are drawn to probe the cheapest of them:
	// what is known to be slow will hardly turn out to be what the next call wants.
	probeDraws = 3
	// probeBurst is how many probes can be saved up while the news suffices.
	probeBurst = 4
	// probeBargain is the part, at most, of what a typical endpoint with half of the usual
	// calls costs, for one that answered a probe to be a fresh candidate.
	probeBargain = 0.8
	// probePause is how long an endpoint is left alone whose answer is no news, or that
	// gave none.
	probePause = int64(time.Second)
)

// Times at which an endpoint may be probed again; they never come.
const (
	probeUnderWay   = math.MaxInt64     // not before it has ended
	probeUnanswered = math.MaxInt64 - 1 // not on this connection
)

// probes is what a client has to spend on probes.
type probes struct {
	tokens   atomic.Int64 // of which each is a part of a probe
	underWay atomic.Int64
}

// probeTokens is how many tokens a probe costs.
const probeTokens = 1 << 20

// earn adds what a call is worth.
func (p *probes) earn(perCall float64) {
	for {
		had := p.tokens.Load()
		has := min(had+int64(perCall*probeTokens), probeBurst*probeTokens)
		if has == had || p.tokens.CompareAndSwap(had, has) {
			return
		}
	}
}

// spend takes what a probe costs; false if there is not enough.
func (p *probes) spend() bool {
	for {
		had := p.tokens.Load()
		if had < probeTokens {
			return false
		}
		if p.tokens.CompareAndSwap(had, had-probeTokens) {
			return true
		}
	}
}

// Probes appends to a list the indices of the endpoints that are to be probed now
// that a call was picked an endpoint: none, if probing is off. Each is counted as
// being probed until Probed or ProbeFailed is called for it, which must be.
func (f *Fleet) Probes(now int64, random Random, picked int, to []int) []int {
	o := f.group.outlook(now)
	if o.params.ProbesPerCall <= 0 || len(f.endpoints) < 2 {
		return to
	}
	o.distances = f.distances.Load()
	p := &f.group.probes
	p.earn(o.params.ProbesPerCall)
	for range f.newsWanted(&o) {
		i := f.worthProbing(&o, random, picked)
		if i < 0 || !p.spend() {
			break
		}
		if e := f.endpoints[i]; e.beginProbe(now) {
			p.underWay.Add(1)
			to = append(to, i)
		}
	}
	return to
}

// newsWanted is how many endpoints should be heard of for the next pick to have as
// many fresh candidates as it looks at, all of them with recent news.
func (f *Fleet) newsWanted(o *outlook) int {
	want := o.params.FreshCandidates - int(f.group.probes.underWay.Load())
	l := &f.group.fresh
	added := l.added.Load()
	for i := added; i > 0 && added-i < freshScan && want > 0; i-- {
		index := f.indexOf(l.ring[(i-1)%freshRing].endpoint.Load())
		if index < 0 {
			continue
		}
		if !f.endpoints[index].recent(o) {
			break // what is behind it is older
		}
		want--
	}
	return max(want, 0)
}

// worthProbing is, of a few endpoints that are drawn, the cheapest of which the
// news is not recent; -1 if there is none. The one picked will answer anyway.
func (f *Fleet) worthProbing(o *outlook, random Random, picked int) int {
	best := candidate{index: -1}
	for range probeDraws {
		i := f.draw(o, random, uint32(random.Uint64()>>32), picked)
		if e := f.endpoints[i]; o.now < e.probeAfter.Load() || e.draining.Load() || e.recent(o) {
			continue
		}
		var c candidate
		f.look(o, i, random, &c)
		if c.passedOver == 0 && (best.index < 0 || c.cost < best.cost) {
			best = c
		}
	}
	return best.index
}

// recent tells whether what the endpoint reported last is news still.
func (e *Endpoint) recent(o *outlook) bool {
	at := e.facts.reportedAt.Load()
	return at != 0 && float64(o.now-at) <= recentNews*o.prior
}

// beginProbe counts a probe that is about to be sent; false if another pick has
// just sent one.
func (e *Endpoint) beginProbe(now int64) bool {
	after := e.probeAfter.Load()
	return now >= after && e.probeAfter.CompareAndSwap(after, probeUnderWay)
}

// Probed takes in the answer to a probe. What it tells is the queue. It teaches nothing of
// how long requests take where that is known: the reports that come with calls each
// have a request more in them, but probes of an idle server hear of its last one again
// and again. Only one that is cheap beside a typical one is a fresh candidate: the others,
// slow ones that are empty above all, would keep those from being looked at that just
// freed a slot.
// One that says again what it said before is left alone for a while.
func (e *Endpoint) Probed(now int64, r Report) {
	e.lock()
	old, view := e.known, e.group.outlook(now)
	e.meet(now, &r)
	news, said := e.isNews(now, &r), r
	e.translate(&r)
	if news {
		e.hearClaim(&view, &r)
		if e.believe(&view, &r, enoughReports) && !e.capacity.holds(&view) {
			e.capacity.report(now, r.Utilization, r.RPS, 0)
			e.combine(&view)
		} else {
			e.combineByClaim(&view)
		}
		e.probedAt = now
	}
	e.lastProbe = said
	e.expectQueue(&view)
	e.settle(&view)
	e.facts.store(&old, &e.known, view.window)
	cost, _ := e.estimate(&view, &e.known, float64(e.inFlight()), 0)
	e.mu.Unlock()
	if !news {
		e.endProbe(now + probePause)
		return
	}
	if cost <= probeBargain*view.prior*atLeastAbout(e.group.inFlight.value()/2+1, view.spare) {
		e.group.fresh.add(now, e, 0)
	}
	e.endProbe(0)
}

// isNews tells whether the answer to a probe is not what was heard before, word for word. A
// count alone may be as it was. The caller holds e.mu.
func (e *Endpoint) isNews(now int64, r *Report) bool {
	if r.Uptime <= 0 && r.Utilization < 0 && r.RPS < 0 {
		return true
	}
	byCall := *r == e.lastReport && now-e.known.reportedAt < repeated
	byProbe := *r == e.lastProbe && now-e.probedAt < repeated
	return !byCall && !byProbe
}

// ProbeFailed says that a probe was not answered. Unsupported: that the server does
// not answer any; it is not probed again before it has reconnected. Nothing is
// learned from a failure.
func (e *Endpoint) ProbeFailed(now int64, unsupported bool) {
	if unsupported {
		e.endProbe(probeUnanswered)
	} else {
		e.endProbe(now + probePause)
	}
}

func (e *Endpoint) endProbe(after int64) {
	e.probeAfter.Store(after)
	e.group.probes.underWay.Add(-1)
}
