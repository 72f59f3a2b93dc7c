package choice

import "sync/atomic"

// freshList is the endpoints that answered last. Of all endpoints their load is
// known best, and each has just freed a slot: the idea of join-the-idle-queue
// (Lu et al., 2011) without its messages. An answer is used once: a pick that
// takes the endpoint takes it off the list.
//
// The list is a ring, read from the newest entry backwards. It takes no lock:
// an entry that is lost in a race costs one pick a candidate, and no more.
type freshList struct {
	added atomic.Uint64
	_     cacheLine
	ring  [freshRing]freshEntry
}

// freshEntry is an endpoint and what its cost was when it answered; 0 if that does not
// tell all. The two are written one after the other, and may for a moment not
// belong together.
type freshEntry struct {
	endpoint atomic.Pointer[Endpoint]
	cost     float
	at       atomic.Int64 // when
}

const (
	freshRing = 64
	// freshScan is how many entries a pick reads at most: some were used.
	freshScan = 24
	// freshStays is for how many times as long as a queue stays like what it was an answer is
	// fresh, where reports come out of band. All clients compare by the same reports then; who
	// keeps to the few servers that answered it, long ago, has them pile up at the same few.
	freshStays = 10
)

func (l *freshList) add(now int64, e *Endpoint, cost float64) {
	entry := &l.ring[(l.added.Add(1)-1)%freshRing]
	entry.cost.store(cost)
	entry.at.Store(now)
	entry.endpoint.Store(e)
}

// use takes an endpoint off the list, where it was found.
func (l *freshList) use(slot uint64, e *Endpoint) {
	l.ring[slot].endpoint.CompareAndSwap(e, nil)
}

// freshest sets best to the cheapest of the endpoints that answered last, and
// returns where in the list it is. Its index is -1 if there is none that is not
// passed over.
//
// Where answers come so fast that no cost can have changed since the last few, what
// the costs were then is compared, and only the cheapest of them is looked at.
func (f *Fleet) freshest(o *outlook, random Random, best *candidate) (slot uint64) {
	best.index = -1
	var (
		c        candidate
		l        = &f.group.fresh
		added    = l.added.Load()
		left     = o.params.FreshCandidates
		remember = o.hurried && o.distances == nil && o.explanation == nil
		asItWas  = false // best is what was remembered
	)
	for i := added; i > 0 && added-i < freshScan && left > 0; i-- {
		at := (i - 1) % freshRing
		entry := &l.ring[at]
		if !o.hurried && !o.fresh(entry.at.Load()) {
			break // what is behind it is older
		}
		index := f.indexOf(entry.endpoint.Load())
		if index < 0 {
			continue
		}
		if left--; index == best.index {
			continue
		}
		if cost := entry.cost.load(); remember && cost > 0 {
			if l.again(i, added) {
				continue // what it cost before its last answer
			}
			if best.index < 0 || cost < best.cost {
				best.index, best.cost, slot, asItWas = index, cost, at, true
			}
			continue
		}
		f.look(o, index, random, &c)
		if c.passedOver == 0 && (best.index < 0 || c.cost < best.cost) {
			*best, slot, asItWas = c, at, false
		}
	}
	if asItWas {
		if f.look(o, best.index, random, best); best.passedOver != 0 {
			best.index = -1
		}
	}
	return slot
}

// fresh tells whether an answer of time at is news still.
func (o *outlook) fresh(at int64) bool {
	age := o.now - at
	return age < o.window && (!o.outOfBand || float64(age) <= freshStays*o.news.memory*o.prior)
}

// again tells whether the endpoint of an entry has answered again since, of added in all.
func (l *freshList) again(entry, added uint64) bool {
	e := l.ring[(entry-1)%freshRing].endpoint.Load()
	for i := entry; i < added; i++ {
		if l.ring[i%freshRing].endpoint.Load() == e {
			return true
		}
	}
	return false
}

// indexOf is where in the fleet an endpoint is; -1 if there is none, or if it has
// left or is not ready.
func (f *Fleet) indexOf(e *Endpoint) int {
	if e == nil {
		return -1
	}
	if i := int(e.index.Load()); i < len(f.endpoints) && f.endpoints[i] == e {
		return i
	}
	return -1
}
