package grpcjs

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"

	"github.com/evenkeel/evenkeel/internal/leaktest"
	"github.com/evenkeel/evenkeel/orca"
)

// needNode skips the test unless it was asked for.
func needNode(t *testing.T) {
	t.Helper()
	if os.Getenv("EVENKEEL_INTEROP") != "grpcjs" {
		t.Skip("needs Node.js: run ./run.sh")
	}
}

// server counts the calls it answers.
type server struct {
	testgrpc.UnimplementedTestServiceServer
	calls atomic.Int64
}

func (s *server) EmptyCall(context.Context, *testgrpc.Empty) (*testgrpc.Empty, error) {
	s.calls.Add(1)
	return &testgrpc.Empty{}, nil
}

// serve serves s on this machine, and returns its address.
func serve(t *testing.T, s *server, reporter *orca.Reporter) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer(reporter.ServerOptions()...)
	testgrpc.RegisterTestServiceServer(g, s)
	reporter.Register(g)
	go g.Serve(listener)
	t.Cleanup(func() {
		reporter.Close()
		g.Stop()
	})
	return listener.Addr().String()
}

// client runs client.mjs and calls line with each line that it prints.
func client(t *testing.T, line func(string), args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, "node", append([]string{"client.mjs"}, args...)...)
	command.Stderr = os.Stderr
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		line(lines.Text())
	}
	if err := command.Wait(); err != nil {
		t.Fatalf("node client.mjs %s: %v", strings.Join(args, " "), err)
	}
}

// report is an OrcaLoadReport as grpc-js decodes it; a field that is not there
// is not in the JSON.
type report struct {
	CPU         float64            `json:"cpu_utilization"`
	Mem         float64            `json:"mem_utilization"`
	RPS         float64            `json:"rps_fractional"`
	EPS         float64            `json:"eps"`
	Application float64            `json:"application_utilization"`
	Named       map[string]float64 `json:"named_metrics"`
}

func TestGRPCJSReadsTheReports(t *testing.T) {
	needNode(t)
	leaktest.Check(t)
	reporter, err := orca.NewReporter(
		orca.WithUtilization(func() float64 { return 0.25 }),
		orca.WithNamedMetric("queue", func() float64 { return 7 }))
	if err != nil {
		t.Fatal(err)
	}
	address := serve(t, new(server), reporter)
	// In real time, since Node has no other: the first measurement must be there.
	for reporter.Snapshot().Window == 0 {
		time.Sleep(time.Millisecond)
	}

	var saw struct{ PerCall, OutOfBand []report }
	client(t, func(line string) {
		if err := json.Unmarshal([]byte(line), &saw); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
	}, "report", address)

	if len(saw.PerCall) != 1 || len(saw.OutOfBand) != 3 {
		t.Fatalf("%d reports with the answer and %d out of band, want 1 and 3", len(saw.PerCall), len(saw.OutOfBand))
	}
	uptime := 0.0
	for i, got := range append(saw.PerCall, saw.OutOfBand...) {
		if math.Abs(got.Application-0.25) > 1e-9 || got.Named["queue"] != 7 {
			t.Errorf("report %d: %+v, want utilization 0.25 and a queue of 7", i, got)
		}
		if inFlight, ok := got.Named[orca.MetricInFlight]; !ok || inFlight != 0 {
			t.Errorf("report %d: in_flight %v (present: %v), want 0", i, inFlight, ok)
		}
		if got.Named[orca.MetricUptime] < uptime {
			t.Errorf("report %d: uptime went from %v to %v", i, uptime, got.Named[orca.MetricUptime])
		}
		uptime = got.Named[orca.MetricUptime]
	}
	if last := saw.OutOfBand[2]; last.RPS == 0 || uptime == 0 {
		t.Errorf("the last report is %+v, want the call made in rps_fractional, and an uptime", last)
	}
}

// TestGRPCJSBalancesOnTheReports has one server say that it is full at 30 calls/s
// and one that it is at 10. The numbers are low since grpc-js 1.14 treats an
// endpoint whose weight it does not know yet as one of about 1 call/s, and would
// starve it beside one of thousands.
func TestGRPCJSBalancesOnTheReports(t *testing.T) {
	needNode(t)
	for _, outOfBand := range []bool{false, true} {
		t.Run(fmt.Sprintf("out of band %v", outOfBand), func(t *testing.T) {
			leaktest.Check(t)
			large, largeAddress := sized(t, 30)
			small, smallAddress := sized(t, 10)
			var largeBefore, smallBefore int64
			client(t, func(line string) {
				if line == "learnt" {
					largeBefore, smallBefore = large.calls.Load(), small.calls.Load()
				}
			}, "balance", largeAddress+","+smallAddress, fmt.Sprint(outOfBand))
			largeCalls, smallCalls := large.calls.Load()-largeBefore, small.calls.Load()-smallBefore
			t.Logf("%d calls to the large server, %d to the small", largeCalls, smallCalls)
			if ratio := float64(largeCalls) / float64(smallCalls); ratio < 2.5 || ratio > 3.5 {
				t.Errorf("ratio %.2f, want about 3", ratio)
			}
		})
	}
}

// sized returns a server, and its address, that says it is used in proportion
// to the calls it gets, fully at capacity calls each second.
func sized(t *testing.T, capacity float64) (*server, string) {
	t.Helper()
	s := new(server)
	at, calls := time.Now(), int64(0) // When last asked, and the calls by then.
	reporter, err := orca.NewReporter(orca.WithUtilization(func() float64 {
		now, count := time.Now(), s.calls.Load()
		rate := float64(count-calls) / now.Sub(at).Seconds()
		at, calls = now, count
		return rate / capacity
	}))
	if err != nil {
		t.Fatal(err)
	}
	return s, serve(t, s, reporter)
}
