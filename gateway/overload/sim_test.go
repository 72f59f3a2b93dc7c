package overload

import (
	"cmp"
	"container/heap"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// This is a small discrete-event simulation: callers that give up at a
// deadline, a gateway, and backends with so many workers each and a queue
// before them that has no bound. Nothing in it takes real time.

// world is an experiment.
type world struct {
	backends, workers int
	// service draws how long a call of a method takes, in units of mean.
	service func(*rand.Rand) float64
	mean    time.Duration
	// methods are how long each takes compared with mean, drawn alike.
	methods []float64
	load    float64 // offered, as a part of what the backends can do
	// deadline is when a caller gives up. Its call goes on in the backend.
	deadline time.Duration
	critical float64 // the part of calls that is
	shed     float64
	warmUp   time.Duration
	length   time.Duration
	// change is called once, at changeAt.
	change   func(*simulation)
	changeAt time.Duration
	seed     uint64

	limited bool
	config  Config
}

// result is what came out, after the warm-up.
type result struct {
	goodput float64 // in time, as a part of what the backends can do
	lowest  float64 // the same, in the worst second
	p99     [classes]float64
	served  [classes]float64 // in time, as a part of what was offered
	refused uint64
	limit   int
}

type event struct {
	at time.Duration
	do func()
}

type agenda []event

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].at < a[j].at }
func (a agenda) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)        { *a = append(*a, x.(event)) }
func (a *agenda) Pop() any {
	old := *a
	last := old[len(old)-1]
	*a = old[:len(old)-1]
	return last
}

type simCall struct {
	class     Priority
	method    int
	start     time.Duration
	work      time.Duration
	call      *Call
	abandoned bool
	ended     bool
}

type simBackend struct {
	busy  int
	queue []*simCall
	open  int // calls of the gateway that are not over
}

type simulation struct {
	world
	now      time.Duration
	agenda   agenda
	random   *rand.Rand
	limiter  *Limiter
	backends []simBackend

	// lost is how many workers of each backend are away.
	lost int
	slow float64 // what part of the calls is of the last method, besides
	rate float64 // of arrivals, a second

	good     int
	bySecond map[int]int
	offered  [classes]int
	inTime   [classes]int
	times    [classes][]float64
}

func (w world) run() result {
	s := &simulation{world: w, random: rand.New(rand.NewPCG(w.seed, 7)), bySecond: map[int]int{}}
	s.backends = make([]simBackend, w.backends)
	w.config.Now = func() time.Time { return time.Unix(0, int64(s.now)) }
	if simTolerance > 0 {
		w.config.Tolerance = simTolerance
	}
	w.config.Random = s.random.Float64
	var err error
	if s.limiter, err = New(w.config); err != nil {
		panic(err)
	}
	s.arrive()
	if w.change != nil {
		s.after(w.changeAt, func() { w.change(s) })
	}
	for len(s.agenda) > 0 && s.now < w.length {
		next := heap.Pop(&s.agenda).(event)
		s.now = next.at
		next.do()
	}
	return s.result()
}

func (s *simulation) after(d time.Duration, do func()) {
	heap.Push(&s.agenda, event{s.now + d, do})
}

// capacity is how many calls a second the backends can do.
func (s *simulation) capacity() float64 {
	mean := 0.0
	for _, m := range s.methods {
		mean += m / float64(len(s.methods))
	}
	return float64(len(s.backends)*(s.workers-s.lost)) / (mean * s.mean.Seconds())
}

func (s *simulation) arrive() {
	if s.rate == 0 {
		s.rate = s.load * s.capacity()
	}
	gap := s.random.ExpFloat64() / s.rate
	s.after(time.Duration(gap*float64(time.Second)), func() {
		s.offer()
		s.arrive()
	})
}

// bring brings workers back, or takes them away.
func (s *simulation) bring(lost int) {
	s.lost = lost
	for i := range s.backends {
		s.work(&s.backends[i])
	}
}

func (s *simulation) counts() bool { return s.now >= s.warmUp }

func (s *simulation) offer() {
	c := &simCall{start: s.now, method: s.random.IntN(len(s.methods))}
	if s.random.Float64() < s.slow {
		c.method = len(s.methods) - 1
	}
	switch x := s.random.Float64(); {
	case x < s.critical:
		c.class = Critical
	case x < s.critical+s.shed:
		c.class = Sheddable
	}
	if s.counts() && s.now < s.length-s.deadline {
		s.offered[c.class]++
	}
	if s.limited {
		var ok bool
		if c.call, ok = s.limiter.Acquire(string(rune('a'+c.method)), c.class); !ok {
			return
		}
	}
	c.work = time.Duration(s.service(s.random) * s.methods[c.method] * float64(s.mean))
	// The better of two, by calls that are open.
	b := &s.backends[s.random.IntN(len(s.backends))]
	if other := &s.backends[s.random.IntN(len(s.backends))]; other.open < b.open {
		b = other
	}
	b.open++
	s.after(s.deadline, func() {
		if !c.ended {
			c.abandoned = true
			b.open--
			if c.call != nil {
				c.call.Done(TimedOut)
			}
		}
	})
	b.queue = append(b.queue, c)
	s.work(b)
}

func (s *simulation) work(b *simBackend) {
	for b.busy < s.workers-s.lost && len(b.queue) > 0 {
		c := b.queue[0]
		b.queue = b.queue[1:]
		b.busy++
		s.after(c.work, func() {
			b.busy--
			s.end(b, c)
			s.work(b)
		})
	}
}

func (s *simulation) end(b *simBackend, c *simCall) {
	c.ended = true
	if c.abandoned {
		return
	}
	b.open--
	if c.call != nil {
		c.call.Done(Succeeded)
	}
	if s.counts() && c.start >= s.warmUp {
		s.good++
		s.bySecond[int(s.now/time.Second)]++
		if c.start < s.length-s.deadline {
			s.inTime[c.class]++
		}
		s.times[c.class] = append(s.times[c.class], (s.now - c.start).Seconds())
	}
}

func (s *simulation) result() result {
	stats := s.limiter.Stats()
	r := result{limit: stats.Limit, lowest: math.Inf(1)}
	r.refused = stats.Critical.Refused + stats.Default.Refused + stats.Sheddable.Refused
	r.goodput = float64(s.good) / (s.length - s.warmUp).Seconds() / s.capacity()
	for class := range classes {
		r.p99[class] = quantile(s.times[class], 0.99)
		r.served[class] = float64(s.inTime[class]) / max(float64(s.offered[class]), 1)
	}
	for second := int(s.warmUp/time.Second) + 1; second < int(s.length/time.Second); second++ {
		part := float64(s.bySecond[second]) / s.capacity()
		r.lowest = min(r.lowest, part)
	}
	return r
}

func quantile[T cmp.Ordered](values []T, q float64) T {
	var none T
	if len(values) == 0 {
		return none
	}
	slices.Sort(values)
	return values[int(q*float64(len(values)-1))]
}

func constant(*rand.Rand) float64      { return 1 }
func exponential(r *rand.Rand) float64 { return r.ExpFloat64() }

// logNormal has a mean of one and a heavy tail.
func logNormal(r *rand.Rand) float64 {
	const sigma = 0.8
	return math.Exp(sigma*r.NormFloat64() - sigma*sigma/2)
}

var simTolerance float64
