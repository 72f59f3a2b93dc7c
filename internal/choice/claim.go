package choice

// claim is what a server says that its requests took of late. It knows of all clients' calls
// what this client would have to make calls of its own for, and of a server that is idle it
// is all that there is: it has no utilization and no rate to make an account from.
//
// It is like an observation of this client's own: latency over the queue that it was seen
// under. It is told for a queue that is about what it is now, since from one queue to another
// no line leads that is right for servers of one worker and of many. What it is short of is the
// way to the server, and it is another mean than ours. So only how servers differ is heeded:
// the scale is learned from those of which more is known, by their accounts or by calls of this
// client, and by what these say alone: learned from what was made of claims before, it would
// confirm itself.
type claim struct {
	logPerRequest float64
	at            int64
}

// claimRequests is for how many calls of this client's own it counts.
const claimRequests = 5

// requests is for how many it counts now.
func (c *claim) requests(o *outlook) float64 { return claimRequests * o.fade(c.at) }

// hearClaim takes in what a report claims. The caller holds e.mu.
func (e *Endpoint) hearClaim(o *outlook, r *Report) {
	if r.Latency <= 0 || !valid(r.InFlight) {
		return
	}
	logPerRequest := log(float64(r.Latency)) - log(min(r.InFlight, mostSaid)+1)
	if account, ok := e.capacity.logPerRequest(&e.group.curve, o); ok {
		e.group.claimScale.add(account-logPerRequest, 1, 1, enoughPooled)
	} else if o.fade(e.observed.at) > 0 {
		e.group.claimScale.add(e.observed.logPerRequest()-logPerRequest, 1, 1, enoughPooled)
	}
	if e.group.claimScale.count.Load() > 0 {
		e.claim = claim{logPerRequest, o.now}
	}
}

// combineByClaim sets the per-request time by a claim that was just heard, if there is no
// account of the server that holds.
func (e *Endpoint) combineByClaim(o *outlook) {
	if e.claim.at == o.now && !e.capacity.holds(o) {
		e.combine(o)
	}
}
