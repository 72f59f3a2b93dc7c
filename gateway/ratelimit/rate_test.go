package ratelimit

import (
	"math/rand/v2"
	"testing"
	"time"
)

func complete(t *testing.T, r Rate) Rate {
	t.Helper()
	if err := r.complete(); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestABurstPassesAtOnceAndThenOneCallAnInterval(t *testing.T) {
	rate := complete(t, Rate{Requests: 10, Period: time.Second, Burst: 3})
	var full, now time.Duration
	var result Result
	for i := range 3 {
		if full, result = rate.Decide(full, now); !result.Allowed || result.Remaining != int64(2-i) {
			t.Fatalf("call %d: %+v", i, result)
		}
	}
	if _, result = rate.Decide(full, now); result.Allowed || result.RetryAfter != 100*time.Millisecond || result.Reset != 300*time.Millisecond {
		t.Fatalf("the fourth: %+v", result)
	}
	now += result.RetryAfter
	if full, result = rate.Decide(full, now); !result.Allowed {
		t.Fatalf("when it was told to come: %+v", result)
	}
	if _, result = rate.Decide(full, now); result.Allowed {
		t.Fatal("two calls in one interval")
	}
}

// However calls come, no stretch of time holds more than a burst and what the
// rate has room for, and nobody who keeps to the rate is refused.
func TestNoStretchOfTimeHoldsMoreThanBurstAndRate(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		rate := complete(t, Rate{
			Requests: 1 + random.Int64N(1000), Period: time.Duration(1+random.Int64N(100_000)) * time.Millisecond, Burst: 1 + random.Int64N(50),
		})
		var full, now time.Duration
		var passed []time.Duration
		for range 2000 {
			now += time.Duration(random.Int64N(int64(2 * rate.interval())))
			if random.IntN(50) == 0 {
				now += rate.recovery()
			}
			next, result := rate.Decide(full, now)
			if result.Allowed {
				full = next
				passed = append(passed, now)
			} else if _, later := rate.Decide(full, now+result.RetryAfter); !later.Allowed {
				t.Fatalf("%+v: refused when it was told to come", rate)
			} else if _, sooner := rate.Decide(full, now+result.RetryAfter-1); sooner.Allowed {
				t.Fatalf("%+v: told to wait too long", rate)
			}
		}
		for i := range passed {
			for j := i; j < min(len(passed), i+200); j++ {
				room := rate.Burst + int64((passed[j]-passed[i])/rate.interval())
				if n := int64(j - i + 1); n > room {
					t.Fatalf("%+v: %d calls in %v, room for %d", rate, n, passed[j]-passed[i], room)
				}
			}
		}
	}
}

func TestWhoKeepsToTheRateIsNeverRefused(t *testing.T) {
	rate := complete(t, Rate{Requests: 7, Period: time.Second, Burst: 1})
	var full time.Duration
	for i := range time.Duration(10_000) {
		var result Result
		if full, result = rate.Decide(full, i*rate.interval()); !result.Allowed {
			t.Fatalf("call %d: %+v", i, result)
		}
	}
}

func TestARateOutOfBoundsIsRefusedByField(t *testing.T) {
	for want, rate := range map[string]Rate{
		"Period: 0s is out of range; 1ms to 744h0m0s":           {Requests: 1},
		"Period: 745h0m0s is out of range; 1ms to 744h0m0s":     {Requests: 1, Period: 745 * time.Hour},
		"Requests: 0 is out of range; 1 to 1000000":             {Period: time.Second},
		"Requests: 1001 is out of range; 1 to 1000":             {Requests: 1001, Period: time.Millisecond},
		"Burst: -1 is out of range; 1 to 31622400":              {Requests: 1, Period: time.Second, Burst: -1},
		"Burst: 9223372036854775807 is out of range; 1 to 8784": {Requests: 1, Period: time.Hour, Burst: 1<<63 - 1},
	} {
		if err := rate.complete(); err == nil || err.Error() != want {
			t.Errorf("%+v: %v, want %s", rate, err, want)
		}
	}
}
