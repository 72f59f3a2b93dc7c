// Command backend serves the movies over gRPC, as a server does that was told
// nothing in particular.
package main

import (
	"log"
	"net"

	"google.golang.org/grpc"

	"github.com/evenkeel/evenkeel/gateway/internal/throughput/child"
	"github.com/evenkeel/evenkeel/gateway/internal/throughput/movies"
)

func main() {
	if err := run(); err != nil {
		log.Fatal("backend: ", err)
	}
}

func run() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	if err := movies.Register(server); err != nil {
		return err
	}
	go func() { _ = server.Serve(listener) }()
	defer server.Stop()
	return child.Answer(listener.Addr().String())
}
