package choice

import "math"

// Where servers have workers to spare, a call waits for no other, however many there
// are: it takes what the server takes for one. The line from the queue to the latency
// does not tell that: by it, a fast server with a few calls is no better than a slow
// one with none. So no queue is taken to cost less than one of as many calls as are served
// at once, or rather of a part of them: the busier the fleet is the smaller, and none where
// it is full. Then only the queue tells which server has room, and the line is right.
//
// How slow a server is counts there only as far as it is beyond chance: of servers that are
// alike, it is the queues that are to tell.
const (
	// spareSteepness says where that part falls to nothing. Of four workers a quarter counts at
	// half of the load and a twenty-fifth at 60 %, of thirty half of them still at 75 %.
	spareSteepness = 32
	// mostSpare is the part at most. What is known of a queue is of the past, and chance fills it:
	// where all of the workers were to be busy, calls would wait.
	mostSpare = 0.8
	// enoughVacancies is over how many looks at the fleet the two are averaged.
	enoughVacancies = 50
	// muchLonger is for how many times as long as this client's calls take, requests may
	// stay at a server, by Little's law. A server that counts more requests than that, such
	// as one that forgets to count down, is wrong, and must not outweigh the others.
	muchLonger = 8
	// mostUnlike bounds how much more or less than a typical server one can do, as a logarithm.
	mostUnlike = 3
)

// spare is what is learned of the fleet for that.
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

// learn returns how many calls no queue is taken to cost less than. By the latency of this
// client's calls, at most so many are served at once: 0 if it is not known.
func (s *spare) learn(v *vacancy, byLatency float64) float64 {
	if v.capacity == 0 {
		return 0
	}
	s.free.add(1-v.busy/v.capacity, 1, enoughVacancies)
	if v.utilization > 0 {
		s.atOnce.add(v.inFlight/v.utilization, 1, enoughVacancies)
	}
	free, atOnce := s.free.value, s.atOnce.value
	if byLatency > 0 {
		atOnce = min(atOnce, byLatency) // of those in flight some wait
	}
	// What is free over the deviation of what is busy, by chance, squared: where many workers
	// share the work, less of them need be free.
	margin := max(free, 0) * free * atOnce / max(1-free, 1e-3)
	return atOnce * min(margin*margin*margin/spareSteepness, mostSpare)
}

// atLeastAbout is the larger of two costs where one is much larger, and somewhat more where
// they are about equal: the norm of order four.
func atLeastAbout(a, b float64) float64 {
	a, b = a*a, b*b
	return math.Sqrt(math.Sqrt(a*a + b*b))
}
