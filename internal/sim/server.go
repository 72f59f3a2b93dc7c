package sim

import (
	"math"
	"slices"
	"time"

	"github.com/evenkeel/evenkeel/internal/latencies"
)

// server shares its workers among the requests in service: with n of them and
// K workers each progresses at speed x min(1, K/n). Instead of moving every
// request whenever n changes, it keeps one figure: the service that a request
// would have attained had it been there all the time. A request is done when
// that figure has grown by its work since it came.
type server struct {
	id       int32
	zone     int
	workers  float64
	maxQueue int32

	attained float64 // ns of work
	at       int64   // the time that attained is of
	rate     float64 // by which attained grows, per ns
	inside   finishes
	count    int32 // in the server; inside and waiting also hold some that were cancelled
	active   int32 // of them, those that are worked on
	slots    int32 // as many as can be
	waiting  lane  // the others, in turn

	base     float64  // speed before what happens to it
	effects  []effect // that are active
	speed    float64
	failFast failures // of calls at once
	failSlow failures // of calls when they are done
	cold     warming

	up        bool
	draining  bool
	startedAt int64
	meter     meter
	reporter  reporter
	history   *history           // for probes; nil if nobody probes
	took      *latencies.History // for probes and reports out of band; else nil

	there      bool    // it is up, and has not been drained
	thereNs    float64 // for how long it was
	busy       float64 // worker-ns of work done since measuring began
	inFlightNs float64 // requests x ns, likewise
}

// keepLatencies has the server say what its requests take, where it is asked apart from calls.
func (s *server) keepLatencies() {
	if s.took == nil {
		s.took = new(latencies.History)
	}
}

// effect is something that makes a server slower by a factor for a while.
type effect struct {
	id     int
	factor float64
}

// failures are what makes calls fail, each a share of them and by itself.
type failures struct {
	by    []effect
	share float64
}

func (f *failures) begin(id int, share float64) {
	f.by = append(f.by, effect{id, share})
	f.sum()
}

func (f *failures) end(id int) {
	f.by = without(f.by, id)
	f.sum()
}

func (f *failures) sum() {
	f.share = 0
	for _, e := range f.by {
		f.share += (1 - f.share) * e.factor
	}
}

// without is the effects less one of this id, if there is one.
func without(effects []effect, id int) []effect {
	if i := slices.IndexFunc(effects, func(f effect) bool { return f.id == id }); i >= 0 {
		return slices.Delete(effects, i, i+1)
	}
	return effects
}

// warming is a server that starts slow: its speed grows linearly from a part
// of what it is to all of it.
type warming struct {
	from  float64
	since int64
	until int64
}

const warmingStep = int64(500 * time.Millisecond)

func (w *warming) factor(now int64) float64 {
	if now >= w.until {
		return 1
	}
	return w.from + (1-w.from)*float64(now-w.since)/float64(w.until-w.since)
}

// advance brings the server to a time.
func (s *server) advance(now int64) {
	if dt := float64(now - s.at); dt > 0 {
		s.attained += s.rate * dt
		busy := min(float64(s.active), s.workers)
		s.busy += busy * dt
		s.inFlightNs += float64(s.count) * dt
		if s.there {
			s.thereNs += dt
		}
		s.meter.advance(now, busy/s.workers)
		s.at = now
	}
}

// setRate recomputes the rate, after the count or the speed has changed.
func (s *server) setRate() {
	s.rate = s.speed
	if n := float64(s.active); n > s.workers {
		s.rate *= s.workers / n
	}
}

// setSpeed recomputes the speed, after an effect began or ended.
func (s *server) setSpeed(now int64) {
	s.advance(now)
	s.speed = s.base * s.cold.factor(now)
	for _, e := range s.effects {
		s.speed *= e.factor
	}
	s.setRate()
}

// enter takes a request in; false if there is no slot for it yet. The caller
// has advanced the server.
func (s *server) enter(f finish) bool {
	s.count++
	if s.active >= s.slots {
		s.waiting.push(entry{0, f.request, f.generation})
		return false
	}
	s.start(f)
	return true
}

// start begins to work on a request.
func (s *server) start(f finish) {
	if s.active == 0 {
		s.attained = 0
		s.inside = s.inside[:0]
	}
	f.attained += s.attained
	s.inside.push(f)
	s.active++
	s.setRate()
}

// leave counts a request out that was worked on, be it done or cancelled. If
// it leaves a slot to one that waits, that is to be started.
func (s *server) leave() {
	s.count--
	s.active--
	s.setRate()
}

// finish is when a request in service is done, on the scale of attained.
type finish struct {
	attained   float64
	request    int32
	generation uint32
}

// finishes is a binary heap, the earliest first.
type finishes []finish

func (h *finishes) push(f finish) {
	*h = append(*h, f)
	q := *h
	i := len(q) - 1
	for i > 0 {
		p := (i - 1) / 2
		if q[p].attained <= f.attained {
			break
		}
		q[i] = q[p]
		i = p
	}
	q[i] = f
}

func (h *finishes) pop() {
	q := *h
	n := len(q) - 1
	f := q[n]
	q = q[:n]
	*h = q
	if n == 0 {
		return
	}
	i := 0
	for {
		c := 2*i + 1
		if c >= n {
			break
		}
		if c+1 < n && q[c+1].attained < q[c].attained {
			c++
		}
		if q[c].attained >= f.attained {
			break
		}
		q[i] = q[c]
		i = c
	}
	q[i] = f
}

// meter measures a server's load with an exponential window.
type meter struct {
	window float64 // ns
	at     int64
	// Means over the window.
	utilization, rps, eps float64
	// weight is how much of the window has been filled since the start: a new
	// server's means are of the time that it has been there.
	weight float64
}

func (m *meter) advance(now int64, busy float64) {
	x := float64(now-m.at) / m.window
	m.at = now
	keep := 1 - x + x*x/2 - x*x*x/6
	if x > 0.1 {
		keep = math.Exp(-x)
	}
	m.utilization = busy + (m.utilization-busy)*keep
	m.rps *= keep
	m.eps *= keep
	m.weight = 1 + (m.weight-1)*keep
}

// answered counts an answer. The meter has been advanced.
func (m *meter) answered(failed bool) {
	one := 1e9 / m.window
	m.rps += one
	if failed {
		m.eps += one
	}
}
