package sim

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/evenkeel/evenkeel/internal/sim/scenario"
)

// Options change how a run is made.
type Options struct {
	Seed uint64
	// Bins is into how many spans of time the load of each server is recorded;
	// 0 for not at all.
	Bins int
	// Clock, if set, is told of the time before a balancer is called: policies
	// that read the clock of the machine are run in fake time by it.
	Clock func(now int64)
}

// Run simulates a scenario under a policy. The same scenario, policy and seed
// give the same result. Under another policy the same calls arrive at the same
// times and are as much work, so that two can be compared call by call.
func Run(ctx context.Context, s *scenario.Scenario, p Policy, o Options) (*Result, error) {
	e := newEngine(s, p, o)
	for count := 0; ; count++ {
		if count&0xffff == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		source, at := e.agenda.next()
		if at >= e.end || (at > e.stop && e.open == 0) {
			break // nothing that is measured is left
		}
		e.now = at
		e.handle(source)
	}
	return e.result, nil
}

// engine is one run. Its sources of events are numbered: the servers, then the
// clients, the deadlines, the timeline and the lanes of the network.
type engine struct {
	scenario *scenario.Scenario
	options  Options
	now      int64
	begin    int64 // of what is measured
	stop     int64 // of new calls being measured
	end      int64

	agenda   *agenda
	servers  []server
	clients  []client
	requests requests
	truth    Truth
	quantile func(float64) float64
	deadline int64

	firstClient   int32
	deadlines     int32 // source of the deadlines
	deadlineLane  lane
	timelineAt    int32 // source of the timeline
	timeline      timeline
	firstLane     int32
	lanes         []lane
	network       network
	ways          [][]int16 // by a server's zone: the lanes from there to clients
	isListed      []bool    // by the resolver
	canConnect    []bool    // as clients know after their next update
	reportRandom  *rand.Rand
	failureRandom *rand.Rand

	open    int     // calls under way that are measured
	outcome Outcome // of the call that ends now
	result  *Result
}

// client is one client.
type client struct {
	balancer Balancer
	prober   Prober // the balancer, if it probes
	zone     int
	random   *rand.Rand // of when calls come and how much work they are
	gap      float64    // mean time between calls, ns, while the factor is at its highest
	shape    *shape     // of its calls over time
	subset   []bool     // nil: all servers
	ready    []int32
	listed   []int32
}

// Streams of random numbers, so that what one decides does not move another.
const (
	streamArrivals = iota + 1
	streamPolicy
	streamNetwork
	streamReports
	streamFailures
	streamServers
	streamSubsets
	streamTimeline
)

func newRandom(seed uint64, stream, index int) *rand.Rand {
	return rand.New(rand.NewPCG(seed, uint64(stream)<<32|uint64(index)))
}

func newEngine(s *scenario.Scenario, p Policy, o Options) *engine {
	e := &engine{
		scenario: s, options: o, now: 1,
		begin:         1 + int64(s.Warmup),
		stop:          1 + int64(s.Warmup+s.Duration),
		end:           1 + int64(s.Warmup+s.Duration+s.Deadline),
		quantile:      s.Cost.Quantile(),
		deadline:      int64(s.Deadline),
		reportRandom:  newRandom(o.Seed, streamReports, 0),
		failureRandom: newRandom(o.Seed, streamFailures, 0),
		result:        newResult(s),
	}
	e.newServers()
	e.network = newNetwork(s, newRandom(o.Seed, streamNetwork, 0))
	e.lanes = make([]lane, len(e.network.delays))
	e.firstClient = int32(len(e.servers))
	e.deadlines = e.firstClient + int32(s.TotalClients())
	e.timelineAt = e.deadlines + 1
	e.firstLane = e.timelineAt + 1
	e.agenda = newAgenda(int(e.firstLane) + len(e.lanes))
	e.schedule()
	e.newClients(p)
	e.updateClients()
	e.recordLoads(o.Bins)
	return e
}

func (e *engine) newServers() {
	s := e.scenario
	n := s.Total()
	e.servers = make([]server, n)
	e.isListed, e.canConnect = make([]bool, n), make([]bool, n)
	e.truth = Truth{
		InFlight: make([]int32, n), InAir: make([]int32, n), Speed: make([]float64, n),
		Workers: make([]float64, n), Failing: make([]float64, n),
		Failure: float64(s.Deadline) / float64(s.Cost.MeanTime()),
	}
	random := newRandom(e.options.Seed, streamServers, 0)
	i := 0
	for _, g := range s.Servers {
		reports := s.Reports
		if g.Reports != nil {
			reports = *g.Reports
		}
		for range g.Count {
			sv := &e.servers[i]
			sv.id, sv.at = int32(i), e.now
			sv.workers, sv.maxQueue, sv.base = float64(g.Workers), int32(g.Queue), g.Speed
			sv.slots = int32(g.Slots)
			if g.Slots == 0 {
				sv.slots = math.MaxInt32
			}
			sv.startedAt = e.now - int64(g.Uptime)
			sv.up, sv.there = true, true
			sv.meter = meter{window: float64(reports.Window), at: e.now, weight: min(float64(g.Uptime)/float64(reports.Window), 1)}
			sv.reporter = newReporter(reports, random)
			sv.zone = zoneIndex(s, g.Zone)
			e.isListed[i], e.canConnect[i] = true, true
			e.truth.Workers[i] = float64(g.AtOnce())
			e.speedChanged(sv)
			i++
		}
	}
}

func (e *engine) newClients(p Policy) {
	s := e.scenario
	e.clients = make([]client, 0, s.TotalClients())
	share := 0.0
	for _, g := range s.Clients {
		share += groupShare(g)
	}
	for _, g := range s.Clients {
		points := g.Arrivals
		if len(points) == 0 {
			points = s.Arrivals
		}
		own := newShape(points)
		rate := s.CallRate() * groupShare(g) / share / float64(g.Count)
		for range g.Count {
			i := len(e.clients)
			c := client{
				zone:   zoneIndex(s, g.Zone),
				random: newRandom(e.options.Seed, streamArrivals, i),
				shape:  &own,
				gap:    1e9 / (rate * own.highest),
			}
			if g.Subset > 0 {
				c.subset = make([]bool, len(e.servers))
				for _, j := range newRandom(e.options.Seed, streamSubsets, i).Perm(len(e.servers))[:g.Subset] {
					c.subset[j] = true
				}
			}
			c.balancer = p.New(Env{
				Client: i, Servers: len(e.servers), Truth: &e.truth,
				Random:   newRandom(e.options.Seed, streamPolicy, i),
				Distance: e.distances(c.zone),
			})
			if prober, ok := c.balancer.(Prober); ok {
				c.prober = prober
				e.keepHistory()
			}
			e.clients = append(e.clients, c)
			e.nextArrival(int32(i))
		}
	}
	e.ways = make([][]int16, len(e.network.lane))
	for zone := range e.ways {
		for i := range e.clients {
			if l := e.network.lane[e.clients[i].zone][zone]; !slices.Contains(e.ways[zone], l) {
				e.ways[zone] = append(e.ways[zone], l)
			}
		}
	}
}

func groupShare(g scenario.Client) float64 {
	if g.Share > 0 {
		return g.Share
	}
	return float64(g.Count)
}

func (e *engine) keepHistory() {
	for i := range e.servers {
		s := &e.servers[i]
		if s.history == nil {
			s.history = new(history)
		}
		s.keepLatencies()
	}
}

func (e *engine) handle(source int32) {
	switch {
	case source < e.firstClient:
		e.complete(&e.servers[source])
	case source < e.deadlines:
		e.arrive(source - e.firstClient)
	case source == e.deadlines:
		e.expireNext()
	case source == e.timelineAt:
		step := e.timeline.pop()
		e.agenda.set(source, e.timeline.next())
		step.do()
	default:
		l := &e.lanes[source-e.firstLane]
		en := l.pop()
		e.agenda.set(source, l.next())
		if r := e.requests.live(en); r != nil {
			e.travelled(en.request, r)
		}
	}
}

// nextArrival draws when a client's next call comes: a Poisson process, thinned
// to follow the shape.
func (e *engine) nextArrival(i int32) {
	c := &e.clients[i]
	at := float64(e.now)
	for {
		at += c.random.ExpFloat64() * c.gap
		if at > math.MaxInt64/2 {
			at = math.MaxInt64 / 2
			break
		}
		if c.shape.constant || c.random.Float64()*c.shape.highest < c.shape.factor(int64(at)) {
			break
		}
		if at > float64(e.end) {
			break
		}
	}
	e.agenda.set(e.firstClient+i, max(int64(at), e.now))
}

// arrive is a call being made.
func (e *engine) arrive(i int32) {
	c := &e.clients[i]
	u := c.random.Float64()
	e.nextArrival(i)
	measured := e.now >= e.begin && e.now < e.stop
	if measured {
		e.result.Requests++
	}
	if len(c.ready) == 0 {
		if measured {
			e.result.failed(e.deadline)
		}
		return
	}
	e.tick()
	s, call := c.balancer.Pick(e.now)
	id, r := e.requests.make()
	r.client, r.server, r.call, r.start, r.measured = i, s, call, e.now, measured
	r.work = e.quantile(max(u, 1e-12))
	if measured {
		e.open++
	}
	e.truth.InAir[s]++
	if e.deadlineLane.push(entry{e.now + e.deadline, id, r.generation}) {
		e.agenda.set(e.deadlines, e.now+e.deadline)
	}
	e.send(id, r, reaching)
	if c.prober != nil {
		e.probe(i, c)
	}
}

// tick tells whoever keeps a clock of the time.
func (e *engine) tick() {
	if e.options.Clock != nil {
		e.options.Clock(e.now)
	}
}

// send puts a request on its way, to its server or back.
func (e *engine) send(id int32, r *request, s state) {
	r.state = s
	l, at := e.network.delay(e.clients[r.client].zone, e.servers[r.server].zone)
	at += e.now
	if e.lanes[l].push(entry{at, id, r.generation}) {
		e.agenda.set(e.firstLane+int32(l), at)
	}
}

// travelled is a request having arrived at its server, or its answer at the client.
func (e *engine) travelled(id int32, r *request) {
	switch r.state {
	case reaching:
		e.reach(id, r)
	case returning:
		e.settle(id, r, outcomeOf(r))
	case probing:
		s := &e.servers[r.server]
		if !s.up || s.speed == 0 {
			e.requests.release(id)
			return
		}
		s.advance(e.now)
		r.probe = s.probe(e.now, e.reportRandom)
		e.send(id, r, probed)
	case probed:
		client, server, probe := r.client, r.server, r.probe
		e.requests.release(id)
		e.tick()
		e.clients[client].prober.Probed(e.now, server, probe)
	}
}

func (e *engine) probe(i int32, c *client) {
	for _, s := range c.prober.Probes(e.now) {
		if e.now >= e.begin && e.now < e.stop {
			e.result.Probes++
		}
		id, r := e.requests.make()
		r.client, r.server, r.start = i, s, e.now
		e.send(id, r, probing)
	}
}

// reach is a request arriving at its server.
func (e *engine) reach(id int32, r *request) {
	s := &e.servers[r.server]
	e.truth.InAir[r.server]--
	if !s.up {
		// The connection is refused: nobody answers for the server.
		r.code, r.heard, r.reports = Unavailable, false, false
		e.send(id, r, returning)
		return
	}
	s.advance(e.now)
	switch {
	case s.speed == 0:
		// Frozen: it is not even read, let alone refused.
	case s.failFast.share > 0 && e.failureRandom.Float64() < s.failFast.share:
		e.answer(id, r, s, Unavailable)
		return
	case s.count >= s.maxQueue:
		e.answer(id, r, s, ResourceExhausted)
		return
	}
	r.state, r.reached, r.found = serving, e.now, s.count
	if !s.enter(finish{r.work, id, r.generation}) {
		r.state = waiting
	}
	e.countChanged(s)
}

// complete is the next request of a server being done.
func (e *engine) complete(s *server) {
	s.advance(e.now)
	f := s.inside[0]
	s.inside.pop()
	s.attained = max(s.attained, f.attained)
	if r := e.requests.live(entry{0, f.request, f.generation}); r != nil {
		e.leave(s)
		code := OK
		if s.failSlow.share > 0 && e.failureRandom.Float64() < s.failSlow.share {
			code = Unavailable
		}
		if s.history != nil && code == OK {
			s.history.add(r.found, e.now-r.reached)
		}
		if s.took != nil && code == OK {
			s.took.Add(time.Duration(e.now), int(r.found), time.Duration(e.now-r.reached))
		}
		e.answer(f.request, r, s, code)
	}
	e.countChanged(s)
}

// leave is a request that was worked on leaving its server. The next that waits
// takes its slot.
func (e *engine) leave(s *server) {
	s.leave()
	for s.active < s.slots && s.waiting.head < len(s.waiting.entries) {
		en := s.waiting.pop()
		if r := e.requests.live(en); r != nil && r.state == waiting {
			r.state = serving
			s.start(finish{r.work, en.request, en.generation})
		}
	}
}

// answer sends a server's answer, with its report.
func (e *engine) answer(id int32, r *request, s *server, code Code) {
	s.meter.answered(code != OK)
	r.code, r.heard = code, true
	if r.reports = s.reporter.PerCall; r.reports {
		r.report = s.report(e.now, e.reportRandom)
		r.report.Latency = 0
	}
	e.send(id, r, returning)
}

// countChanged plans the server's next completion.
func (e *engine) countChanged(s *server) {
	e.truth.InFlight[s.id] = s.count
	for len(s.inside) > 0 && e.requests.live(entry{0, s.inside[0].request, s.inside[0].generation}) == nil {
		s.inside.pop()
	}
	at := int64(never)
	if s.active > 0 && s.rate > 0 {
		left := math.Ceil((s.inside[0].attained - s.attained) / s.rate)
		if left < 1e18 {
			at = e.now + max(int64(left), 0)
		}
	}
	e.agenda.set(s.id, at)
}

func (e *engine) speedChanged(s *server) {
	s.setSpeed(e.now)
	e.tellSpeed(s)
	if e.agenda != nil {
		e.countChanged(s)
	}
}

// tellSpeed has those who know everything know that a server is so fast, or away.
func (e *engine) tellSpeed(s *server) {
	e.truth.Speed[s.id] = 0
	if s.up {
		e.truth.Speed[s.id] = s.speed
	}
}

// expireNext ends the call whose deadline it is, if it has not been answered.
// Those behind it that were are skipped, which leaves few events.
func (e *engine) expireNext() {
	l := &e.deadlineLane
	en := l.pop()
	for l.head < len(l.entries) && e.requests.live(l.entries[l.head]) == nil {
		l.pop()
	}
	e.agenda.set(e.deadlines, l.next())
	if r := e.requests.live(en); r != nil {
		e.expire(en.request, r)
	}
}

// expire is a call running out of time. Its deadline went with it, so the
// server stops working on it too.
func (e *engine) expire(id int32, r *request) {
	s, was := &e.servers[r.server], r.state
	e.settle(id, r, Outcome{Code: DeadlineExceeded})
	switch was {
	case reaching:
		e.truth.InAir[s.id]--
	case waiting:
		s.advance(e.now)
		s.count--
		e.countChanged(s)
	case serving:
		s.advance(e.now)
		e.leave(s)
		e.countChanged(s)
	}
}

func outcomeOf(r *request) Outcome {
	o := Outcome{Code: r.code, Heard: r.heard}
	if r.reports {
		o.Report = &r.report
	}
	return o
}

// settle ends a call for its client.
func (e *engine) settle(id int32, r *request, o Outcome) {
	e.tick()
	e.outcome = o // not on the heap, one a call
	s := &e.servers[r.server]
	e.clients[r.client].balancer.Done(e.now, r.call, &e.outcome)
	if r.measured {
		e.open--
		if o.Code == OK {
			e.result.answered(e.now - r.start)
			if e.clients[r.client].zone == s.zone {
				e.result.Near++
			}
		} else {
			e.result.failed(e.deadline)
		}
	}
	e.requests.release(id)
}

// at is the time on the engine's clock when a run has lasted for d.
func at(d time.Duration) int64 { return 1 + int64(d) }
