package choice

// Explanation is why a pick chose as it did, taken apart into what was known.
// Times are in nanoseconds, rates and weights from 0 to 1, and what is not known
// is negative.
type Explanation struct {
	Ready          int     // endpoints to choose from
	Typical        float64 // the fleet's per-request time
	Spare          float64 // calls that no queue is taken to cost less than
	Counted        float64 // the part of a usual difference in speed that counts, as logarithms
	FiltersIgnored bool    // they would have left too few endpoints
	Looks          []Look  // in the order in which they were looked at
	Winner         int     // an index into Looks
}

// Look is one endpoint that a pick looked at.
type Look struct {
	Index      int  // of the endpoint, in the fleet
	Fresh      bool // it was among those that answered last, else it was drawn at random
	Best       bool // of the fresh ones it was the cheapest, or it was drawn
	PassedOver Reason

	Cost       float64 // what it was compared on
	Distance   float64 // how long the way there and back is
	ByDistance float64 // what that adds to the cost
	Expected   float64 // the same, but for neglect, its weight and its distance

	PerRequest      float64
	Certain         float64 // PerRequest, but what is typical as far as the difference may be chance
	PerRequestFrom  Source
	PerRequestKnown float64 // how much of it is known; the rest is what is typical
	PerRequestAge   int64

	Queue     float64
	Unseen    float64 // calls of others that may have come since, a guess
	QueueFrom Source
	Own       int     // this client's calls in flight
	Others    float64 // the calls of others that are presumed
	InFlight  float64 // as reported
	Usual     float64 // the usual in-flight count
	OwnThen   float64 // of those reported, this client's
	Reported  float64 // how much of the report is known; the rest has faded
	ReportAge int64
	Probed    bool // the report was the answer to a probe

	Utilization       float64 // as reported
	Silence           int64
	UnusualSilence    float64 // by how much that is longer than to be expected
	ErrorRate         float64 // that this client saw, as far as it has not faded
	ReportedErrorRate float64 // the same, as the server says
	ErrorPenalty      float64 // the factor that they make
	Weight            float64
	Weighed           bool    // the cost was divided by the weight
	Neglect           float64 // what the cost was divided by, because no call was made to it for long
}

// Source is what an estimate is made from.
type Source uint8

// The sources.
const (
	Presumed         Source = iota // nothing is known: what is usual elsewhere
	FromCalls                      // this client's own calls
	FromCapacity                   // reported utilization and requests a second
	FromLatency                    // reported latency
	FromInFlight                   // the reported in-flight count
	FromUtilization                // the reported utilization
	OwnCallsInFlight               // this client's in-flight count, and what others usually have
)

// Explain chooses as Choose does, and says why. But where answers come so fast that Choose
// goes by what costs were then, it looks at what they are now. It allocates, and it takes the locks
// of the endpoints that it looks at: it is for a pick now and then.
func (f *Fleet) Explain(now int64, random Random) (Choice, *Explanation) {
	x := &Explanation{Ready: len(f.endpoints)}
	picked := f.pick(now, random, x)
	for i := range x.Looks {
		if l := &x.Looks[i]; l.Index == picked.index && l.Best {
			x.Winner = i
		}
	}
	return picked.choice(), x
}

// fleet notes what is known of the fleet.
func (x *Explanation) fleet(s *shared) {
	x.Typical, x.Spare, x.Counted, x.FiltersIgnored = s.prior, s.spare, s.counted, s.panicking
}

// look notes an endpoint that a pick looks at.
func (x *Explanation) look(o *outlook, e *Endpoint, f *facts, c *candidate, weight float64, weighed bool) {
	perRequest := o.perRequest(f)
	own := e.inFlight()
	expected, queue := e.estimate(o, f, float64(own), c.unseen)
	l := Look{
		Index: c.index, PassedOver: c.passedOver, Best: true,
		Cost: c.cost, Expected: expected * penalty(o.errorRate(f)),
		PerRequest: perRequest, Certain: o.certain(f), PerRequestKnown: o.fade(f.perRequestAt), PerRequestAge: o.age(f.perRequestAt),
		Queue: queue, Unseen: c.unseen, QueueFrom: OwnCallsInFlight,
		Own: int(own), Others: o.others, InFlight: -1, Usual: -1,
		Reported: o.fade(f.reportedAt), ReportAge: o.age(f.reportedAt),
		Utilization: -1, Silence: e.silence(o.now),
		ErrorRate:         float64(f.errorRate) * o.fade(f.errorAt),
		ReportedErrorRate: float64(f.reportedErrorRate) * o.fade(f.reportedAt),
		ErrorPenalty:      penalty(o.errorRate(f)),
		Weight:            weight, Weighed: weighed, Neglect: 1,
	}
	if own > 0 {
		answering, _ := o.expect(f, float64(own), c.unseen)
		l.UnusualSilence = e.unusualSilence(o.now, answering/float64(own))
	}
	if n := e.neglect(o, own); n > negligible {
		l.Neglect = n
	}
	l.Distance = float64(e.distance.Load())
	l.ByDistance = o.farther(c)
	if l.PerRequestKnown > 0 {
		e.mu.Lock()
		l.PerRequestFrom = e.perRequestFrom
		e.mu.Unlock()
	}
	if l.Reported > 0 {
		l.OwnThen, l.Usual = float64(f.ownThen), float64(f.inFlightMean)
		e.mu.Lock()
		l.Probed = e.probedAt == f.reportedAt
		e.mu.Unlock()
		if f.utilization >= 0 {
			l.Utilization, l.QueueFrom = float64(f.utilization), FromUtilization
		}
		if f.inFlight >= 0 {
			l.InFlight, l.QueueFrom = float64(f.inFlight), FromInFlight
		}
	}
	x.Looks = append(x.Looks, l)
}

// fresh notes that all that were looked at until now are fresh, and which of
// them goes on to be compared.
func (x *Explanation) fresh(best candidate) {
	for i := range x.Looks {
		l := &x.Looks[i]
		l.Fresh = true
		l.Best = best.index >= 0 && l.Index == best.index && l.Cost == best.cost
	}
}

// age is how long ago something was; negative if never.
func (o *outlook) age(at int64) int64 {
	if at == 0 {
		return -1
	}
	return max(o.now-at, 0)
}
