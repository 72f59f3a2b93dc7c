package stat

import "math"

// Interval is a confidence interval.
type Interval struct{ Low, High float64 }

// Confidence is that of every interval here: 99 %.
const Confidence = 0.99

// t995 is the 0.995 quantile of Student's t, by degrees of freedom from 1.
var t995 = [...]float64{
	63.657, 9.925, 5.841, 4.604, 4.032, 3.707, 3.499, 3.355, 3.250, 3.169,
	3.106, 3.055, 3.012, 2.977, 2.947, 2.921, 2.898, 2.878, 2.861, 2.845,
	2.831, 2.819, 2.807, 2.797, 2.787, 2.779, 2.771, 2.763, 2.756, 2.750,
}

func student(freedom int) float64 {
	if freedom <= len(t995) {
		return t995[freedom-1]
	}
	const z = 2.575829
	return z + (z*z*z+z)/(4*float64(freedom))
}

// Mean returns the mean of values of which each is from a run of its own, and
// its 99 % confidence interval by Student's t. Of one value, or of none, the
// interval is not known: it is NaN.
func Mean(values []float64) (float64, Interval) {
	n := float64(len(values))
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	mean := sum / n
	if len(values) < 2 {
		return mean, Interval{math.NaN(), math.NaN()}
	}
	squares := 0.0
	for _, v := range values {
		squares += (v - mean) * (v - mean)
	}
	half := student(len(values)-1) * math.Sqrt(squares/(n-1)/n)
	return mean, Interval{mean - half, mean + half}
}

// Positive is Mean for values above 0 that vary by factors rather than by
// amounts, such as latencies: the interval is that of their logarithms.
func Positive(values []float64) (float64, Interval) {
	mean, _ := Mean(values)
	logs := make([]float64, len(values))
	for i, v := range values {
		logs[i] = math.Log(v)
	}
	_, ci := Mean(logs)
	return mean, Interval{math.Exp(ci.Low), math.Exp(ci.High)}
}

// Ratio returns the geometric mean of the ratios a[i]/b[i], where both are from
// runs of the same seed, and its 99 % confidence interval. Pairing takes out
// what the seed does to both.
func Ratio(a, b []float64) (float64, Interval) {
	logs := make([]float64, len(a))
	for i := range a {
		logs[i] = math.Log(a[i] / b[i])
	}
	mean, ci := Mean(logs)
	return math.Exp(mean), Interval{math.Exp(ci.Low), math.Exp(ci.High)}
}

// Difference returns the mean of a[i]-b[i] and its 99 % confidence interval.
func Difference(a, b []float64) (float64, Interval) {
	differences := make([]float64, len(a))
	for i := range a {
		differences[i] = a[i] - b[i]
	}
	return Mean(differences)
}
