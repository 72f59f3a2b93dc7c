package choice

import "math"

// log and exp are those of package math to within 1e-5, which is far less than
// what any latency says for sure, in a fraction of their time: each call that
// ends takes several.

// log is the natural logarithm of a positive, normal number.
func log(x float64) float64 {
	bits := math.Float64bits(x)
	exponent := float64(int(bits>>52) - 1023)
	m := math.Float64frombits(bits&(1<<52-1) | 1023<<52) // 1 to 2
	if m > math.Sqrt2 {
		m *= 0.5
		exponent++
	}
	// ln m is 2 artanh z; the series is short, for z is 0.172 at most.
	z := (m - 1) / (m + 1)
	z2 := z * z
	return exponent*math.Ln2 + 2*z*(1+z2*(1./3+z2*(1./5+z2*(1./7))))
}

// exp is e to the x, for x from -700 to 700; what is beyond is as at the bound.
func exp(x float64) float64 {
	if !(x > -700) {
		x = -700
	} else if x > 700 {
		x = 700
	}
	x *= math.Log2E
	whole := math.Floor(x)
	t := (x - whole - 0.5) * math.Ln2 // -0.347 to 0.347
	series := 1 + t*(1+t*(1./2+t*(1./6+t*(1./24+t*(1./120+t*(1./720))))))
	return math.Float64frombits(uint64(int(whole)+1023)<<52) * math.Sqrt2 * series
}
