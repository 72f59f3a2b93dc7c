package sim

import (
	"time"

	"github.com/evenkeel/evenkeel/internal/sim/scenario"
	"github.com/evenkeel/evenkeel/internal/sim/stat"
)

// Result is what came of a run. Only calls that were made within the measured
// span are counted.
type Result struct {
	Requests uint64
	Errors   uint64
	Probes   uint64
	Near     uint64 // answers from servers of the client's own zone
	// All are the latencies of all calls, those that failed as if they had
	// taken until the deadline; Answers are those of answers alone.
	All, Answers stat.Histogram
	// Unit is the mean service time, which latencies are compared with.
	Unit time.Duration
	// Span is the measured time.
	Span time.Duration
	// Busy is the share of its workers' time that each server was busy, over
	// the measured span.
	Busy []float64
	// There is the share of the measured span in which each server was there to be called.
	There []float64
	// Loads is the mean number of requests in service, by server and by span
	// of time, the warmup included, if that was asked for.
	Loads [][]float64
	// BinWidth is how long such a span is.
	BinWidth time.Duration
}

func newResult(s *scenario.Scenario) *Result {
	return &Result{Unit: s.Cost.MeanTime(), Span: s.Duration}
}

func (r *Result) answered(latency int64) {
	r.All.Add(latency)
	r.Answers.Add(latency)
}

func (r *Result) failed(deadline int64) {
	r.Errors++
	r.All.Add(deadline)
}

// ErrorPercent is the share of calls that failed.
func (r *Result) ErrorPercent() float64 {
	return 100 * float64(r.Errors) / float64(max(r.Requests, 1))
}

// Goodput is answers per second.
func (r *Result) Goodput() float64 {
	return float64(r.Answers.Count()) / r.Span.Seconds()
}

// recordLoads plans the readings of what the servers do: over what is measured
// and, into count equal spans, over the whole run.
func (e *engine) recordLoads(count int) {
	busy, there := make([]float64, len(e.servers)), make([]float64, len(e.servers))
	e.plan(e.begin, func() {
		for i := range e.servers {
			e.servers[i].advance(e.now)
			busy[i], there[i] = e.servers[i].busy, e.servers[i].thereNs
		}
	})
	e.plan(e.stop, func() {
		e.result.Busy, e.result.There = make([]float64, len(e.servers)), make([]float64, len(e.servers))
		for i := range e.servers {
			s := &e.servers[i]
			s.advance(e.now)
			e.result.Busy[i] = (s.busy - busy[i]) / s.workers / float64(e.stop-e.begin)
			e.result.There[i] = (s.thereNs - there[i]) / float64(e.stop-e.begin)
		}
	})
	if count == 0 {
		return
	}
	width := (e.stop - 1) / int64(count)
	last := make([]float64, len(e.servers))
	e.result.BinWidth = time.Duration(width)
	e.result.Loads = make([][]float64, len(e.servers))
	for k := range count {
		e.plan(1+int64(k+1)*width, func() {
			for i := range e.servers {
				s := &e.servers[i]
				s.advance(e.now)
				e.result.Loads[i] = append(e.result.Loads[i], (s.inFlightNs-last[i])/float64(width))
				last[i] = s.inFlightNs
			}
		})
	}
}
