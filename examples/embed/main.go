// Command embed is the smallest whole use of Evenkeel: two gRPC servers that tell
// how busy they are, a client that balances by it, and a REST gateway in front.
//
//	go run ./examples/embed
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/signal"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	"github.com/evenkeel/evenkeel/balancer/choiceoftwo"
	hellov1 "github.com/evenkeel/evenkeel/examples/embed/proto/hello/v1"
	"github.com/evenkeel/evenkeel/gateway"
	"github.com/evenkeel/evenkeel/orca"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, "127.0.0.1:8081", os.Stdout); err != nil {
		log.Fatal(err)
	}
}

type server struct {
	hellov1.UnimplementedHelloServiceServer
	name string
}

func (s *server) SayHello(_ context.Context, r *hellov1.SayHelloRequest) (*hellov1.SayHelloResponse, error) {
	return &hellov1.SayHelloResponse{Greeting: "Hello, " + r.GetName() + "!", Server: s.name}, nil
}

// serve starts a server that reports its load.
func serve(name string) (address string, stop func(), err error) {
	reporter, err := orca.NewReporter()
	if err != nil {
		return "", nil, err
	}
	s := grpc.NewServer(reporter.ServerOptions()...)
	reporter.Register(s)
	hellov1.RegisterHelloServiceServer(s, &server{name: name})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	go s.Serve(listener)
	return listener.Addr().String(), func() { s.GracefulStop(); reporter.Close() }, nil
}

func run(ctx context.Context, listen string, out io.Writer) error {
	var servers resolver.State
	for _, name := range []string{"one", "two"} {
		address, stop, err := serve(name)
		if err != nil {
			return err
		}
		defer stop()
		servers.Addresses = append(servers.Addresses, resolver.Address{Addr: address})
	}
	found := manual.NewBuilderWithScheme("example") // dns:/// or xds:/// in real life
	found.InitialState(servers)
	conn, err := grpc.NewClient("example:///hello", grpc.WithResolvers(found),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(choiceoftwo.Config{}.ServiceConfig()))
	if err != nil {
		return err
	}
	defer conn.Close()

	door, err := gateway.New(gateway.Config{})
	if err != nil {
		return err
	}
	if err := gateway.Mount(door, gateway.Service[hellov1.HelloServiceClient]{
		Desc: &hellov1.HelloService_ServiceDesc, Conn: conn,
		NewClient: hellov1.NewHelloServiceClient, Register: hellov1.RegisterHelloServiceHandlerClient,
	}); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "curl http://%s/v1/hello/you   # again and again: the server changes\n", listener.Addr())
	return door.Serve(ctx, listener)
}
