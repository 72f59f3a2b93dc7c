package orca_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"

	v3orcaservicegrpc "github.com/cncf/xds/go/xds/service/orca/v3"

	"github.com/evenkeel/evenkeel/orca"
)

type greeter struct {
	testgrpc.UnimplementedTestServiceServer
}

func (greeter) EmptyCall(context.Context, *testgrpc.Empty) (*testgrpc.Empty, error) {
	return &testgrpc.Empty{}, nil
}

// A server that reports its load with every answer and out of band, and drains
// when it stops.
func Example() {
	queue := make(chan struct{}, 100)
	reporter, err := orca.NewReporter(
		orca.WithQueue(func() int { return len(queue) }, 20), // Optional; else clients go by the CPU.
	)
	if err != nil {
		log.Fatal(err)
	}
	defer reporter.Close()

	server := grpc.NewServer(reporter.ServerOptions()...)
	testgrpc.RegisterTestServiceServer(server, greeter{})
	reporter.Register(server)

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go server.Serve(listener)

	// Any ORCA client can read it; this one asks out of band.
	report := firstReport(listener.Addr().String())
	fmt.Println("in flight:", report[orca.MetricInFlight])

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := reporter.Drain(ctx); err != nil {
		log.Print(err) // Some calls take longer than we wait.
	}
	server.GracefulStop()
	// Output: in flight: 0
}

func firstReport(address string) map[string]float64 {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stream, err := v3orcaservicegrpc.NewOpenRcaServiceClient(conn).StreamCoreMetrics(ctx, &v3orcaservicegrpc.OrcaLoadReportRequest{})
	if err != nil {
		log.Fatal(err)
	}
	report, err := stream.Recv()
	if err != nil {
		log.Fatal(err)
	}
	return report.GetNamedMetrics()
}
