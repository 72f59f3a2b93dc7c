package sim

// state is where a request is.
type state uint8

const (
	reaching state = iota
	waiting        // in the server, for a slot
	serving
	returning
	probing // a probe, on its way to the server
	probed  // its answer, on its way back
)

// request is a call or a probe under way.
type request struct {
	generation uint32
	state      state
	measured   bool
	heard      bool
	reports    bool
	code       Code
	client     int32
	server     int32
	call       int32 // the balancer's name for it
	found      int32 // how many were in service when it came
	start      int64
	reached    int64
	work       float64
	report     Report
	probe      Probe
}

// requests keeps the requests under way. What refers to one does so by number
// and generation, since the number is used again.
type requests struct {
	all  []request
	free []int32
}

func (q *requests) make() (int32, *request) {
	if n := len(q.free); n > 0 {
		id := q.free[n-1]
		q.free = q.free[:n-1]
		return id, &q.all[id]
	}
	q.all = append(q.all, request{})
	id := int32(len(q.all) - 1)
	return id, &q.all[id]
}

func (q *requests) release(id int32) {
	q.all[id].generation++
	q.free = append(q.free, id)
}

// live returns the request that an entry refers to, or nil if it is no more.
func (q *requests) live(e entry) *request {
	r := &q.all[e.request]
	if r.generation != e.generation {
		return nil
	}
	return r
}
