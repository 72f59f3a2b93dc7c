package choice

// pace is how long a server takes for a request, as logarithms of ns.
//
// How much of the difference from what is typical counts depends on what the fleet has
// left. The line from the queue to the latency overstates what a slow server's queue costs:
// of several workers some are often idle, and a call that finds one there waits for no other,
// however slow they are. With room, whoever is fast may have more in flight. The less there is,
// the more it matters that no server's workers are idle while calls wait at a faster one: each
// call there would be served a little sooner, and all of them later. A fleet that is full does
// best with queues that are about as long everywhere.
//
// That is so of servers that are slower than others and remain so. Who has just become slow has
// calls enough to do, and is left until it is known what is usual there now.
type pace struct {
	log   float64 // now
	usual float64 // over some time
	at    int64   // of both
}

const (
	// mostCounted is the part that counts while there is room, or it is not known how
	// much, and leastCounted where there is none. countedByRoom is how much more counts with each
	// part of the capacity that is free.
	mostCounted   = 0.75
	leastCounted  = 0.2
	countedByRoom = 2
	// usualTime, in ns, is over how long what is usual is averaged.
	usualTime = 5e9
)

// learn takes in the logarithm of what the server takes now.
func (p *pace) learn(now int64, log float64) {
	if p.at == 0 {
		p.usual = log
	}
	p.log = log
	p.usual += (log - p.usual) * min(max(float64(now-p.at), 0)/usualTime, 1)
	p.at = now
}

// difference is what counts of the difference from what is typical, of which the
// usual part does in that part.
func (p *pace) difference(typical, counted float64) float64 {
	return counted*(p.usual-typical) + mostCounted*(p.log-p.usual)
}

// counted is the part of a usual difference that counts where that much of the fleet's
// capacity is free.
func counted(free mean) float64 {
	if free.samples == 0 {
		return mostCounted
	}
	return min(leastCounted+countedByRoom*free.value, mostCounted)
}
