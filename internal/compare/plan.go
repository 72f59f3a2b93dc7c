package compare

import (
	"math"
	"math/rand/v2"
	"time"
)

// The work of calls is lognormal, as in the simulator, but cut: else one call in
// some thousands would be too long for its deadline by itself.
const (
	sigma = 1.0  // the standard deviation of its logarithm
	cut   = 10.0 // means
)

// cutMean is the mean of a lognormal distribution of mean 1 that is cut.
var cutMean = normal(math.Log(cut)-sigma*sigma/2) + cut*(1-normal(math.Log(cut)+sigma*sigma/2))

// normal is the distribution function of a normal distribution of deviation sigma.
func normal(x float64) float64 { return math.Erfc(-x/(sigma*math.Sqrt2)) / 2 }

// arrival is a call that is to be made.
type arrival struct {
	at     time.Duration // after the start
	client int
	work   time.Duration
}

// newPlan draws calls for a time: a Poisson process of the given rate, each call
// from any client, their work of the given mean. The same seed gives the same
// calls.
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
		work := min(math.Exp(sigma*random.NormFloat64()-sigma*sigma/2), cut) / cutMean
		a.work = max(time.Duration(work*float64(mean)), 1)
		plan = append(plan, a)
	}
}
