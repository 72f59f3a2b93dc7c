package choice

// claim is what a server says that its requests took of late. It knows of all clients' calls
// what this client would have to make calls of its own for, and of a server that is idle it
// is all that there is: it has no utilization and no rate to make an account from.
//
// It is like an observation of this client's own: latency over the queue that it was seen
// under. It is told for a queue that is about what it is now, since from one queue to another
// no line leads that is right for servers of one worker and of many. What it is short of is the
// way to the server, and it is another mean than ours. So only how servers differ is heeded:
// the scale is learned from those of which more is known.
type claim struct {
	logPerRequest float64
	at            int64
}

// claimRequests is for how many calls of this client's own it counts.
const claimRequests = 5

// requests is for how many it counts now.
func (c *claim) requests(o *outlook) float64 { return claimRequests * o.fade(c.at) }

// claimed takes in what a report says of that. The caller holds e.mu.
func (e *Endpoint) claimed(o *outlook, r *Report) {
	if r.Latency <= 0 || !valid(r.InFlight) {
		return
	}
	logPerRequest := log(float64(r.Latency)) - log(min(r.InFlight, mostSaid)+1)
	if known := o.fade(e.known.perRequestAt); known > 0 && (e.capacity.perUnit > 0 || e.observed.logLatency.samples > 0) {
		e.group.claimScale.add(e.pace.log-logPerRequest, 1, 1, enoughPooled)
	}
	if e.group.claimScale.count.Load() > 0 {
		e.claim = claim{logPerRequest, o.now}
	}
}

// combineIfUnknown sets the per-request time if there is no account of the server, or none that
// is known still.
func (e *Endpoint) combineIfUnknown(o *outlook) {
	if e.claim.at == o.now && (e.capacity.perUnit == 0 || o.fade(e.known.perRequestAt) == 0) {
		e.combine(o)
	}
}
