package orca

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	_ "google.golang.org/grpc/balancer/weightedroundrobin" // A standard client of reports.
	"google.golang.org/grpc/credentials/insecure"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	grpcorca "google.golang.org/grpc/orca"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/test/bufconn"
)

// TestThereIsAlwaysExactlyOneReport sets grpc's own option and others around
// and below the reporter: given two reports, clients drop both.
func TestThereIsAlwaysExactlyOneReport(t *testing.T) {
	record := func(ctx context.Context) error {
		if recorder := grpcorca.CallMetricsRecorderFromContext(ctx); recorder != nil {
			recorder.SetRequestCost("rows", 12)
			recorder.SetCPUUtilization(0.9)
		}
		return nil
	}
	ours := func(r *Reporter) []grpc.ServerOption { return r.ServerOptions() }
	theirs := func(p grpcorca.ServerMetricsProvider) []grpc.ServerOption {
		return []grpc.ServerOption{grpcorca.CallMetricsServerOption(p)}
	}
	for _, test := range []struct {
		name    string
		opts    func(*Reporter) []grpc.ServerOption
		unary   func(context.Context) error
		cost    bool // what the handler recorded is there
		numbers bool // what the reporter measured is there
	}{
		{
			name:    "ours alone",
			opts:    ours,
			numbers: true,
		},
		{
			name:    "ours, then theirs, nothing recorded",
			opts:    func(r *Reporter) []grpc.ServerOption { return append(ours(r), theirs(r)...) },
			numbers: true,
		},
		{
			name:  "ours, then theirs with the reporter as provider",
			opts:  func(r *Reporter) []grpc.ServerOption { return append(ours(r), theirs(r)...) },
			unary: record, cost: true, numbers: true,
		},
		{
			name:  "ours, then theirs without a provider",
			opts:  func(r *Reporter) []grpc.ServerOption { return append(ours(r), theirs(nil)...) },
			unary: record, cost: true,
		},
		{
			name:    "theirs, then ours, nothing recorded",
			opts:    func(r *Reporter) []grpc.ServerOption { return append(theirs(nil), ours(r)...) },
			numbers: true,
		},
		{
			name:  "theirs, then ours",
			opts:  func(r *Reporter) []grpc.ServerOption { return append(theirs(nil), ours(r)...) },
			unary: record, cost: true, numbers: true,
		},
		{
			name:    "ours twice",
			opts:    func(r *Reporter) []grpc.ServerOption { return append(ours(r), ours(r)...) },
			numbers: true,
		},
		{
			name: "the handler sets its own",
			opts: ours,
			unary: func(ctx context.Context) error {
				return grpc.SetTrailer(ctx, metadata.Pairs(trailerKey, ""))
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				reporter := newReporter(t, WithNamedMetric("queue", func() float64 { return 3 }))
				r := newRigWith(t, reporter, &methods{unary: test.unary}, test.opts(reporter))
				time.Sleep(2050 * time.Millisecond)
				report := r.report()
				if test.cost && (report.RequestCost["rows"] != 12 || report.CpuUtilization != 0.9) {
					t.Errorf("what the handler recorded is not in %v", report)
				}
				named := report.NamedMetrics
				if got := named["queue"] == 3 && named[MetricUptime] == 2; got != test.numbers {
					t.Errorf("the reporter's numbers are in the report: %v, want %v: %v", got, test.numbers, report)
				}
			})
		})
	}
}

// What calls take is for those who make none: it would be in every answer else, where it says
// less than the answer itself.
func TestALatencyDoesNotGoWithAnswersThatGRPCMakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reporter := newReporter(t)
		r := newRigWith(t, reporter, &methods{unary: func(ctx context.Context) error {
			time.Sleep(100 * time.Millisecond)
			grpcorca.CallMetricsRecorderFromContext(ctx).SetRequestCost("rows", 12)
			return nil
		}}, append(reporter.ServerOptions(), grpcorca.CallMetricsServerOption(reporter)))
		r.report()
		time.Sleep(1050 * time.Millisecond)
		report := r.report()
		if _, ok := report.NamedMetrics[MetricUptime]; !ok || report.RequestCost["rows"] != 12 {
			t.Fatalf("the answer's report is not what grpc makes with the reporter: %v", report)
		}
		if latency, ok := report.NamedMetrics[MetricLatency]; ok {
			t.Errorf("an answer says that calls take %v s", latency)
		}
		if metrics := r.ServerMetrics(); metrics.NamedMetrics[MetricLatency] != 0 || len(metrics.NamedMetrics) == 0 {
			t.Errorf("grpc is given %v", metrics.NamedMetrics)
		}
		if latency := r.Snapshot().Latency.Round(time.Microsecond); latency != 100*time.Millisecond {
			t.Errorf("a snapshot says that calls take %v, want 100 ms", latency)
		}
	})
}

// TestAStandardClientBalancesOnTheReports runs grpc's weighted_round_robin over
// a server that is full at 300 calls/s and one that is at 100 calls/s.
func TestAStandardClientBalancesOnTheReports(t *testing.T) {
	for _, config := range []string{
		`{"blackoutPeriod":"0s","enableOobLoadReport":false}`,
		`{"blackoutPeriod":"0s","enableOobLoadReport":true,"oobReportingPeriod":"0.5s"}`,
	} {
		synctest.Test(t, func(t *testing.T) {
			listeners := map[string]*bufconn.Listener{}
			served := map[string]*atomic.Int64{}
			var endpoints []resolver.Endpoint
			for name, perCall := range map[string]time.Duration{"large": time.Second / 300, "small": time.Second / 100} {
				m, count := &machine{cores: 1}, new(atomic.Int64)
				r := newRig(t, newReporter(t, withHost(m)), &methods{unary: func(context.Context) error {
					m.work(perCall)
					count.Add(1)
					return nil
				}})
				listeners[name], served[name] = bufconn.Listen(1<<20), count
				go r.server.Serve(listeners[name])
				endpoints = append(endpoints, resolver.Endpoint{Addresses: []resolver.Address{{Addr: name}}})
			}

			names := manual.NewBuilderWithScheme("test")
			names.InitialState(resolver.State{Endpoints: endpoints})
			conn, err := grpc.NewClient("test:///", grpc.WithResolvers(names),
				grpc.WithTransportCredentials(insecure.NewCredentials()),
				grpc.WithContextDialer(func(ctx context.Context, name string) (net.Conn, error) { return listeners[name].DialContext(ctx) }),
				grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"weighted_round_robin":`+config+`}]}`))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			call := func(n int) {
				for range n {
					if _, err := testgrpc.NewTestServiceClient(conn).EmptyCall(t.Context(), &testgrpc.Empty{}); err != nil {
						t.Fatal(err)
					}
					time.Sleep(10 * time.Millisecond)
				}
			}
			call(500) // It learns.
			large, small := served["large"].Load(), served["small"].Load()
			call(1000)
			large, small = served["large"].Load()-large, served["small"].Load()-small
			if ratio := float64(large) / float64(small); ratio < 2.8 || ratio > 3.2 {
				t.Errorf("%s: %d calls to the large server and %d to the small, want 3 to 1", config, large, small)
			}
		})
	}
}
