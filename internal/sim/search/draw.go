package search

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/evenkeel/evenkeel/internal/sim/scenario"
)

// Bounds of a run, so that a draw takes seconds. They leave out what is large
// and quick at once: a thousand servers with 64 workers and calls of 1 ms would
// be 64 million calls a second.
const (
	fewestCalls   = 15_000 // measured; fewer have no p99 to speak of
	mostCalls     = 200_000
	mostPairs     = 100_000 // of a client and a server it uses
	mostDelivered = 2_000_000
	longestRun    = 12 * time.Hour
	fewestUsers   = 20 // clients of a server, in the mean, where they have subsets
)

// Draw returns the scenario that a seed and a number stand for. It draws over
// 2 to 1,000 servers, 1 to 1,000 clients, 1 to 64 workers, 5 to 105 % load, 0.1
// to 20 ms of network, 1 ms to 5 s of service time, all kinds of cost, reports,
// events and zones.
func Draw(seed uint64, number int) *scenario.Scenario {
	d := dice{rand.New(rand.NewPCG(seed, uint64(number)))}
	for {
		if s := d.scenario(fmt.Sprintf("draw-%d-%d", seed, number)); s != nil {
			s.About = Describe(s)
			return s
		}
	}
}

// dice draws what a scenario is made of. Values are round, for people to read.
type dice struct{ *rand.Rand }

func (d dice) chance(p float64) bool { return d.Float64() < p }

// uniform draws from low to high, to two digits after the point.
func (d dice) uniform(low, high float64) float64 {
	return math.Round((low+(high-low)*d.Float64())*100) / 100
}

// spread draws by order of magnitude: as many from 1 to 10 as from 10 to 100.
func (d dice) spread(low, high float64) float64 {
	x := low * math.Pow(high/low, d.Float64())
	round, _ := strconv.ParseFloat(strconv.FormatFloat(x, 'g', 2, 64), 64)
	return min(max(round, low), high)
}

func (d dice) whole(low, high int) int {
	return int(math.Round(d.spread(float64(low), float64(high))))
}

func (d dice) lasting(low, high time.Duration) time.Duration {
	return time.Duration(d.spread(float64(low), float64(high))).Round(10 * time.Microsecond)
}

// scenario draws one; nil if it is more than a run may be.
func (d dice) scenario(name string) *scenario.Scenario {
	s := scenario.Default()
	s.Name = name
	d.cost(&s.Cost)
	d.servers(s)
	d.reports(s)
	d.clients(s)
	d.network(s)
	s.Load = d.uniform(0.4, 0.95)
	if d.chance(0.3) {
		s.Load = d.uniform(0.05, 1.05)
	}
	mean := s.Cost.MeanTime()
	s.Deadline = max(mean*time.Duration(d.whole(30, 300)), 10*s.Network.Delay, 100*time.Millisecond).Round(time.Millisecond)
	s.Warmup = max(10*time.Second, 20*mean).Round(time.Second)
	s.Duration = max(10*time.Second, 50*mean, time.Duration(fewestCalls/s.CallRate()*1e9)).Round(time.Second)
	d.events(s)
	d.arrivals(s)
	if !affordable(s) || s.Validate() != nil {
		return nil
	}
	return s
}

func affordable(s *scenario.Scenario) bool {
	run := s.Warmup + s.Duration
	if run > longestRun || s.CallRate()*run.Seconds() > mostCalls {
		return false
	}
	pairs := 0
	for _, c := range s.Clients {
		uses := c.Subset
		if uses == 0 {
			uses = s.Total()
		} else if s.TotalClients()*uses < fewestUsers*s.Total() {
			return false // some servers would have too much to do, and others nothing
		}
		pairs += c.Count * uses
	}
	delivered := 0.0
	if period := s.Reports.OutOfBand; period > 0 {
		delivered = float64(pairs) * float64(run) / float64(period)
	}
	return pairs <= mostPairs && delivered <= mostDelivered
}

func (d dice) cost(c *scenario.Cost) {
	c.Mean = d.lasting(time.Millisecond, 5*time.Second)
	switch d.IntN(10) {
	case 0:
		c.Kind, c.Shape = "pareto", d.uniform(1.3, 3)
	case 1:
		c.Kind, c.LongShare, c.LongTimes = "bimodal", d.spread(0.01, 0.2), d.spread(3, 100)
	case 2:
		c.Kind = "exponential"
	case 3:
		c.Kind = "constant"
	case 4:
		c.Kind = "recorded"
		for range 6 {
			c.Samples = append(c.Samples, d.lasting(c.Mean/10, 5*c.Mean))
		}
		c.Mean = scenario.Default().Cost.Mean // not used
	default:
		c.Sigma = d.uniform(0.3, 2)
	}
}

// servers draws one to three groups.
func (d dice) servers(s *scenario.Scenario) {
	total := d.whole(2, 1000)
	groups := 1
	if d.chance(0.65) {
		groups = min(2+d.IntN(2), total)
	}
	workers := d.whole(1, 64)
	uptime, queue := scenario.DefaultServer().Uptime, 400
	if d.chance(0.1) {
		uptime = 0
	}
	if d.chance(0.2) {
		queue = d.whole(2*workers, 20*workers+10)
	}
	for i := range groups {
		g := scenario.DefaultServer()
		g.Group = string(rune('a' + i))
		g.Workers, g.Uptime, g.Queue = workers, uptime, max(queue, 4*workers)
		left := total - (groups - 1 - i)
		g.Count = left
		if i < groups-1 {
			g.Count = 1 + d.IntN(left)
		}
		total -= g.Count
		if i > 0 {
			g.Speed = d.spread(0.1, 1)
			if d.chance(0.15) {
				g.Workers = d.whole(1, 64)
			}
		}
		s.Servers = append(s.Servers, g)
	}
}

// reports draws what the servers say. Half of the time it is all there, with
// each answer.
func (d dice) reports(s *scenario.Scenario) {
	r := &s.Reports
	if d.chance(0.2) {
		r.Window = d.lasting(100*time.Millisecond, 10*time.Second)
	}
	if d.chance(0.15) {
		r.Omit = [][]string{{"in_flight"}, {"in_flight", "uptime"}, {"utilization"}, {"rps"}, {"eps", "uptime"}, {"utilization", "rps", "uptime"}}[d.IntN(6)]
	}
	switch d.IntN(14) {
	case 0, 1:
		r.PerCall = false
	case 2, 3:
		r.PerCall, r.OutOfBand = false, d.lasting(100*time.Millisecond, 10*time.Second)
	case 4:
		r.Refresh = d.lasting(200*time.Millisecond, 10*time.Second)
	case 5, 6:
		r.Wrong.By = [2]float64{1.5, 4}
		if d.chance(0.5) {
			r.Wrong.Servers = d.uniform(0.1, 0.5)
		} else {
			r.Wrong.Reports = d.uniform(0.1, 0.5)
		}
	case 7:
		d.silentHalves(s)
	}
}

// silentHalves splits the groups: a part of each sends no report.
func (d dice) silentHalves(s *scenario.Scenario) {
	var split []scenario.Server
	share := d.uniform(0.2, 0.8)
	for _, g := range s.Servers {
		silent := int(math.Round(float64(g.Count) * share))
		if quiet := g; silent > 0 {
			r := s.Reports
			r.PerCall = false
			quiet.Group, quiet.Count, quiet.Reports = g.Group+"-silent", silent, &r
			split = append(split, quiet)
		}
		if g.Count -= silent; g.Count > 0 {
			split = append(split, g)
		}
	}
	s.Servers = split
}

func (d dice) clients(s *scenario.Scenario) {
	c := scenario.DefaultClient()
	c.Count = d.whole(1, 1000)
	if total := s.Total(); total >= 10 && (c.Count*total > mostPairs || d.chance(0.1)) {
		c.Subset = min(max(5, d.whole(5, 100)), total, max(mostPairs/c.Count, 5))
	}
	s.Clients = []scenario.Client{c}
	if c.Count > 1 && d.chance(0.15) { // some call much more than the others
		few := c
		few.Count = max(1, c.Count/5)
		c.Count -= few.Count
		few.Share, c.Share = d.uniform(1, 5), 1
		s.Clients = []scenario.Client{few, c}
	}
}

func (d dice) network(s *scenario.Scenario) {
	n := &s.Network
	n.Delay = d.lasting(100*time.Microsecond, 20*time.Millisecond)
	if d.chance(0.3) {
		n.Jitter = d.lasting(n.Delay/10, n.Delay)
	}
	if len(s.Servers) > 1 && d.chance(0.2) {
		d.zones(s)
	}
}

// zones puts each group of servers in a zone, and the clients in some of them.
func (d dice) zones(s *scenario.Scenario) {
	names := []string{"x", "y", "z"}[:2+d.IntN(2)]
	for i := range s.Servers {
		s.Servers[i].Zone = names[i%len(names)]
	}
	for i := range s.Clients {
		s.Clients[i].Zone = names[i%len(names)]
	}
	used := func(zone string) bool {
		return slices.ContainsFunc(s.Servers, func(g scenario.Server) bool { return g.Zone == zone }) ||
			slices.ContainsFunc(s.Clients, func(c scenario.Client) bool { return c.Zone == zone })
	}
	for i, from := range names {
		for _, to := range names[i+1:] {
			far := d.lasting(s.Network.Delay, 20*time.Millisecond)
			if used(from) && used(to) {
				s.Network.Zones = append(s.Network.Zones, scenario.ZonePair{From: from, To: to, Delay: far})
			}
		}
	}
}

// arrivals draws a surge, at times, whose height is what the servers can do at
// most.
func (d dice) arrivals(s *scenario.Scenario) {
	if len(s.Events) > 0 || s.Load > 0.7 || !d.chance(0.15) {
		return
	}
	factor := d.uniform(1, 0.98/s.Load)
	begin := s.Warmup + s.Duration/4
	rise, hold := d.lasting(100*time.Millisecond, s.Duration/4).Round(time.Millisecond), s.Duration/4
	s.Arrivals = []scenario.Point{
		{At: 0, Factor: 1}, {At: begin, Factor: 1}, {At: begin + rise, Factor: factor},
		{At: begin + rise + hold, Factor: factor}, {At: begin + 2*rise + hold, Factor: 1},
	}
}
