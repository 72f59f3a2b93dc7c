package inprocess_test

import (
	"context"
	"fmt"

	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/evenkeel/evenkeel/gateway/inprocess"
)

func Example() {
	server, err := inprocess.New(inprocess.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	healthv1.RegisterHealthServer(server, health.NewServer())

	client := healthv1.NewHealthClient(server)
	answer, err := client.Check(context.Background(), &healthv1.HealthCheckRequest{})
	fmt.Println(answer.GetStatus(), err)
	// Output: SERVING <nil>
}
