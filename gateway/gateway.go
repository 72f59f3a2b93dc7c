package gateway

import (
	"context"
	"net"
	"net/http"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
)

// A Gateway is a front door. Its methods may be called concurrently.
type Gateway struct{}

// New returns a gateway with nothing mounted.
func New(config Config) (*Gateway, error) { return &Gateway{}, nil }

// A Service is a gRPC service with its generated handlers.
type Service[C any] struct {
	// Desc is the generated description, such as MovieService_ServiceDesc.
	Desc *grpc.ServiceDesc
	// Conn is the upstream.
	Conn grpc.ClientConnInterface
	// NewClient is the generated constructor, such as NewMovieServiceClient.
	NewClient func(grpc.ClientConnInterface) C
	// Register is the generated registration, such as
	// RegisterMovieServiceHandlerClient.
	Register func(context.Context, *runtime.ServeMux, C) error
}

// Mount adds a service to g.
func Mount[C any](g *Gateway, service Service[C]) error { return nil }

// ServeHTTP answers a request.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {}

// Serve answers requests that come in at listener until ctx is done, then drains.
func (g *Gateway) Serve(ctx context.Context, listener net.Listener) error { return nil }
