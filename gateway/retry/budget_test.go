package retry

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestABudgetAllowsAPartOfTheCallsAndAMinimum(t *testing.T) {
	for _, c := range []struct {
		budget Budget
		calls  int
		want   int
	}{
		{Budget{Ratio: 0.1}, 1000, 100},
		{Budget{Ratio: 0.1}, 9, 0},
		{Budget{Ratio: 0.1, MinPerSecond: 3}, 0, 30},
		{Budget{Ratio: 0.5, MinPerSecond: 1}, 20, 20},
	} {
		b := budget{Budget: c.budget}
		for range c.calls {
			b.call(time.Hour)
		}
		got := 0
		for b.retry(time.Hour) {
			got++
		}
		if got != c.want {
			t.Errorf("%+v after %d calls: %d retries, want %d", c.budget, c.calls, got, c.want)
		}
	}
}

func TestABudgetForgetsAfterTenSeconds(t *testing.T) {
	b := budget{Budget: Budget{Ratio: 1}}
	for range 10 {
		b.call(0)
	}
	if !b.retry(9*time.Second) || b.retry(10*time.Second) {
		t.Error("it forgets too early or too late")
	}
	b.call(time.Hour)
	if !b.retry(time.Hour) || b.retry(time.Hour) {
		t.Error("it does not start anew")
	}
}

// However calls and retries come, no ten seconds hold more retries than a part
// of the calls of the ten seconds before and the minimum.
func TestRetriesAreNeverMoreThanTheirPart(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	b := budget{Budget: Budget{Ratio: 0.2, MinPerSecond: 1}}
	var now time.Duration
	calls, retries := map[int64]float64{}, map[int64]float64{}
	for range 20_000 {
		now += time.Duration(random.Int64N(int64(20 * time.Millisecond)))
		second := int64(now / time.Second)
		b.call(now)
		calls[second]++
		if random.IntN(2) == 0 && b.retry(now) {
			retries[second]++
		}
		var c, r float64
		for s := second - budgetSeconds + 1; s <= second; s++ {
			c, r = c+calls[s], r+retries[s]
		}
		if r > 0.2*c+budgetSeconds+1e-6 && retries[second] > 0 {
			// What was granted before older calls were forgotten stands.
			if b.retry(now) {
				t.Fatalf("at %v: %v retries for %v calls, and one more", now, r, c)
			}
		}
	}
}
