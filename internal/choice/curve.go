package choice

import (
	"math"
	"sync/atomic"
)

// curve is how latency grows with the queue, learned from all endpoints
// together: the mean logarithm of latency over the server's time per request,
// by how many were in the queue. A server with several workers is as fast with
// two requests as with one, and the network's share does not depend on the
// queue at all; what latency a call was to have, and so how far its server is
// from what it reports of itself, can only be told by what is usual at that queue.
type curve struct {
	points [24]pooled // two for each doubling of the queue
	// drain is the mean logarithm of latency over time per request and queue.
	// It turns what servers report into time, and is the same for all of them.
	drain pooled
}

// learn takes in n calls: the mean logarithms of their latency over their server's
// time per request, and of the queue they were in, themselves included. It returns by
// how much the former differs from what is usual.
func (c *curve) learn(logLatency, logQueue, trust float64, n int64) (deviation float64) {
	const half, epsilon = math.Ln2 / 2, 1e-9 // a queue of 2 is to be in the bucket of 2
	p := &c.points[min(max(int(logQueue*(1/half)+epsilon), 0), len(c.points)-1)]
	if p.count.Load() > 0 {
		deviation = logLatency - p.value()
	}
	p.add(logLatency, trust, n, enoughPooled)
	c.drain.add(logLatency-logQueue, trust, n, enoughPooled)
	return deviation
}

// atOnce is how many calls a server works on at once, by the latency of calls that
// waited for no other: that over what the server takes for each when it is busy. 0 if
// it is not known.
func (c *curve) atOnce() float64 {
	lowest := math.Inf(1)
	for i := range c.points {
		if p := &c.points[i]; p.count.Load() >= fewPooled {
			lowest = min(lowest, p.value())
		}
	}
	if math.IsInf(lowest, 1) {
		return 0
	}
	return exp(lowest)
}

// pooled is a mean that endpoints share. It takes no lock: of two samples that
// are added at the same moment one may be lost.
type pooled struct {
	mean  float
	count atomic.Int64
}

const (
	// enoughPooled is over how many samples such a mean is.
	enoughPooled = 500
	// fewPooled is how many may move it freely; later ones move it by no more
	// than one within a factor of e would, so that the servers whose reports
	// are wrong do not spoil what is learned of all.
	fewPooled = 20
	// pooledHaste is by how much more later samples count than earlier ones, while there are few:
	// of n samples the first k have the part (k/n)^(1+haste). What is learned first is the
	// least right: rates and means that servers report have only begun.
	pooledHaste = 2
)

func (p *pooled) value() float64 { return p.mean.load() }

// add takes in the mean of n samples; the whole is over enough of them. Trust, 0 to 1,
// is what these count for.
func (p *pooled) add(sample, trust float64, n, enough int64) {
	old, all := p.value(), p.count.Load()
	if all < enough {
		all = min(all+n, enough)
		p.count.Store(all)
	}
	step := sample - old
	if all > fewPooled {
		step = max(min(step, 1), -1)
	}
	p.mean.store(old + trust*step*min((1+pooledHaste)*float64(n)/(pooledHaste+float64(all)), 1))
}
