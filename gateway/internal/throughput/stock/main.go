// Command stock is grpc-gateway as its documentation has it, with nothing
// besides: a mux, a connection, and net/http.
package main

import (
	"context"
	"flag"
	"log"
	"net"
	"net/http"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	moviev1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/movie/v1"
	"github.com/evenkeel/evenkeel/gateway/internal/throughput/child"
	"github.com/evenkeel/evenkeel/gateway/internal/throughput/routes"
)

func main() {
	backend := flag.String("backend", "", "where the movies are")
	count := flag.Int("routes", routes.PerService, "how many routes there are")
	flag.Parse()
	if err := run(*backend, *count); err != nil {
		log.Fatal("stock: ", err)
	}
}

func run(backend string, count int) error {
	conn, err := grpc.NewClient(backend, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	mux := runtime.NewServeMux()
	if err := register(mux, conn, count); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: mux}
	go func() { _ = server.Serve(listener) }()
	defer func() { _ = server.Close() }()
	return child.Answer(listener.Addr().String())
}

// register puts the movies in the middle: the mux looks at the newest first.
func register(mux *runtime.ServeMux, conn *grpc.ClientConn, count int) error {
	others, err := routes.Declare(count)
	if err != nil {
		return err
	}
	ctx := context.Background()
	for i := range others[:len(others)/2] {
		if err := others[i].Register(ctx, mux, conn); err != nil {
			return err
		}
	}
	if err := moviev1.RegisterMovieServiceHandler(ctx, mux, conn); err != nil {
		return err
	}
	for i := range others[len(others)/2:] {
		if err := others[len(others)/2+i].Register(ctx, mux, conn); err != nil {
			return err
		}
	}
	return nil
}
