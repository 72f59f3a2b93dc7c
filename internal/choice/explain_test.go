package choice

import (
	"math"
	"testing"
)

func TestAnExplainedPickIsTheSamePick(t *testing.T) {
	run := func(explained bool) (picks []int) {
		_, f, now := provenFleet(t, DefaultParams(), 5)
		random := newRandom(3)
		for i := range 500 {
			now += ms
			picked := 0
			if explained {
				choice, x := f.Explain(now, random)
				picked = choice.Index
				if winner := x.Looks[x.Winner]; winner.Index != picked || !winner.Best {
					t.Fatalf("picked %d, but the winner is %+v", picked, winner)
				}
			} else {
				picked = f.Pick(now, random)
			}
			picks = append(picks, picked)
			c := f.Endpoint(picked).Begin(now, false)
			if i%3 > 0 {
				f.Endpoint(picked).End(now+int64(picked+1)*ms, c, &Outcome{Kind: Answered, OK: true, Heard: true})
			}
		}
		return picks
	}
	plain, explained := run(false), run(true)
	for i := range plain {
		if plain[i] != explained[i] {
			t.Fatalf("pick %d is %d, and %d when explained", i, plain[i], explained[i])
		}
	}
}

func TestAnExplanationAddsUpToTheCost(t *testing.T) {
	_, f, now := provenFleet(t, DefaultParams(), 4)
	for i := range 4 {
		r := NoReport()
		r.InFlight, r.Utilization, r.RPS, r.EPS = float64(i), 0.5, 100, float64(5*i)
		f.Endpoint(i).Reported(now, r)
		f.Endpoint(i).Begin(now+10*ms, false)
	}
	random := newRandom(1)
	f.Pick(now, random)
	f.group.refreshAt.Store(math.MaxInt64) // what is published now stays
	f.group.publish(func(s *shared) { s.news.unseen, s.spare = 3, 2 })
	for range 50 {
		now += 10 * ms
		_, x := f.Explain(now, random)
		if len(x.Looks) < 2 {
			t.Fatalf("%d looked at", len(x.Looks))
		}
		for _, l := range x.Looks {
			byQueue, whenIdle := l.PerRequest*(l.Queue+1+l.Unseen), l.Certain*x.Spare
			want := math.Max(math.Pow(math.Pow(byQueue, 4)+math.Pow(whenIdle, 4), 0.25), l.UnusualSilence) * l.ErrorPenalty
			if math.Abs(l.Expected/want-1) > 1e-9 {
				t.Errorf("expected %v ns, but its parts make %v: %+v", l.Expected, want, l)
			}
			if l.QueueFrom != FromInFlight || l.InFlight != float64(l.Index) || l.OwnThen != 0 || l.ReportAge <= 0 {
				t.Errorf("the evidence for the queue is wrong: %+v", l)
			}
		}
	}
}

func TestWhoIsPassedOverIsExplained(t *testing.T) {
	_, f, now := provenFleet(t, DefaultParams(), 3)
	for range 10 {
		fail(f.Endpoint(1), now, ms)
	}
	random, seen := newRandom(1), false
	for range 50 {
		now += ms
		_, x := f.Explain(now, random)
		for i, l := range x.Looks {
			if l.Index == 1 {
				seen = true
				if l.PassedOver&ErrorRate == 0 || i == x.Winner || l.ErrorRate < 0.5 {
					t.Errorf("it fails, but %+v", l)
				}
			}
		}
	}
	if !seen {
		t.Error("it was never looked at")
	}
}
