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
	// spareSteepness says where that falls to nothing. Of four workers half count at half of the
	// load and a thirteenth at 60 %, of thirty a sixth still at 80 %.
	spareSteepness = 16
	// enoughVacancies is over how many looks at the fleet the two are averaged.
	enoughVacancies = 50
	// muchLonger is for how many times as long as this client's calls take, requests may
	// stay at a server, by Little's law. A server that counts more requests than that, such
	// as one that forgets to count down, is wrong, and must not outweigh the others.
	muchLonger = 8
	// mostUnlike bounds how much more or less than a typical server one can do, as a logarithm.
	mostUnlike = 3
)

// spare is what is learned of that.
type spare struct {
	free   mean // part of the fleet's capacity
	atOnce mean // calls at a server over its utilization
}

// vacancy sums up what servers have left of their capacity; what is old counts less.
type vacancy struct {
	latency               float64 // of this client's calls, seconds
	logTypical            float64 // the logarithm of the typical per-request time
	busy, capacity        float64 // in multiples of what a typical server can do
	inFlight, utilization float64
}

// count counts a server that reports all that is needed. What it says of its utilization is
// taken as it is, but how much it can do in all is what its calls have checked.
func (v *vacancy) count(f *facts, known float64) {
	if f.inFlight < 0 || f.utilization < 0 || f.rps < 0 || f.perRequest <= 0 {
		return
	}
	unlike := min(max(float64(f.logActual)-v.logTypical, -mostUnlike), mostUnlike)
	capacity, utilization := known*exp(-unlike), min(float64(f.utilization), 1)
	v.busy += capacity * utilization
	v.capacity += capacity
	v.inFlight += known * min(float64(f.inFlightMean), muchLonger*(float64(f.rps)*v.latency+1))
	v.utilization += known * utilization
}

// learn returns how many calls are to be added to every queue.
func (s *spare) learn(v *vacancy) float64 {
	if v.capacity == 0 {
		return 0
	}
	s.free.add(1-v.busy/v.capacity, 1, enoughVacancies)
	if v.utilization > 0 {
		s.atOnce.add(v.inFlight/v.utilization, 1, enoughVacancies)
	}
	free, atOnce := s.free.value, s.atOnce.value
	// What is free over the deviation of what is busy, by chance, squared: where many workers
	// share the work, less of them need be free.
	margin := free * free * atOnce / max(1-free, 1e-3)
	calls := atOnce * margin * margin * margin / spareSteepness
	// Of those in flight some wait. By the queue of a single worker (M/M/1) one would be
	// taken for served at once, whatever its load; that much is taken off.
	served := free * atOnce
	return max(min(calls, served-1), 0)
}
