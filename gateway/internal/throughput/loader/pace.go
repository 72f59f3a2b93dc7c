package loader

import (
	"math/rand/v2"
	"time"
)

// pace says when a connection sends.
type pace struct {
	period time.Duration // from one request to the next; 0 for as soon as there is an answer
	due    time.Time     // when the next one is due
}

// begin returns when the first request is sent. Those of different connections are not
// sent at the same moment.
func (p *pace) begin() time.Time {
	now := time.Now()
	if p.period == 0 {
		return now
	}
	p.due = now.Add(rand.N(p.period) - p.period)
	return p.next(now)
}

// next returns when the request after the one that was just answered is sent, and waits
// for it. If it was due before, it is from then that its time counts: what a slow answer holds
// up is part of how slow the door is. That a wait ends late is not.
func (p *pace) next(answered time.Time) time.Time {
	if p.period == 0 {
		return answered
	}
	p.due = p.due.Add(p.period)
	early := p.due.Sub(answered)
	if early <= 0 {
		return p.due
	}
	time.Sleep(early)
	return time.Now()
}
