package stat

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestQuantilesAreWithinHalfAPercent(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	var h Histogram
	values := make([]float64, 200_000)
	for i := range values {
		values[i] = math.Exp(random.NormFloat64()) * 20e6
		h.Add(int64(values[i]))
	}
	slices.Sort(values)
	for _, q := range []float64{0.01, 0.5, 0.9, 0.99, 0.999} {
		want := values[int(q*float64(len(values)))]
		if got := h.Quantile(q); math.Abs(got/want-1) > 0.005 {
			t.Errorf("quantile %v: %v, want %v", q, got, want)
		}
	}
}

func TestMergedHistogramsAreAsOne(t *testing.T) {
	var a, b, both Histogram
	for i := range int64(1000) {
		h := &a
		if i%3 == 0 {
			h = &b
		}
		h.Add(i * 1e6)
		both.Add(i * 1e6)
	}
	a.Merge(&b)
	if a != both {
		t.Error("they differ")
	}
}

func TestLatenciesOutsideTheRangeAreCountedAtItsEnds(t *testing.T) {
	var h Histogram
	h.Add(-5)
	h.Add(math.MaxInt64 / 2)
	if h.Count() != 2 || h.Quantile(0.4) > 2048 || h.Quantile(1) < 1e13 {
		t.Errorf("count %d, quantiles %v and %v", h.Count(), h.Quantile(0.4), h.Quantile(1))
	}
}

func TestNothingHasNoQuantile(t *testing.T) {
	var h Histogram
	if q := h.Quantile(0.5); !math.IsNaN(q) {
		t.Errorf("%v", q)
	}
}

func TestTheIntervalHoldsTheMeanAsOftenAsItSays(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	const rounds = 20_000
	missed := 0
	for range rounds {
		values := make([]float64, 6)
		for i := range values {
			values[i] = 3 + random.NormFloat64()
		}
		if _, ci := Mean(values); ci.Low > 3 || ci.High < 3 {
			missed++
		}
	}
	if share := float64(missed) / rounds; math.Abs(share-0.01) > 0.003 {
		t.Errorf("it misses the mean %.2f %% of the time, want 1 %%", 100*share)
	}
}

func TestPairingTakesOutWhatIsCommon(t *testing.T) {
	a, b := []float64{10, 20, 40}, []float64{5, 10, 20}
	r, ci := Ratio(a, b)
	if math.Abs(r-2) > 1e-12 || ci.High-ci.Low > 1e-9 {
		t.Errorf("ratio %v within %v", r, ci)
	}
}

func TestOneValueHasNoInterval(t *testing.T) {
	if m, ci := Mean([]float64{7}); m != 7 || !math.IsNaN(ci.Low) {
		t.Errorf("%v %v", m, ci)
	}
}
