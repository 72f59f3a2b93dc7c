package ratelimit

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// clock is a time that stands still until it is moved.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(0, c.at.Load()) }
func (c *clock) advance(d time.Duration) { c.at.Add(int64(d)) }

func newLocal(t *testing.T, keys int) (*Local, *clock) {
	t.Helper()
	c := &clock{}
	s, err := NewLocal(LocalConfig{Keys: keys, Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

func take(t *testing.T, s Store, takes ...Take) []Result {
	t.Helper()
	results, err := s.Take(context.Background(), takes)
	if err != nil {
		t.Fatal(err)
	}
	return results
}

var perMinute = Rate{Requests: 60, Period: time.Minute, Burst: 2}

func TestARefusedCallIsCountedByNoPolicy(t *testing.T) {
	s, _ := newLocal(t, 1000)
	one := Rate{Requests: 1, Period: time.Hour, Burst: 1}
	take(t, s, Take{"narrow", one}, Take{"wide", perMinute})
	for range 10 {
		got := take(t, s, Take{"narrow", one}, Take{"wide", perMinute})
		if got[0].Allowed || !got[1].Allowed || got[1].Remaining != 1 {
			t.Fatalf("%+v", got)
		}
	}
	if got := take(t, s, Take{"wide", perMinute}); !got[0].Allowed || got[0].Remaining != 0 {
		t.Fatalf("the wide one alone: %+v", got)
	}
}

func TestMemoryIsBoundedWhateverTheCallersDo(t *testing.T) {
	const keys = 1600
	s, _ := newLocal(t, keys)
	for i := range 20 * keys {
		take(t, s, Take{fmt.Sprintf("%d made up %01000d", i, i), perMinute})
	}
	held := 0
	for i := range s.shards {
		held += len(s.shards[i].index)
		if n := len(s.shards[i].entries) - 1; n > keys/shardCount || len(s.shards[i].index) != n {
			t.Errorf("shard %d: %d entries, %d in the index", i, n, len(s.shards[i].index))
		}
	}
	if held > keys {
		t.Errorf("%d keys are held", held)
	}
	if s.Forgotten() != uint64(20*keys-held) {
		t.Errorf("%d forgotten", s.Forgotten())
	}
}

func TestAKeyInUseOutlivesAFloodOfOthers(t *testing.T) {
	s, _ := newLocal(t, 1600)
	// It is refused from the third call on, and to go on calling must not help.
	for i := range 20_000 {
		if got := take(t, s, Take{"in use", perMinute}); (i < 2) != got[0].Allowed {
			t.Fatalf("call %d: %+v", i, got)
		}
		take(t, s, Take{fmt.Sprint("flood ", i), perMinute})
	}
	if s.Forgotten() < 10_000 {
		t.Errorf("%d of the flood were forgotten: it was none", s.Forgotten())
	}
}

func TestAKeyThatRecoveredIsForgottenWithoutLoss(t *testing.T) {
	s, c := newLocal(t, 64)
	for i := range 1000 {
		take(t, s, Take{fmt.Sprint(i), perMinute})
		c.advance(2 * time.Second)
	}
	if n := s.Forgotten(); n != 0 {
		t.Errorf("%d were forgotten while they still counted", n)
	}
}

func TestCallersAtOnceGetABurstAndNoMore(t *testing.T) {
	s, _ := newLocal(t, 1000)
	rate := Rate{Requests: 100, Period: time.Hour, Burst: 100}
	var passed atomic.Int64
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(worker), 0))
			for range 500 {
				// Keys in any order, as policies may name them.
				takes := []Take{{"a", rate}, {"b", rate}, {"c", rate}, {fmt.Sprint(random.IntN(100)), Rate{Requests: 1000, Period: time.Second, Burst: 1000}}}
				random.Shuffle(len(takes), func(i, j int) { takes[i], takes[j] = takes[j], takes[i] })
				results, _ := s.Take(context.Background(), takes)
				all := true
				for _, r := range results {
					all = all && r.Allowed
				}
				if all {
					passed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if n := passed.Load(); n != 100 {
		t.Errorf("%d passed", n)
	}
}

func TestALocalStoreOutOfBoundsIsRefused(t *testing.T) {
	for _, keys := range []int{-1, 63, 100_000_001} {
		if _, err := NewLocal(LocalConfig{Keys: keys}); err == nil {
			t.Errorf("%d keys are accepted", keys)
		}
	}
}

func BenchmarkLocal(b *testing.B) {
	s, err := NewLocal(LocalConfig{})
	if err != nil {
		b.Fatal(err)
	}
	rate := Rate{Requests: 1000, Period: time.Second, Burst: 1000}
	keys := make([]string, 1024)
	for i := range keys {
		keys[i] = fmt.Sprint("caller:0:", i)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		_, _ = s.Take(context.Background(), []Take{{keys[i%1024], rate}})
	}
}
