package choiceoftwo

import (
	"fmt"
	"math"
	"runtime"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/balancer"
	_ "google.golang.org/grpc/balancer/leastrequest"
	_ "google.golang.org/grpc/balancer/roundrobin"
	_ "google.golang.org/grpc/balancer/weightedroundrobin"
)

// peers are the policies that are compared in one run, each over the same
// endpoints and with the same reports. The time in which either policy that
// weighs does not yet trust its endpoints is left out.
var peers = []struct{ name, config string }{
	{Name, `{"probationRamp":"0s"}`},
	{"round_robin", "{}"},
	{"weighted_round_robin", `{"blackoutPeriod":"0s"}`},
	{"least_request_experimental", `{"choiceCount":2}`},
}

// BenchmarkPickAndDone is one pick and the end of its call, with a report.
//
// Besides the mean it gives the time in the fastest batch, best-ns/op: what the
// code takes when nobody else has the processor. On a machine that is not idle
// compare those.
func BenchmarkPickAndDone(outer *testing.B) {
	for _, n := range []int{2, 10, 100, 1000} {
		for _, peer := range peers {
			var p balancer.Picker // built once, for all the lengths that are tried
			outer.Run(fmt.Sprintf("endpoints=%d/%s", n, peer.name), func(b *testing.B) {
				if p == nil {
					p = readyPolicy(outer, peer.name, peer.config, n)
				}
				benchmarkPickAndDone(b, p)
			})
		}
	}
}

// batch is how many picks are timed together: so few that most are not
// interrupted, so many that the clock does not count.
const batch = 500

func benchmarkPickAndDone(b *testing.B, p balancer.Picker) {
	reports := make([]balancer.DoneInfo, 64)
	for i := range reports {
		reports[i] = balancer.DoneInfo{BytesSent: true, BytesReceived: true, ServerLoad: report(i)}
	}
	var mu sync.Mutex
	best := time.Duration(math.MaxInt64)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		info := balancer.PickInfo{FullMethodName: "/test.Service/Unary"}
		mine, began := time.Duration(math.MaxInt64), time.Now()
		for i := 1; pb.Next(); i++ {
			r, err := p.Pick(info)
			if err != nil {
				b.Error(err)
				return
			}
			if r.Done != nil {
				r.Done(reports[i%len(reports)])
			}
			if i%batch == 0 {
				now := time.Now()
				mine, began = min(mine, now.Sub(began)), now
			}
		}
		mu.Lock()
		best = min(best, mine)
		mu.Unlock()
	})
	if best < time.Hour {
		b.ReportMetric(float64(best)/batch, "best-ns/op")
	}
}

// BenchmarkStartUp is what a policy takes from a resolver's first list until all
// of its endpoints are ready and one was picked, and what it holds then.
func BenchmarkStartUp(outer *testing.B) {
	const n = 1000
	for _, peer := range peers {
		var bytes float64 // measured once, before other runs leave anything behind
		outer.Run(fmt.Sprintf("endpoints=%d/%s", n, peer.name), func(b *testing.B) {
			b.ReportAllocs()
			start := func() balancer.Picker {
				p := readyPolicy(b, peer.name, peer.config, n)
				if r, err := p.Pick(balancer.PickInfo{}); err != nil {
					b.Fatal(err)
				} else if r.Done != nil {
					r.Done(balancer.DoneInfo{})
				}
				return p
			}
			if bytes == 0 {
				var held [4]balancer.Picker // as many of each peer
				before := heapInUse()
				for i := range held {
					held[i] = start()
				}
				bytes = float64(heapInUse()-before) / float64(len(held)) / n
				runtime.KeepAlive(held)
				b.ResetTimer()
			}
			for range b.N {
				start()
			}
			b.ReportMetric(bytes, "held-B/endpoint")
		})
	}
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC() // pools let go at the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkClock is one read of the clock, of which a call takes two.
func BenchmarkClock(b *testing.B) {
	p := &policy{epoch: time.Now()}
	for b.Loop() {
		p.now()
	}
}

func TestPickAndDoneAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("under the race detector sync.Pool drops what it is given")
	}
	for _, n := range []int{1, 2, 100} {
		p := readyPolicy(t, Name, "{}", n)
		done := balancer.DoneInfo{BytesSent: true, BytesReceived: true, ServerLoad: report(1)}
		info := balancer.PickInfo{FullMethodName: "/test.Service/Unary"}
		if allocs := testing.AllocsPerRun(1000, func() {
			r, err := p.Pick(info)
			if err != nil {
				t.Fatal(err)
			}
			r.Done(done)
		}); allocs != 0 {
			t.Errorf("%d endpoints: %v allocations", n, allocs)
		}
	}
}
