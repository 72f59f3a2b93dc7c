package choice

// news is how much a reported in-flight count tells of the queue that a call will
// find. A report is of the past twice over: it was under way, and so is the call that
// is picked by it. Where a network is slow beside its servers, or the servers are few
// and their clients many, a queue changes altogether in that time; were it believed,
// all clients would send to the server that was the emptiest, and fill it.
type news struct {
	// memory is after how many times the per-request time a count is old.
	memory float64
	// lag is how old a report is when it comes, ns.
	lag float64
	// unseen is how many calls of other clients come to a server in that time.
	unseen float64
	// onTheWay is the part of a call's time, 0 to 1, that it is not at its server.
	onTheWay float64
}

const (
	// presumedMemory is the memory while it is not known how long requests stay, and what it is
	// at most, but that it may be ownMemory times that longer as far as the calls are this
	// client's: others follow the same news.
	presumedMemory = 6
	ownMemory      = 3
	// stays is for how many times as long as a request stays at its server, the
	// queue there remains like what it was.
	stays = 1.2
	// fewUnseen are as good as none.
	fewUnseen = 0.1
)

// worth is what a count of that age, in ns, is worth beside what is usual. The
// decay is that of an exponential, 1/(1+x+x^2/2), without its price: x, which is
// age/memory, takes no division of its own.
func (n *news) worth(age, perRequest float64) float64 {
	age = max(age, 0) + n.lag
	memory := n.memory*perRequest + 1
	if age < memory*(1./128) {
		return 1
	}
	m2 := memory * memory
	return m2 / (m2 + age*(memory+age*0.5))
}

// guess is how many calls may have come since a report was made: what is not known
// must not look the same to all.
func (n *news) guess(random Random) float64 {
	if n.unseen < fewUnseen {
		return 0
	}
	return n.unseen * unit(random)
}

// refresh finds it out by Little's law: the requests at a server over those a second
// are the time that a request stays. What this client's calls take longer than that,
// they are under way. The latency is a mean of logarithms, which for servers whose
// calls differ much is less than the mean: a small part of the time is then taken
// for none.
func (n *news) refresh(f *flow, typical float64, latency *pooled, ownShare float64) {
	if f.stay.weight == 0 {
		return
	}
	stay := exp(f.stay.mean())
	n.memory = min(stays*stay/typical, presumedMemory*(1+ownMemory*ownShare))
	if latency.count.Load() < fewPooled {
		return
	}
	all := exp(latency.value())
	way := max(all-stay, 0)
	n.lag = way / 2
	n.onTheWay = way / all
	// As far as news does not count, clients do not follow it either.
	n.unseen = n.worth(0, typical) * exp(f.rps.mean()) * (1 - ownShare) * way / 2e9
}

// flow is what servers report of the requests that come and stay: the means of the
// logarithms of how long they stay, in ns, and of how many come a second.
type flow struct{ stay, rps robust }

// idle is a part of a request, so that a server that has none has a logarithm.
const idle = 0.1

// flows are the means of the last flow; 0 if there was none.
type flows struct{ logStay, logRPS float64 }

// flow begins a new account of the servers.
func (s *flows) flow() flow {
	return flow{stay: robust{around: s.logStay}, rps: robust{around: s.logRPS}}
}

func (s *flows) learn(f *flow) {
	if f.stay.weight > 0 {
		s.logStay, s.logRPS = f.stay.mean(), f.rps.mean()
	}
}

// count adds a server, if it reports both; what is old counts less.
func (w *flow) count(f *facts, known float64) {
	if f.inFlight >= 0 && f.rps > 0 {
		rps := log(float64(f.rps))
		w.stay.add(log((float64(f.inFlightMean)+idle)*1e9)-rps, known)
		w.rps.add(rps, known)
	}
}

// robust is a mean of logarithms in which none counts as farther from the last such
// mean than a factor of e: of a few servers that report what is wrong it learns little.
type robust struct{ around, sum, weight float64 }

func (r *robust) add(x, weight float64) {
	d := x - r.around
	if r.around != 0 {
		d = min(max(d, -1), 1)
	}
	r.sum += weight * d
	r.weight += weight
}

func (r *robust) mean() float64 { return r.around + r.sum/r.weight }
