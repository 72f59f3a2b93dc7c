package policy

import (
	"math"

	"github.com/evenkeel/evenkeel/internal/sim"
)

// weighted is weighted_round_robin of gRFC A58 with its defaults and per-call
// reports, scheduled by static strides as in C-core and grpc-go. Each server
// is picked in proportion to rps / (utilization + eps/rps x penalty).
type weighted struct {
	fleet
	weights  []weight
	strides  []uint64 // of the ready, 0 to maxStride; nil: round robin
	sequence uint32
	dueAt    int64 // when the strides are computed anew
}

type weight struct {
	value      float64
	updatedAt  int64 // 0: never
	validSince int64
}

const (
	weightUpdatePeriod = 1e9
	blackoutPeriod     = 10e9
	weightExpiration   = 180e9
	errorPenalty       = 1
	maxStride          = math.MaxUint16
)

func newWeighted(env sim.Env) sim.Balancer {
	return &weighted{fleet: newFleet(env), weights: make([]weight, env.Servers), sequence: env.Random.Uint32()}
}

func (w *weighted) Update(now int64, listed, ready []int32) {
	was := make([]bool, len(w.weights))
	for _, s := range w.ready {
		was[s] = true
	}
	for _, s := range ready {
		if !was[s] { // it has just become ready: the blackout begins again
			w.weights[s].validSince = 0
		}
	}
	w.fleet.Update(now, listed, ready)
	w.schedule(now)
}

func (w *weighted) Pick(now int64) (int32, int32) {
	if now >= w.dueAt {
		w.schedule(now)
	}
	return w.begin(now, w.ready[w.next()])
}

func (w *weighted) next() int {
	n := uint64(len(w.ready))
	for {
		w.sequence++
		i, round := uint64(w.sequence)%n, uint64(w.sequence)/n
		if w.strides == nil {
			return int(i)
		}
		// A server is picked stride times in maxStride rounds, evenly, and
		// neighbours out of step with one another.
		stride := w.strides[i]
		if (stride*round+i*(maxStride/2))%maxStride >= maxStride-stride {
			return int(i)
		}
	}
}

func (w *weighted) schedule(now int64) {
	w.dueAt = now + weightUpdatePeriod
	w.strides = nil
	highest, sum, valid := 0.0, 0.0, 0
	values := make([]float64, len(w.ready))
	for i, s := range w.ready {
		values[i] = w.weights[s].at(now)
		if values[i] > 0 {
			valid++
			sum += values[i]
			highest = max(highest, values[i])
		}
	}
	if valid < 2 {
		return
	}
	w.strides = make([]uint64, len(w.ready))
	for i, v := range values {
		if v == 0 {
			v = sum / float64(valid)
		}
		w.strides[i] = uint64(math.Round(v * maxStride / highest))
	}
}

func (w *weight) at(now int64) float64 {
	if w.updatedAt == 0 {
		return 0
	}
	if now-w.updatedAt >= weightExpiration {
		w.validSince = 0
		return 0
	}
	if w.validSince == 0 || now-w.validSince < blackoutPeriod {
		return 0
	}
	return w.value
}

func (w *weighted) Done(now int64, call int32, o *sim.Outcome) {
	c := w.end(call)
	if o.Report != nil {
		w.Reported(now, c.server, o.Report)
	}
}

func (w *weighted) Reported(now int64, server int32, r *sim.Report) {
	if r.RPS <= 0 || r.Utilization <= 0 {
		return
	}
	x := &w.weights[server]
	x.value = r.RPS / (r.Utilization + max(r.EPS, 0)/r.RPS*errorPenalty)
	x.updatedAt = now
	if x.validSince == 0 {
		x.validSince = now
	}
}
