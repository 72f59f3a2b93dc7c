package scenario

import (
	"math"
	"slices"
	"sort"
	"time"
)

// Cost is a distribution of work: the time a call takes on a worker of speed 1.
type Cost struct {
	// Kind is lognormal, pareto, bimodal, exponential, constant or recorded.
	Kind string        `yaml:"kind"`
	Mean time.Duration `yaml:"mean"`
	// Sigma is the lognormal's: of the logarithm.
	Sigma float64 `yaml:"sigma"`
	// Shape is the Pareto's; above 1, or there is no mean.
	Shape float64 `yaml:"shape"`
	// Of a bimodal, LongShare of the calls take LongTimes as long as the others.
	LongShare float64 `yaml:"long_share"`
	LongTimes float64 `yaml:"long_times"`
	// Samples are recorded times, each as likely as another.
	Samples []time.Duration `yaml:"samples"`
}

// MeanTime is the mean.
func (c *Cost) MeanTime() time.Duration {
	if c.Kind != "recorded" {
		return c.Mean
	}
	sum := 0.0
	for _, s := range c.Samples {
		sum += float64(s)
	}
	return time.Duration(sum / float64(len(c.Samples)))
}

// Quantile returns the function that makes a cost, in nanoseconds, of a number
// in (0, 1): with one number a call costs the same under every policy.
func (c *Cost) Quantile() func(u float64) float64 {
	mean := float64(c.Mean)
	switch c.Kind {
	case "pareto":
		least := mean * (c.Shape - 1) / c.Shape
		return func(u float64) float64 { return least * math.Pow(1-u, -1/c.Shape) }
	case "bimodal":
		short := mean / (1 + c.LongShare*(c.LongTimes-1))
		return func(u float64) float64 {
			if u >= 1-c.LongShare {
				return short * c.LongTimes
			}
			return short
		}
	case "exponential":
		return func(u float64) float64 { return -mean * math.Log1p(-u) }
	case "constant":
		return func(float64) float64 { return mean }
	case "recorded":
		sorted := slices.Clone(c.Samples)
		sort.Slice(sorted, func(i, j int) bool { return sorted[i] < sorted[j] })
		return func(u float64) float64 { return float64(sorted[int(u*float64(len(sorted)))]) }
	default: // lognormal
		mu := math.Log(mean) - c.Sigma*c.Sigma/2
		return func(u float64) float64 { return math.Exp(mu + c.Sigma*normalQuantile(u)) }
	}
}

// normalQuantile is the inverse of the normal distribution, to a relative
// error below 1.2e-9 (Acklam's rational approximation).
func normalQuantile(u float64) float64 {
	const low = 0.02425
	tail := func(q float64) float64 {
		return (((((-7.784894002430293e-03*q-3.223964580411365e-01)*q-2.400758277161838e+00)*q-2.549732539343734e+00)*q+4.374664141464968e+00)*q + 2.938163982698783e+00) /
			((((7.784695709041462e-03*q+3.224671290700398e-01)*q+2.445134137142996e+00)*q+3.754408661907416e+00)*q + 1)
	}
	switch {
	case u < low:
		return tail(math.Sqrt(-2 * math.Log(u)))
	case u > 1-low:
		return -tail(math.Sqrt(-2 * math.Log1p(-u)))
	}
	q := u - 0.5
	r := q * q
	return (((((-3.969683028665376e+01*r+2.209460984245205e+02)*r-2.759285104469687e+02)*r+1.383577518672690e+02)*r-3.066479806614716e+01)*r + 2.506628277459239e+00) * q /
		(((((-5.447609879822406e+01*r+1.615858368580409e+02)*r-1.556989798598866e+02)*r+6.680131188771972e+01)*r-1.328068155288572e+01)*r + 1)
}
