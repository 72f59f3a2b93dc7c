package compare

import (
	"math"
	"math/rand/v2"
	"time"
)

// sigma is the spread of the calls' work: the standard deviation of its
// logarithm, as in the simulator.
const sigma = 1

// arrival is a call that is to be made.
type arrival struct {
	at     time.Duration // after the start
	client int
	work   time.Duration
}

// newPlan draws calls for a time: a Poisson process of the given rate, each call
// from any client, its work lognormal with the given mean. The same seed gives the
// same calls.
func newPlan(seed uint64, rate float64, mean, length time.Duration) []arrival {
	random := rand.New(rand.NewPCG(seed, 2))
	plan := make([]arrival, 0, int(rate*length.Seconds()*1.1))
	at := 0.0
	for {
		at += random.ExpFloat64() / rate
		a := arrival{at: time.Duration(at * 1e9), client: random.IntN(clients)}
		if a.at >= length {
			return plan
		}
		work := float64(mean) * math.Exp(sigma*random.NormFloat64()-sigma*sigma/2)
		a.work = max(time.Duration(work), 1)
		plan = append(plan, a)
	}
}
