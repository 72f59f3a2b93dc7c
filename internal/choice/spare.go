package choice

// Where servers have workers to spare, a call waits for no other, however many there
// are: it takes what the server takes for one. The line from the queue to the latency
// does not tell that: by it, a fast server with a few calls is no better than a slow
// one with none. So to every queue as many calls are added as are served at once
// where the fleet is idle, fewer the busier it is, and none where it is full:
// then only the queue tells which server has room, and the line is right.
//
// They count by how slow a server is beyond doubt: of servers that are alike, it is the
// queues that are to tell, not what chance makes of their speeds.
const (
	// spareSteepness says how fast that falls: so many times the eighth power of the
	// part of the fleet's capacity that is free. At half of the load it is half of
	// what is served at once, at 60 % a twelfth.
	spareSteepness = 128
	// enoughVacancies is over how many looks at the fleet the two are averaged.
	enoughVacancies = 50
	// muchLonger is for how many times as long as this client's calls take, requests may
	// stay at a server, by Little's law. A server that counts more requests than that, such
	// as one that forgets to count down, is wrong, and must not outweigh the others.
	muchLonger = 8
)

// spare is what is learned of that.
type spare struct {
	free   mean // part of the fleet's capacity
	atOnce mean // calls at a server over its utilization
}

// vacancy sums up what servers have left of their capacity; what is old counts less.
type vacancy struct {
	latency               float64 // of this client's calls, seconds
	requests, capacity    float64 // a second
	inFlight, utilization float64
}

// count counts a server that reports all that is needed. Not its utilization is taken
// but what its requests make of it, in the time that they are found to take: that
// is what its calls have checked.
func (v *vacancy) count(f *facts, known, logPrior, drain float64) {
	if f.inFlight < 0 || f.utilization < 0 || f.rps <= 0 || f.perRequest <= 0 {
		return
	}
	// In perRequest a part of the difference counts only; here, all of it.
	difference := (log(float64(f.perRequest)) - logPrior) / counted
	perUnit := exp(logPrior+difference-drain) / 1e9 // seconds
	v.requests += known * float64(f.rps)
	v.capacity += known / perUnit
	v.inFlight += known * min(float64(f.inFlightMean), muchLonger*(float64(f.rps)*v.latency+1))
	v.utilization += known * float64(f.rps) * perUnit
}

// learn returns how many calls are to be added to every queue.
func (s *spare) learn(v *vacancy) float64 {
	if v.utilization == 0 {
		return 0
	}
	s.free.add(max(1-v.requests/v.capacity, 0), 1, enoughVacancies)
	s.atOnce.add(v.inFlight/v.utilization, 1, enoughVacancies)
	free, atOnce := s.free.value, s.atOnce.value
	free2 := free * free
	free4 := free2 * free2
	// Of those in flight some wait. By the queue of a single worker (M/M/1) one would be
	// taken for served at once, whatever its load; that much is taken off.
	served := free * atOnce
	return max(min(spareSteepness*free4*free4*atOnce, served-1), 0)
}
