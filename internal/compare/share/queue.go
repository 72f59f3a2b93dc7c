package share

import (
	"container/heap"
	"math"
)

// pause is by how much the queue may be late for what it should have done before
// it takes the time for one in which the process did not run.
const pause = 100e6 // ns

// queue is the arithmetic of processor sharing. With n jobs and k free workers
// each job progresses at speed x min(1, k/n). Instead of moving every job
// whenever n changes, it keeps one figure: the work that a job would have had done
// had it been there all the time. A job is done when that figure has grown by its
// work since it came.
//
// Times are in nanoseconds since an epoch of the caller's.
type queue struct {
	workers, occupied, speed float64

	at       float64 // the time up to which everything is done
	lost     float64 // for how long the process did not run
	attained float64
	busy     float64 // integral of the busy share over time
	jobs     jobs
}

type job struct {
	target float64 // on the scale of attained
	index  int     // in the heap; -1 when it has left
	done   chan struct{}
}

func (q *queue) free() float64 { return max(q.workers-q.occupied, 0) }

// rate is by how much attained grows per ns.
func (q *queue) rate() float64 {
	n := float64(len(q.jobs))
	return q.speed * min(1, q.free()/max(n, 1))
}

// busyShare is the part of the workers that do something.
func (q *queue) busyShare() float64 {
	return (min(float64(len(q.jobs)), q.free()) + min(q.occupied, q.workers)) / q.workers
}

// next is when the next job is done, on the queue's own clock.
func (q *queue) next() float64 {
	rate := q.rate()
	if len(q.jobs) == 0 || rate == 0 {
		return math.Inf(1)
	}
	return q.at + max(q.jobs[0].target-q.attained, 0)/rate
}

// wake is when the next job is done, on the caller's clock.
func (q *queue) wake() float64 { return q.next() + q.lost }

// advance does what there is to do until now, and ends the jobs that are done.
func (q *queue) advance(now float64) {
	now -= q.lost
	// A process that was frozen, or got no processor, did no work meanwhile.
	if due := q.next(); now > due+pause {
		q.lost += now - due
		now = due
	}
	for due := q.next(); due <= now; due = q.next() {
		q.move(due)
		close(heap.Pop(&q.jobs).(*job).done)
	}
	q.move(now)
}

func (q *queue) move(to float64) {
	if dt := to - q.at; dt > 0 {
		q.attained += q.rate() * dt
		q.busy += q.busyShare() * dt
		q.at = to
	}
}

// enter takes in a job. The caller has advanced the queue.
func (q *queue) enter(work float64) *job {
	j := &job{target: q.attained + work, done: make(chan struct{})}
	heap.Push(&q.jobs, j)
	return j
}

// leave takes out a job that is not done. The caller has advanced the queue.
func (q *queue) leave(j *job) {
	if j.index >= 0 {
		heap.Remove(&q.jobs, j.index)
	}
}

// jobs is a heap, the one that is done first on top.
type jobs []*job

func (h jobs) Len() int           { return len(h) }
func (h jobs) Less(i, j int) bool { return h[i].target < h[j].target }
func (h jobs) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *jobs) Push(x any) {
	j := x.(*job)
	j.index = len(*h)
	*h = append(*h, j)
}

func (h *jobs) Pop() any {
	last := len(*h) - 1
	j := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	j.index = -1
	return j
}
