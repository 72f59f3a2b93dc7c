package compose

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/evenkeel/evenkeel/orca"
)

func number(n uint32) *wrapperspb.UInt32Value { return wrapperspb.UInt32(n) }

func seconds(n int) *durationpb.Duration { return durationpb.New(time.Duration(n) * time.Second) }

// observed is a cluster whose calls outlier_detection, circuit breaking and
// load reporting all want to hear the end of.
func observed(config map[string]any, maxRequests uint32) *cluster.Cluster {
	c := clusterOf(choiceOfTwo(config))
	c.OutlierDetection = outlierDetection()
	c.CircuitBreakers = &cluster.CircuitBreakers{Thresholds: []*cluster.CircuitBreakers_Thresholds{{
		Priority: core.RoutingPriority_DEFAULT, MaxRequests: number(maxRequests),
	}}}
	c.LrsServer = &core.ConfigSource{ConfigSourceSpecifier: &core.ConfigSource_Self{Self: &core.SelfConfigSource{}}}
	return c
}

func TestCircuitBreakingLeavesNothingInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		p := newPlane(n)
		hosts := n.startAll(0, 3)
		p.publish(observed(nil, 5), locality("a", 1, 0, hosts...))
		c := p.client()
		n.awaitReady(hosts...)
		for _, h := range hosts {
			h.answer(takes(time.Second))
		}

		var ok, refused atomic.Int64
		var wg sync.WaitGroup
		for range 40 {
			wg.Go(func() {
				switch err := c.call(); status.Code(err) {
				case codes.OK:
					ok.Add(1)
				case codes.Unavailable:
					refused.Add(1)
				default:
					t.Errorf("call: %v", err)
				}
			})
		}
		synctest.Wait()
		if got := n.inFlight(); got != 5 {
			t.Errorf("%d calls are in flight, of which 5 may be", got)
		}
		wg.Wait()
		if ok.Load() != 5 || refused.Load() != 35 {
			t.Errorf("%d calls succeeded and %d were refused, of 40 at once where 5 may be", ok.Load(), refused.Load())
		}
		n.idle()
		if n.failures() > 0 {
			t.Error("refused calls count against endpoints that did not see them")
		}
		c.state(connectivity.Ready)
	})
}

func TestAllThatWatchACallHearItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		p := newPlane(n)
		hosts := n.startAll(0, 3)
		p.publish(observed(nil, 1000), locality("a", 1, 0, hosts...))
		c := p.client()
		n.awaitReady(hosts...)

		// The ends are of all kinds: success, failure, deadline, cancellation.
		c.counted(40)
		for _, h := range hosts {
			h.answer(fails(codes.NotFound))
		}
		for range 10 {
			_ = c.call()
		}
		for _, h := range hosts {
			h.answer(takes(time.Hour))
		}
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() { _ = c.call() })
			wg.Go(func() {
				ctx, cancel := context.WithCancel(context.Background())
				time.AfterFunc(time.Second, cancel)
				_, _ = healthpb.NewHealthClient(c.conn).Check(ctx, &healthpb.HealthCheckRequest{})
			})
		}
		wg.Wait()
		n.idle()
		var picks, successes, failures, cancels uint64
		for _, e := range n.endpoints() {
			picks, successes, failures, cancels = picks+e.Picks, successes+e.Successes, failures+e.Failures, cancels+e.Cancels
		}
		if picks != 70 || successes != 50 || failures != 10 || cancels != 10 {
			t.Errorf("of 70 calls the policy knows %d: %d were answered (50 were), %d failed (10), %d were cancelled (10)",
				picks, successes, failures, cancels)
		}
		n.await("the load report", func() bool {
			succeeded, failed, inProgress := p.loads.totals()
			return succeeded == 40 && failed == 30 && inProgress == 0
		})
	})
}

func TestLoadReportsArriveThroughAllThatIsAbove(t *testing.T) {
	for name, config := range map[string]map[string]any{
		"with the answers": nil,
		"out of band":      {"enableOobLoadReport": true, "oobReportingPeriod": "0.5s"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t)
				p := newPlane(n)
				var hosts []*host
				var utilization atomic.Uint64
				utilization.Store(math.Float64bits(0.25))
				for _, address := range []string{"10.0.0.1:80", "10.0.0.2:80"} {
					reporter, err := orca.NewReporter(orca.WithUtilization(func() float64 {
						return math.Float64frombits(utilization.Load())
					}))
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { reporter.Close() })
					hosts = append(hosts, n.startWith(address, func(r grpc.ServiceRegistrar) { reporter.Register(r) }, reporter.ServerOptions()...))
				}
				p.publish(observed(config, 1000), locality("a", 1, 0, hosts...))
				c := p.client()
				n.awaitReady(hosts...)
				for _, want := range []float64{0.25, 0.75} {
					utilization.Store(math.Float64bits(want))
					n.await("the reported utilization", func() bool {
						if config == nil {
							c.counted(5)
						}
						for _, e := range n.endpoints() {
							if known := math.Abs(e.Utilization-want) < 0.001; !known { // false for NaN too
								return false
							}
						}
						return true
					})
				}
				n.idle()
			})
		})
	}
}

// inFlight is how many calls the policy knows of.
func (n *network) inFlight() (total int) {
	for _, e := range n.endpoints() {
		total += e.InFlight
	}
	return total
}
