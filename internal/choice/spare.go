package choice

// Where servers have workers to spare, a call waits for no other, however many there
// are: it takes what the server takes for one. The line from the queue to the latency
// does not tell that: by it, a fast server with a few calls is no better than a slow
// one with none. So to every queue as many calls are added as are served at once
// where the fleet is idle, fewer the busier it is, and none where it is full:
// then only the queue tells which server has room, and the line is right.
const (
	// spareSteepness says how fast that falls: the part of the fleet's capacity that is
	// free, to the power of three, so many times. It is all
	// of them up to a third of the load, and a thirtieth at 80 %.
	spareSteepness = 4
	// fewSilent is the part of the endpoints that may report nothing. Of more it is not
	// known how busy they are, and they would be compared with others by another line.
	fewSilent = 0.1
)

// vacancy sums up what servers have of their capacity left; what is old counts less.
type vacancy struct {
	used, capacity float64 // requests per ns
	utilization    float64 // the sum
	inFlight       float64
	silent         float64 // endpoints that have answered and reported nothing
}

func (v *vacancy) count(f *facts, known float64, answered bool) {
	switch {
	case f.utilization < 0 || f.inFlight < 0:
		if answered {
			v.silent++
		}
	case f.perRequest > 0: // else only its first answer has come, which says nothing of it
		capacity := known / float64(f.perRequest)
		v.used += capacity * min(float64(f.utilization), 1)
		v.capacity += capacity
		v.utilization += known * float64(f.utilization)
		v.inFlight += known * float64(f.inFlightMean)
	}
}

// spare is how many calls are added to every queue of n endpoints.
func (v *vacancy) spare(n int) float64 {
	if v.capacity == 0 || v.utilization == 0 || v.silent > fewSilent*float64(n) {
		return 0
	}
	free := 1 - v.used/v.capacity
	// What is in flight at a server over its utilization is how many it serves at
	// once, if none waits. Of those that wait there are about as many more as there
	// are in a queue of one worker, at most.
	atOnce := v.inFlight / v.utilization
	return max(min(spareSteepness*free*free*free*atOnce, free*atOnce-1), 0)
}
