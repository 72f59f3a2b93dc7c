// Package scenario describes what is simulated: servers, clients, the network
// between them, what is reported and what goes wrong. A scenario is a YAML
// file; internal/sim/README.md documents every field. Twenty and more are built in.
//
//	s, err := scenario.Parse("mine.yaml", data)
//	builtin, err := scenario.Builtin("two-speed")
//
// Errors name the field's path and its value, such as
// "servers[1].speed is -1: must be above 0".
package scenario

import "time"

// Scenario is what is simulated. Parse fills in the defaults.
type Scenario struct {
	// Name and About are what it is listed as.
	Name  string `yaml:"name"`
	About string `yaml:"about"`
	// Warmup comes before the measured Duration.
	Warmup   time.Duration `yaml:"warmup"`
	Duration time.Duration `yaml:"duration"`
	// Deadline is when a call that was not answered fails.
	Deadline time.Duration `yaml:"deadline"`
	// Load is the arrival rate as a share of what the servers that are there
	// at the start can do; Rate, in calls per second, is instead of it.
	Load float64 `yaml:"load"`
	Rate float64 `yaml:"rate"`
	// Cost is how much work a call is.
	Cost    Cost     `yaml:"cost"`
	Servers []Server `yaml:"servers"`
	Clients []Client `yaml:"clients"`
	Network Network  `yaml:"network"`
	// Arrivals shapes the arrival rate over time: it is multiplied by a factor
	// that runs in straight lines from point to point.
	Arrivals []Point `yaml:"arrivals"`
	// Reports are what servers say of themselves, unless a group has its own.
	Reports Reports `yaml:"reports"`
	Events  []Event `yaml:"events"`
	// Tags group scenarios: "design" are the rows of the design table.
	Tags []string `yaml:"tags"`
}

// Server is a group of equal servers.
type Server struct {
	Group   string `yaml:"group"`
	Count   int    `yaml:"count"`
	Workers int    `yaml:"workers"`
	// Slots is how many requests are worked on at once; the others wait in
	// turn. 0: all are, sharing the workers.
	Slots   int           `yaml:"slots"`
	Speed   float64       `yaml:"speed"`
	Queue   int           `yaml:"queue"` // requests in flight, above which it refuses
	Zone    string        `yaml:"zone"`
	Uptime  time.Duration `yaml:"uptime"` // at the start
	Reports *Reports      `yaml:"reports"`
}

// Client is a group of equal clients.
type Client struct {
	Count int    `yaml:"count"`
	Zone  string `yaml:"zone"`
	// Share is the group's part of all calls, relative to the other groups'.
	// 0: in proportion to Count.
	Share float64 `yaml:"share"`
	// Arrivals is the group's own shape; none: the scenario's.
	Arrivals []Point `yaml:"arrivals"`
	// Subset is how many servers each client uses, drawn at random; 0: all.
	Subset int `yaml:"subset"`
}

// Network is what is between clients and servers.
type Network struct {
	Delay time.Duration `yaml:"delay"` // one way
	// Jitter is the mean of an exponential time that is added, one way.
	Jitter time.Duration `yaml:"jitter"`
	// Discovery is how long clients take to hear of a change of the fleet.
	Discovery time.Duration `yaml:"discovery"`
	Zones     []ZonePair    `yaml:"zones"`
	// Announced: the resolver tells each client how far its servers are.
	Announced bool `yaml:"announced"`
}

// ZonePair is the one-way delay between two zones, either way.
type ZonePair struct {
	From  string        `yaml:"from"`
	To    string        `yaml:"to"`
	Delay time.Duration `yaml:"delay"`
}

// Point is a factor at a time, counted from the start of the run.
type Point struct {
	At     time.Duration `yaml:"at"`
	Factor float64       `yaml:"factor"`
}

// Reports are what a server says of itself.
type Reports struct {
	// PerCall: a report comes with each answer.
	PerCall bool `yaml:"per_call"`
	// OutOfBand is how often a report is sent to every client; 0: never.
	OutOfBand time.Duration `yaml:"out_of_band"`
	// Window is the time constant of utilization, rps and eps.
	Window time.Duration `yaml:"window"`
	// Refresh is for how long a report is repeated before it is made anew.
	Refresh time.Duration `yaml:"refresh"`
	// UtilizationOf is what utilization is of: workers, the share of them that
	// is busy, averaged over the window; slots, the share that is taken at this
	// moment, as an inference server's kv_cache_utilization is; or queue, the
	// requests in the server over its workers. The last two stand for a named metric
	// that the policy is told to take for the utilization.
	UtilizationOf string `yaml:"utilization_of"`
	// Omit are fields that are not reported: utilization, in_flight, rps, eps,
	// uptime.
	Omit  []string `yaml:"omit"`
	Wrong Wrong    `yaml:"wrong"`
}

// Wrong says which reports are wrong, and by what.
type Wrong struct {
	Servers float64    `yaml:"servers"` // share of servers whose reports are all wrong, by one factor each
	Reports float64    `yaml:"reports"` // share of reports that are wrong
	By      [2]float64 `yaml:"by"`      // the factor is log-uniform in this range, up or down
	// Fields are what is wrong: utilization, in_flight, rps. None: the first two.
	Fields []string `yaml:"fields"`
}

// Silent tells whether no report is ever made.
func (r *Reports) Silent() bool { return !r.PerCall && r.OutOfBand == 0 }

// Event is something that happens to servers.
type Event struct {
	// At is counted from the start of the run, warmup included.
	At  time.Duration `yaml:"at"`
	For time.Duration `yaml:"for"` // 0: until the end
	// Servers are group names and numbers: "slow", "0-3,7", "all".
	Servers string `yaml:"servers"`
	Do      string `yaml:"do"`
	// Speed is the factor of slow_down and antagonist, and where join and
	// restart begin when they are cold.
	Speed float64 `yaml:"speed"`
	// Share is the part of calls that fail_fast and fail_slow fail.
	Share float64 `yaml:"share"`
	// Every is how often a pause comes, and the mean time between an
	// antagonist's bursts; Burst is how long each lasts, for an antagonist in
	// the mean.
	Every time.Duration `yaml:"every"`
	Burst time.Duration `yaml:"burst"`
	// ColdFor is how long a server that joins or restarts takes to its whole speed.
	ColdFor time.Duration `yaml:"cold_for"`
}

// What a reported utilization is of.
const (
	OfWorkers = "workers"
	OfSlots   = "slots"
	OfQueue   = "queue"
)

// What an event does.
const (
	SlowDown   = "slow_down"  // speed falls to a part
	Freeze     = "freeze"     // nothing moves; connections stay
	FailFast   = "fail_fast"  // calls fail at once
	FailSlow   = "fail_slow"  // calls fail after their work
	Join       = "join"       // servers that were not there come
	Drain      = "drain"      // they say so, and are gone when For is over
	Restart    = "restart"    // killed, and back after For, as new
	Pause      = "pause"      // freezes for Burst, again and again
	Antagonist = "antagonist" // slow for a random time, at random times
)

// AtOnce is how many requests one of these servers can work on at once at full speed.
func (g *Server) AtOnce() int {
	n := min(g.Workers, g.Queue)
	if g.Slots > 0 {
		n = min(n, g.Slots)
	}
	return n
}

// Total is the number of servers.
func (s *Scenario) Total() int {
	n := 0
	for _, g := range s.Servers {
		n += g.Count
	}
	return n
}

// TotalClients is the number of clients.
func (s *Scenario) TotalClients() int {
	n := 0
	for _, g := range s.Clients {
		n += g.Count
	}
	return n
}

// CallRate is how many calls arrive per second while the factor is 1.
func (s *Scenario) CallRate() float64 {
	if s.Rate > 0 {
		return s.Rate
	}
	return s.Load * s.capacity() / s.Cost.MeanTime().Seconds()
}

// Offered is how many calls arrive per second, as a share of what the servers that
// are there at the start can do.
func (s *Scenario) Offered() float64 {
	return s.CallRate() * s.Cost.MeanTime().Seconds() / s.capacity()
}

// capacity is how many workers of speed 1 the servers that are there at the start
// are worth.
func (s *Scenario) capacity() float64 {
	late := s.late()
	capacity := 0.0
	i := 0
	for _, g := range s.Servers {
		for range g.Count {
			if !late[i] {
				capacity += float64(g.AtOnce()) * g.Speed
			}
			i++
		}
	}
	return capacity
}

// late are the servers that join later.
func (s *Scenario) late() []bool {
	late := make([]bool, s.Total())
	for _, e := range s.Events {
		if e.Do == Join {
			ids, _ := s.Select(e.Servers)
			for _, i := range ids {
				late[i] = true
			}
		}
	}
	return late
}
