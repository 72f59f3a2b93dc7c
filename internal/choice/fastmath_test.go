package choice

import (
	"math"
	"testing"
)

func TestLogAndExpAreThoseOfMath(t *testing.T) {
	random := newRandom(1)
	for range 100_000 {
		x := random.Float64()*80 - 40
		if got, want := exp(x), math.Exp(x); math.Abs(got/want-1) > 1e-5 {
			t.Fatalf("exp(%v) is %v, want %v", x, got, want)
		}
		y := math.Exp(x)
		if got, want := log(y), math.Log(y); math.Abs(got-want) > 1e-5 {
			t.Fatalf("log(%v) is %v, want %v", y, got, want)
		}
	}
	for _, x := range []float64{-1e9, 1e9, math.Inf(-1), math.Inf(1)} {
		if y := exp(x); !(y > 0) || math.IsInf(y, 0) {
			t.Errorf("exp(%v) is %v", x, y)
		}
	}
	if log(1) != 0 {
		t.Errorf("log(1) is %v", log(1))
	}
}

func BenchmarkLogAndExp(b *testing.B) {
	x := 2.5
	for range b.N {
		x = 1 + log(exp(x))
		if x > 20 {
			x = 2.5
		}
	}
	if math.IsNaN(x) {
		b.Fatal(x)
	}
}
