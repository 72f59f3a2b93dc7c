package sim

import (
	"math/rand/v2"
	"time"
)

// Policy is a way of balancing. It makes a balancer for each client.
type Policy interface {
	New(Env) Balancer
}

// Env is what a balancer is given to work with.
type Env struct {
	Client  int
	Servers int // their numbers are 0 to Servers-1
	// Distance is how long the way to each server and back is, if the resolver says; else nil.
	Distance []time.Duration
	Random   *rand.Rand // for this balancer alone
	Truth    *Truth     // what no real client knows: for the oracles
}

// Balancer decides where one client's calls go. All times are nanoseconds
// since the run began, plus one: 0 means never.
type Balancer interface {
	// Update says which servers there are: those that the resolver lists and,
	// among them, those that are connected. Both are in ascending order and
	// belong to the engine. Pick is not called while none is ready.
	Update(now int64, listed, ready []int32)
	// Pick chooses a server for a call, and names the call for Done.
	Pick(now int64) (server, call int32)
	// Done says how a call ended. The outcome belongs to the engine.
	Done(now int64, call int32, o *Outcome)
	// Reported brings a report that came out of band.
	Reported(now int64, server int32, r *Report)
}

// Prober is a balancer that asks servers about their load.
type Prober interface {
	// Probes returns the servers to probe now; it is asked after each pick.
	Probes(now int64) []int32
	// Probed brings the answer to a probe.
	Probed(now int64, server int32, p Probe)
}

// Probe is a server's answer to a probe.
type Probe struct {
	InFlight int32
	// Latency is the median latency of calls that arrived when about as many
	// were in flight; 0 while there were none.
	Latency time.Duration
	// Report is what the server reports, be that stale or wrong, but for InFlight and Latency,
	// which are right. A server that sends no reports says nothing else here either.
	Report Report
}

// Code is how a call ended.
type Code uint8

// The codes.
const (
	OK                Code = iota
	Unavailable            // the server failed it, or went away
	ResourceExhausted      // the server's queue was full
	DeadlineExceeded       // it had not been answered in time
)

// Outcome is how a call ended.
type Outcome struct {
	Code   Code
	Heard  bool    // the server answered
	Report *Report // nil if none came with the answer
}

// Report is what a server says of itself. What it does not say is negative;
// an uptime of 0 is not said.
type Report struct {
	Utilization float64 // busy share of its workers
	InFlight    float64
	RPS         float64 // answers per second
	EPS         float64 // failed answers per second
	Uptime      time.Duration
	OfCPU       bool // Utilization is the CPU's; the servers here all have one of their own
	Draining    bool
	// Latency is what requests took of late that came when about as many were in service. It
	// comes with probes and out of band only.
	Latency time.Duration
}

// Truth is the state of all servers as it is at this moment.
type Truth struct {
	InFlight []int32   // requests in service
	InAir    []int32   // requests sent and not there yet
	Speed    []float64 // 0 while frozen or away
	Workers  []float64 // that can be busy at once
	Failing  []float64 // the share of calls that fail
	// Failure is what a call that fails counts for: the deadline, in mean service times.
	Failure float64
}

// Slab keeps values that are named by small numbers, for balancers to keep
// their calls in without allocating.
type Slab[T any] struct {
	values []T
	free   []int32
}

// Put keeps a value and returns its number.
func (s *Slab[T]) Put(v T) int32 {
	if n := len(s.free); n > 0 {
		i := s.free[n-1]
		s.free = s.free[:n-1]
		s.values[i] = v
		return i
	}
	s.values = append(s.values, v)
	return int32(len(s.values) - 1)
}

// Take returns a value and forgets it.
func (s *Slab[T]) Take(i int32) T {
	s.free = append(s.free, i)
	return s.values[i]
}
