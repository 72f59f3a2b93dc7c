package sim

import (
	"container/heap"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/evenkeel/evenkeel/internal/latencies"
	"github.com/evenkeel/evenkeel/internal/sim/scenario"
)

// timeline is what is planned, as a heap, the earliest first.
type timeline struct {
	steps steps
	count int
}

type step struct {
	at    int64
	order int // steps of one time are in the order in which they were planned
	do    func()
}

func (t *timeline) add(at int64, do func()) {
	heap.Push(&t.steps, step{at, t.count, do})
	t.count++
}

func (t *timeline) pop() step { return heap.Pop(&t.steps).(step) }

func (t *timeline) next() int64 {
	if len(t.steps) == 0 {
		return never
	}
	return t.steps[0].at
}

// steps implements heap.Interface.
type steps []step

func (s steps) Len() int      { return len(s) }
func (s steps) Swap(i, j int) { s[i], s[j] = s[j], s[i] }
func (s steps) Less(i, j int) bool {
	return s[i].at < s[j].at || s[i].at == s[j].at && s[i].order < s[j].order
}
func (s *steps) Push(x any) { *s = append(*s, x.(step)) }
func (s *steps) Pop() any {
	last := len(*s) - 1
	x := (*s)[last]
	(*s)[last] = step{}
	*s = (*s)[:last]
	return x
}

// plan has something done at a time. What is past the end is not.
func (e *engine) plan(at int64, do func()) {
	if at >= e.end {
		return
	}
	e.timeline.add(max(at, e.now), do)
	e.agenda.set(e.timelineAt, e.timeline.next())
}

// schedule plans all that the scenario says will happen.
func (e *engine) schedule() {
	for i, ev := range e.scenario.Events {
		ids, _ := e.scenario.Select(ev.Servers) // validated
		for _, id := range ids {
			random := newRandom(e.options.Seed, streamTimeline, i<<16|id)
			e.scheduleEvent(i, ev, &e.servers[id], random)
		}
	}
	for i := range e.servers {
		if period := e.servers[i].reporter.OutOfBand; period > 0 {
			// Servers do not all report at once.
			offset := time.Duration(newRandom(e.options.Seed, streamReports, i+1).Int64N(int64(period)))
			e.servers[i].keepLatencies()
			e.reportOutOfBand(&e.servers[i], e.now+int64(offset))
		}
	}
}

func (e *engine) scheduleEvent(id int, ev scenario.Event, s *server, random *rand.Rand) {
	from, to := at(ev.At), e.end
	if ev.For > 0 {
		to = at(ev.At + ev.For)
	}
	during := func(begin, end func()) {
		e.plan(from, begin)
		e.plan(to, end)
	}
	switch ev.Do {
	case scenario.SlowDown:
		during(func() { e.afflict(s, id, ev.Speed) }, func() { e.relieve(s, id) })
	case scenario.Freeze:
		during(func() { e.afflict(s, id, 0) }, func() { e.relieve(s, id) })
	case scenario.FailFast:
		during(func() { s.failFast.begin(id, ev.Share); e.failing(s) }, func() { s.failFast.end(id); e.failing(s) })
	case scenario.FailSlow:
		during(func() { s.failSlow.begin(id, ev.Share); e.failing(s) }, func() { s.failSlow.end(id); e.failing(s) })
	case scenario.Pause:
		e.pause(s, id, ev, from, to)
	case scenario.Antagonist:
		e.antagonist(s, id, ev, from, to, random)
	case scenario.Join:
		s.up, s.there = false, false
		e.tellSpeed(s)
		e.isListed[s.id] = false
		e.plan(from, func() { e.start(s, ev) })
	case scenario.Drain:
		e.plan(from, func() { s.draining = true })
		e.plan(to, func() { e.gone(s) })
	case scenario.Restart:
		e.plan(from, func() { e.kill(s) })
		e.plan(to, func() { e.start(s, ev) })
	}
}

// pause plans a pause, which plans the next one: there may be very many.
func (e *engine) pause(s *server, id int, ev scenario.Event, t, to int64) {
	if t >= to {
		return
	}
	e.plan(t, func() {
		e.afflict(s, id, 0)
		e.plan(min(t+int64(ev.Burst), to), func() { e.relieve(s, id) })
		e.pause(s, id, ev, t+int64(ev.Every), to)
	})
}

// antagonist plans a burst, which plans the next one: exponential times between
// them and for them.
func (e *engine) antagonist(s *server, id int, ev scenario.Event, t, to int64, random *rand.Rand) {
	t += int64(random.ExpFloat64() * float64(ev.Every))
	if t >= to {
		return
	}
	until := min(t+int64(random.ExpFloat64()*float64(ev.Burst)), to)
	e.plan(t, func() {
		e.afflict(s, id, ev.Speed)
		e.plan(until, func() { e.relieve(s, id) })
		e.antagonist(s, id, ev, until, to, random)
	})
}

func (e *engine) afflict(s *server, id int, factor float64) {
	s.effects = append(s.effects, effect{id, factor})
	e.speedChanged(s)
}

func (e *engine) relieve(s *server, id int) {
	s.effects = without(s.effects, id)
	e.speedChanged(s)
}

func (e *engine) failing(s *server) {
	e.truth.Failing[s.id] = 1 - (1-s.failFast.share)*(1-s.failSlow.share)
}

// start is a server coming up, as new. Clients hear of it after the discovery
// delay.
func (e *engine) start(s *server, ev scenario.Event) {
	s.advance(e.now)
	s.up, s.there, s.draining, s.startedAt = true, true, false, e.now
	s.meter = meter{window: s.meter.window, at: e.now}
	s.reporter.saidAt = 0
	if s.history != nil {
		*s.history = history{}
	}
	if s.took != nil {
		s.took = new(latencies.History)
	}
	if ev.ColdFor > 0 {
		s.cold = warming{ev.Speed, e.now, e.now + int64(ev.ColdFor)}
		e.warm(s)
	}
	e.speedChanged(s)
	e.plan(e.now+int64(e.scenario.Network.Discovery), func() {
		e.isListed[s.id], e.canConnect[s.id] = true, s.up
		e.updateClients()
	})
}

func (e *engine) warm(s *server) {
	e.speedChanged(s)
	if e.now < s.cold.until {
		e.plan(min(e.now+warmingStep, s.cold.until), func() { e.warm(s) })
	}
}

// kill is a server's process ending: its calls fail, and its clients see the
// connection close.
func (e *engine) kill(s *server) {
	s.advance(e.now)
	s.up, s.there = false, false
	e.canConnect[s.id] = false
	e.tellSpeed(s)
	fail := func(en entry) {
		if r := e.requests.live(en); r != nil && (r.state == serving || r.state == waiting) {
			r.code, r.heard, r.reports = Unavailable, false, false
			e.send(en.request, r, returning)
		}
	}
	for _, f := range s.inside {
		fail(entry{0, f.request, f.generation})
	}
	for _, en := range s.waiting.entries[s.waiting.head:] {
		fail(en)
	}
	s.inside, s.waiting, s.count, s.active = s.inside[:0], lane{}, 0, 0
	s.setRate()
	e.countChanged(s)
	e.tellClients(s, func() func(*client) { return e.updater() })
}

// gone is a drained server leaving: the resolver no longer lists it. What it
// has in service it finishes.
func (e *engine) gone(s *server) {
	s.advance(e.now)
	s.there = false
	e.isListed[s.id] = false
	e.updateClients()
}

// updateClients tells the clients which servers there are.
func (e *engine) updateClients() {
	e.tick()
	update := e.updater()
	for i := range e.clients {
		update(&e.clients[i])
	}
}

// updater tells a client which servers there are now.
func (e *engine) updater() func(*client) {
	var listed, ready []int32
	for i := range e.servers {
		if e.isListed[i] {
			listed = append(listed, int32(i))
			if e.canConnect[i] {
				ready = append(ready, int32(i))
			}
		}
	}
	return func(c *client) {
		c.listed, c.ready = listed, ready
		if c.subset != nil {
			c.listed, c.ready = chosen(listed, c.subset), chosen(ready, c.subset)
		}
		c.balancer.Update(e.now, c.listed, c.ready)
	}
}

// tellClients has each client hear of something at a server as long after as the way
// from there takes, without the jitter. what is called when it comes to a client, and
// returns what that client hears.
func (e *engine) tellClients(s *server, what func() func(*client)) {
	for _, l := range e.ways[s.zone] {
		e.plan(e.now+e.network.delays[l], func() {
			e.tick()
			hear := what()
			for i := range e.clients {
				if c := &e.clients[i]; e.network.lane[c.zone][s.zone] == l {
					hear(c)
				}
			}
		})
	}
}

func chosen(servers []int32, subset []bool) []int32 {
	var c []int32
	for _, s := range servers {
		if subset[s] {
			c = append(c, s)
		}
	}
	return c
}

// reportOutOfBand plans a server's reports to all clients.
func (e *engine) reportOutOfBand(s *server, when int64) {
	e.plan(when, func() {
		e.reportOutOfBand(s, e.now+int64(s.reporter.OutOfBand))
		if !s.up || s.speed == 0 {
			return
		}
		s.advance(e.now)
		r := s.report(e.now, e.reportRandom)
		e.tellClients(s, func() func(*client) {
			return func(c *client) {
				if _, ok := slices.BinarySearch(c.ready, s.id); ok {
					c.balancer.Reported(e.now, s.id, &r)
				}
			}
		})
	})
}
