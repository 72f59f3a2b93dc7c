package choiceoftwo

import (
	"fmt"
	"testing"

	"google.golang.org/grpc/balancer"
	_ "google.golang.org/grpc/balancer/leastrequest"
	_ "google.golang.org/grpc/balancer/roundrobin"
	_ "google.golang.org/grpc/balancer/weightedroundrobin"
)

// peers are the policies that are compared in one run, each over the same
// endpoints and with the same reports.
var peers = []struct{ name, config string }{
	{Name, "{}"},
	{"round_robin", "{}"},
	{"weighted_round_robin", `{"blackoutPeriod":"0s"}`},
	{"least_request_experimental", `{"choiceCount":2}`},
}

// BenchmarkPickAndDone is one pick and the end of its call, with a report.
func BenchmarkPickAndDone(b *testing.B) {
	for _, n := range []int{2, 100, 1000} {
		for _, peer := range peers {
			b.Run(fmt.Sprintf("endpoints=%d/%s", n, peer.name), func(b *testing.B) {
				p := readyPolicy(b, peer.name, peer.config, n)
				reports := make([]balancer.DoneInfo, 64)
				for i := range reports {
					reports[i] = balancer.DoneInfo{BytesSent: true, BytesReceived: true, ServerLoad: report(i)}
				}
				b.ReportAllocs()
				b.ResetTimer()
				b.RunParallel(func(pb *testing.PB) {
					info := balancer.PickInfo{FullMethodName: "/test.Service/Unary"}
					for i := 0; pb.Next(); i++ {
						r, err := p.Pick(info)
						if err != nil {
							b.Error(err)
							return
						}
						if r.Done != nil {
							r.Done(reports[i%len(reports)])
						}
					}
				})
			})
		}
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
