package choice

import (
	"cmp"
	"slices"
	"time"
)

// SetDistance says how far the endpoint is: how long a call takes to get there
// and the answer to get back. Only how distances differ counts, so it may as well
// be by how much this endpoint is farther than the nearest. Calls and reports
// that come later are judged by it. It counts for the fleets that are made
// afterwards; 0, the default, is near, or not known.
func (e *Endpoint) SetDistance(d time.Duration) { e.distance.Store(int64(max(d, 0))) }

// distances is what a fleet has where some endpoints are farther than others.
//
// What a distance costs depends on the room that there is nearer: its whole weight
// while the near endpoints are idle, and nothing while they have no room left. Were it always counted as the time that it takes, near endpoints would have
// to have queues as long as that before others are used, and then the long
// calls, to which the way is nothing, wait for the whole of it.
type distances struct {
	// order is the endpoints by distance, and place where in it each one is.
	order, place []int32
	// rings are the endpoints of about one distance, the nearest first.
	rings []ring
	in    []uint8   // which ring each endpoint is in
	past  []float64 // by how much it is farther than its ring's nearest, ns
	// weight is what a unit of distance costs where all is idle.
	weight float64
}

// ring is endpoints of about one distance.
type ring struct {
	begin float64 // distance of the nearest, ns
	end   int     // how many endpoints there are up to this ring
	cost  float   // of getting as far as its nearest, ns
	slope float   // cost of each ns past that
}

const (
	// ringWidth and ringMin are by how much the endpoints of a ring may differ in
	// distance: a resolver that measures never measures the same twice.
	ringWidth = 1.25
	ringMin   = int64(100 * time.Microsecond)
	// maxRings bounds the rings; the last has all that are farther, too.
	maxRings = 4
	// presumedRoom is the part of their capacity that endpoints are presumed to
	// have left, if they do not report a utilization.
	presumedRoom = 0.1
)

// newDistances returns nil if all endpoints are as near as each other, or if
// distance is not to count.
func newDistances(endpoints []*Endpoint, weight float64) *distances {
	first := endpoints[0].distance.Load()
	differs := func(e *Endpoint) bool { return e.distance.Load() != first }
	if weight == 0 || !slices.ContainsFunc(endpoints, differs) {
		return nil
	}
	n := len(endpoints)
	d := &distances{
		order: make([]int32, n), place: make([]int32, n),
		in: make([]uint8, n), past: make([]float64, n), weight: weight,
	}
	far := make([]int64, n)
	for i, e := range endpoints {
		far[i], d.order[i] = e.distance.Load(), int32(i)
	}
	slices.SortStableFunc(d.order, func(a, b int32) int { return cmp.Compare(far[a], far[b]) })
	begin := int64(-1)
	for at, i := range d.order {
		d.place[i] = int32(at)
		wide := max(int64(float64(begin)*ringWidth), begin+ringMin)
		if begin < 0 || (far[i] > wide && len(d.rings) < maxRings) {
			begin = far[i]
			d.rings = append(d.rings, ring{begin: float64(begin)})
		}
		last := len(d.rings) - 1
		d.rings[last].end = at + 1
		d.in[i], d.past[i] = uint8(last), float64(far[i]-begin)
	}
	return d
}

// refresh finds out how much room there is near. Distances may be nil.
func (d *distances) refresh(f *Fleet, now int64) {
	if d == nil {
		return
	}
	o := f.group.outlook(now)
	begin, cost := 0, 0.0
	for k := range d.rings {
		r := &d.rings[k]
		slope := d.weight * room(&o, f.endpoints, d.order[begin:r.end])
		r.cost.store(cost)
		r.slope.store(slope)
		if k+1 < len(d.rings) {
			cost += slope * (d.rings[k+1].begin - r.begin)
		}
		begin = r.end
	}
}

// room is which part of their capacity, 0 to 1, endpoints have left.
func room(o *outlook, endpoints []*Endpoint, which []int32) float64 {
	sum := 0.0
	for _, i := range which {
		var f facts
		endpoints[i].facts.load(&f)
		left := presumedRoom
		if f.utilization >= 0 {
			left += o.fade(f.reportedAt) * (max(1-float64(f.utilization), 0) - left)
		}
		// Those that fail have no room either, however idle that makes them.
		sum += left / penalty(o.errorRate(&f))
	}
	return sum / float64(len(which))
}

// farther is what the distance of a candidate adds to its cost, ns. One that has
// yet to answer is tried as if it were near, so that it is through probation and
// warmup by the time that it is needed.
func (o *outlook) farther(c *candidate) float64 {
	if o.distances == nil || c.untried {
		return 0
	}
	return o.distances.cost(c.index)
}

func (d *distances) cost(i int) float64 {
	r := &d.rings[d.in[i]]
	return r.cost.load() + r.slope.load()*d.past[i]
}

// draw returns an endpoint at random, other than one: from the nearest ring in
// half of the draws, from the nearest two in a quarter, and so on, so that where
// most are far the near ones are still compared with each other.
func (d *distances) draw(random Random, other int) int {
	last := len(d.rings) - 1
	bits := random.Uint64()
	ring := 0
	for ring < last && bits&1 == 1 {
		bits >>= 1
		ring++
	}
	n := d.rings[ring].end
	at := int(d.place[other])
	if at >= n {
		return int(d.order[randomBelow(random, n)])
	}
	for n == 1 { // it is the only one
		ring++
		n = d.rings[ring].end
	}
	i := randomBelow(random, n-1)
	if i >= at {
		i++
	}
	return int(d.order[i])
}

// two returns two different endpoints, the first of which is of the nearest: else
// both would often be far while there is no news.
func (d *distances) two(random Random) (int, int) {
	a := int(d.order[randomBelow(random, d.rings[0].end)])
	return a, d.draw(random, a)
}

// atServer is what of a latency is not the way there and back. A distance that
// is overstated must not make an endpoint look infinitely fast.
func (e *Endpoint) atServer(latency int64) int64 {
	if d := e.distance.Load(); d > 0 {
		return max(latency-d, latency/16)
	}
	return latency
}

// randomBelow returns a random number in [0, n).
func randomBelow(random Random, n int) int { return below(uint32(random.Uint64()>>32), n) }
