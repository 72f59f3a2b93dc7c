package sim

import "math"

// never is the time of what will not happen.
const never = math.MaxInt64

// agenda tells which of a fixed set of sources of events is next. A source is
// a server (its next completion), a client (its next arrival) or a lane (its
// head): each has one time, so an event costs one sift, whatever the number
// of calls under way. It is an indexed 4-ary heap.
type agenda struct {
	slots    []slot
	position []int32 // of each source in slots
}

type slot struct {
	at     int64
	source int32
}

func newAgenda(sources int) *agenda {
	a := &agenda{slots: make([]slot, sources), position: make([]int32, sources)}
	for i := range a.slots {
		a.slots[i] = slot{never, int32(i)}
		a.position[i] = int32(i)
	}
	return a
}

// next returns the source that is next, and when. The agenda is not changed:
// whoever handles the event sets the source's new time.
func (a *agenda) next() (source int32, at int64) {
	return a.slots[0].source, a.slots[0].at
}

// when returns a source's time.
func (a *agenda) when(source int32) int64 { return a.slots[a.position[source]].at }

// set gives a source a new time.
func (a *agenda) set(source int32, at int64) {
	i := a.position[source]
	old := a.slots[i].at
	switch {
	case at < old:
		a.up(i, slot{at, source})
	case at > old:
		a.down(i, slot{at, source})
	}
}

func (a *agenda) up(i int32, s slot) {
	for i > 0 {
		parent := (i - 1) / 4
		p := a.slots[parent]
		if p.at <= s.at {
			break
		}
		a.slots[i] = p
		a.position[p.source] = i
		i = parent
	}
	a.slots[i] = s
	a.position[s.source] = i
}

func (a *agenda) down(i int32, s slot) {
	n := int32(len(a.slots))
	for {
		first := 4*i + 1
		if first >= n {
			break
		}
		least := first
		for c := first + 1; c < min(first+4, n); c++ {
			if a.slots[c].at < a.slots[least].at {
				least = c
			}
		}
		l := a.slots[least]
		if l.at >= s.at {
			break
		}
		a.slots[i] = l
		a.position[l.source] = i
		i = least
	}
	a.slots[i] = s
	a.position[s.source] = i
}

// lane holds what happens after a delay, in order of time. Nearly all delays
// of a lane are the same, so that new entries belong at its end; a later one
// that is due earlier is moved forward.
type lane struct {
	entries []entry
	head    int
}

// entry is a request and the time at which something happens to it. If the
// request's generation is another by then, it no longer exists.
type entry struct {
	at         int64
	request    int32
	generation uint32
}

func (l *lane) push(e entry) (first bool) {
	if l.head > 1024 && l.head > len(l.entries)/2 {
		l.entries = l.entries[:copy(l.entries, l.entries[l.head:])]
		l.head = 0
	}
	l.entries = append(l.entries, e)
	i := len(l.entries) - 1
	for i > l.head && l.entries[i-1].at > e.at {
		l.entries[i] = l.entries[i-1]
		i--
	}
	l.entries[i] = e
	return i == l.head
}

func (l *lane) pop() entry {
	e := l.entries[l.head]
	l.head++
	if l.head == len(l.entries) {
		l.entries, l.head = l.entries[:0], 0
	}
	return e
}

// next is when the head is due.
func (l *lane) next() int64 {
	if l.head == len(l.entries) {
		return never
	}
	return l.entries[l.head].at
}
