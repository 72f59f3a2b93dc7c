package otelsetup_test

import (
	"context"
	"log"
	"net/http"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/evenkeel/evenkeel/gateway"
	"github.com/evenkeel/evenkeel/gateway/telemetry/otelsetup"
)

// A door that Prometheus watches, and that sends traces where
// OTEL_EXPORTER_OTLP_ENDPOINT says.
func Example() {
	pipeline, err := otelsetup.New(context.Background(), otelsetup.Config{ServiceName: "door"})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = pipeline.Shutdown(context.Background()) }()

	conn, err := grpc.NewClient("dns:///movies.example.internal:443",
		append(pipeline.Telemetry.DialOptions(), grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = conn.Close() }()

	g, err := gateway.New(gateway.Config{Telemetry: pipeline.Telemetry})
	if err != nil {
		log.Fatal(err)
	}
	_ = g // gateway.Mount(g, … Conn: conn …), g.Serve(…)

	private := http.NewServeMux() // for a listener of its own
	private.Handle("/metrics", pipeline.Metrics)
}
