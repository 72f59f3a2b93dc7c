package choice

import (
	"math"
	"sync/atomic"
	"time"
)

// Group is what the endpoints of one client have in common. It outlives
// fleets, as endpoints do. Its methods may be called concurrently.
type Group struct {
	current    atomic.Pointer[Params]
	histograms bool

	anyProven atomic.Bool
	typical   atomic.Uint64 // float64 bits: the fleet's mean per-request time, ns
	weight    atomic.Uint64 // float64 bits: the fleet's mean weight
	panicking atomic.Bool   // the filters would leave too few
	refreshAt atomic.Int64  // when the fields above are to be computed anew

	fresh freshList
	curve curve
}

// refreshInterval is how often the fleet as a whole is looked at. It is done
// within a pick, so that it costs nothing while there are none.
const refreshInterval = int64(100 * time.Millisecond)

// NewGroup returns a group of endpoints that are compared by these parameters.
// With histograms, each endpoint keeps a histogram of its latencies.
func NewGroup(p Params, histograms bool) *Group {
	g := &Group{histograms: histograms}
	g.SetParams(p)
	g.weight.Store(math.Float64bits(1))
	g.typical.Store(math.Float64bits(unknownPerRequest))
	return g
}

// SetParams changes the parameters. What was learned is kept.
func (g *Group) SetParams(p Params) { g.current.Store(&p) }

func (g *Group) params() *Params { return g.current.Load() }

// prior is the per-request time of an endpoint of which nothing is known.
func (g *Group) prior() float64 { return math.Float64frombits(g.typical.Load()) }

// suppose takes the first per-request time that anybody shows for typical,
// so that the endpoints that have shown none yet compare to it. It returns what
// is typical.
func (g *Group) suppose(perRequest float64) float64 {
	unknown := math.Float64bits(unknownPerRequest)
	if g.typical.Load() == unknown {
		g.typical.CompareAndSwap(unknown, math.Float64bits(perRequest))
	}
	return g.prior()
}

// refresh looks at the whole fleet.
func (g *Group) refresh(now int64, endpoints []*Endpoint) {
	o := g.outlook(now)
	var (
		logSum, known float64
		weight        float64
		passedOver    int
		proven        bool
	)
	for _, e := range endpoints {
		f := e.facts.load()
		if k := o.fade(f.perRequestAt); k > 0 && f.perRequest > 0 {
			logSum += k * math.Log(f.perRequest)
			known += k
		}
		if e.InProbation() {
			weight += o.params.SlowStartMinWeight // what it will begin with
		} else {
			weight += e.weight(&o)
		}
		if e.filtered(&o, &f) != 0 {
			passedOver++
		}
		proven = proven || !e.InProbation()
	}
	if known > 0 {
		g.typical.Store(math.Float64bits(math.Exp(logSum / known)))
	}
	if weight > 0 {
		g.weight.Store(math.Float64bits(weight / float64(len(endpoints))))
	}
	left := float64(len(endpoints)-passedOver) / float64(max(len(endpoints), 1))
	g.panicking.Store(left < o.params.PanicThreshold)
	g.anyProven.Store(proven)
	g.refreshAt.Store(now + refreshInterval)
}

// relative is a weight as a part of the fleet's mean: when all are new, none is
// held back, and when most are, the few others are not buried.
func (g *Group) relative(weight float64) float64 {
	return min(weight/math.Float64frombits(g.weight.Load()), 1)
}
