package compare

import (
	"math"
	"slices"
	"testing"
	"time"
)

func TestCallsHaveTheRateAndTheMeanWorkThatWereAskedFor(t *testing.T) {
	const rate = 500.0
	mean := 40 * time.Millisecond
	plan := newPlan(1, rate, mean, 400*time.Second)
	var sum, longest time.Duration
	var of [clients]int
	for i, a := range plan {
		sum += a.work
		longest = max(longest, a.work)
		of[a.client]++
		if i > 0 && a.at < plan[i-1].at {
			t.Fatal("they are not in order")
		}
	}
	n := float64(len(plan))
	// The standard errors are 0.22 % and 0.26 %.
	if math.Abs(n/(rate*400)-1) > 0.01 || math.Abs(float64(sum)/n/float64(mean)-1) > 0.015 {
		t.Errorf("%v calls of mean %v", n, time.Duration(float64(sum)/n))
	}
	if float64(longest) > 1.02*cut*float64(mean) {
		t.Errorf("the longest is %v", longest)
	}
	for c, calls := range of {
		if math.Abs(float64(calls)/n*clients-1) > 0.05 {
			t.Errorf("client %d makes %d calls of %v", c, calls, n)
		}
	}
}

func TestGapsBetweenCallsAreExponential(t *testing.T) {
	plan := newPlan(2, 1000, time.Millisecond, 100*time.Second)
	mean := 1e-3
	longer := 0.0
	for i := range plan[1:] {
		if (plan[i+1].at - plan[i].at).Seconds() > mean {
			longer++
		}
	}
	if share := longer / float64(len(plan)-1); math.Abs(share-1/math.E) > 0.01 {
		t.Errorf("%v of them are longer than the mean, want 1/e", share)
	}
}

func TestTheSameSeedGivesTheSameCallsAndSteps(t *testing.T) {
	draw := func(seed uint64) []arrival { return newPlan(seed, 100, time.Millisecond, time.Second) }
	if !slices.Equal(draw(1), draw(1)) || slices.Equal(draw(1), draw(2)) {
		t.Error("calls do not follow the seed")
	}
	for _, s := range Scenarios() {
		if !slices.Equal(s.Steps(1, time.Minute), s.Steps(1, time.Minute)) {
			t.Errorf("%s: steps do not follow the seed", s.Name)
		}
	}
}
