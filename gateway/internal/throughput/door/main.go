// Command door is this project's front door, with all of it on or all of it off,
// before the movies or beside them.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	moviev1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/movie/v1"
	"github.com/evenkeel/evenkeel/gateway"
	"github.com/evenkeel/evenkeel/gateway/auth"
	"github.com/evenkeel/evenkeel/gateway/inprocess"
	"github.com/evenkeel/evenkeel/gateway/internal/throughput/child"
	"github.com/evenkeel/evenkeel/gateway/internal/throughput/movies"
	plainv1 "github.com/evenkeel/evenkeel/gateway/internal/throughput/proto/plain/movie/v1"
	"github.com/evenkeel/evenkeel/gateway/internal/throughput/routes"
	"github.com/evenkeel/evenkeel/gateway/overload"
	"github.com/evenkeel/evenkeel/gateway/ratelimit"
	"github.com/evenkeel/evenkeel/gateway/telemetry"
	gatewayv1 "github.com/evenkeel/evenkeel/proto/evenkeel/gateway/v1"
)

type options struct {
	backend, jwks, issuer, audience, log string

	routes      int
	off         bool
	grpcMetrics bool
}

func main() {
	var o options
	flag.StringVar(&o.backend, "backend", "", "where the movies are; empty for in this process")
	flag.IntVar(&o.routes, "routes", routes.PerService, "how many routes there are")
	flag.BoolVar(&o.off, "off", false, "leave out whatever can be")
	flag.BoolVar(&o.grpcMetrics, "grpc-metrics", true, "have gRPC tell of its calls, too, and not only the door of its own")
	flag.StringVar(&o.jwks, "jwks", "", "the file with the keys of tokens")
	flag.StringVar(&o.issuer, "issuer", "", "who issues tokens")
	flag.StringVar(&o.audience, "audience", "", "for whom tokens are")
	flag.StringVar(&o.log, "log", os.DevNull, "the file that the access log goes to")
	flag.Parse()
	if err := run(o); err != nil {
		log.Fatal("door: ", err)
	}
}

func run(o options) error {
	config := gateway.Config{Logger: slog.New(slog.DiscardHandler)}
	if !o.off {
		closeConfig, err := o.turnOn(&config)
		if err != nil {
			return err
		}
		defer closeConfig()
	}
	conn, closeConn, err := o.connect(config.Telemetry)
	if err != nil {
		return err
	}
	defer closeConn()
	config.Drain.Delay = -1 // nothing stands in front
	g, err := gateway.New(config)
	if err != nil {
		return err
	}
	if err := o.mount(g, conn); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- g.Serve(ctx, listener) }()
	err = child.Answer(listener.Addr().String())
	stop()
	if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}

// connect dials the movies, or has them in this process.
func (o options) connect(t *telemetry.Telemetry) (grpc.ClientConnInterface, func(), error) {
	if o.backend == "" {
		server, err := inprocess.New(inprocess.Config{})
		if err != nil {
			return nil, nil, err
		}
		return t.WrapConn(server), func() { _ = server.Close() }, movies.Register(server)
	}
	options := append(gateway.DialOptions(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if o.grpcMetrics {
		options = append(options, t.DialOptions()...)
	}
	conn, err := grpc.NewClient(o.backend, options...)
	if err != nil {
		return nil, nil, err
	}
	return conn, func() { _ = conn.Close() }, nil
}

// turnOn turns on what can be left out: authentication, limits, the log and
// metrics.
// What the protos say is always on.
func (o options) turnOn(config *gateway.Config) (func(), error) {
	tokens, err := auth.NewJWT(auth.JWTConfig{Issuer: o.issuer, Audiences: []string{o.audience}, JWKSFile: o.jwks})
	if err != nil {
		return nil, err
	}
	// Opened as an access log is: every record is one write.
	file, err := os.OpenFile(o.log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, errors.Join(err, tokens.Close())
	}
	// The reader is asked by nobody, as one is asked a few times a minute.
	meters := metric.NewMeterProvider(metric.WithReader(metric.NewManualReader()))
	if config.Telemetry, err = telemetry.New(telemetry.Config{MeterProvider: meters}); err != nil {
		return nil, errors.Join(err, file.Close(), tokens.Close())
	}
	config.Authenticators = []auth.Authenticator{tokens}
	config.Logger = slog.New(slog.NewJSONHandler(file, nil))
	config.RateLimit = ratelimit.Config{Policies: []ratelimit.Policy{
		{Name: "caller", Rate: ratelimit.Rate{Requests: 1_000_000, Period: time.Second}},
	}}
	return func() {
		_ = config.Telemetry.Close()
		_ = tokens.Close()
		_ = file.Close()
	}, nil
}

// mount mounts the movies among as many others as there are to be.
func (o options) mount(g *gateway.Gateway, conn grpc.ClientConnInterface) error {
	others, err := routes.Declare(o.routes)
	if err != nil {
		return err
	}
	for i := range others {
		if i == len(others)/2 {
			if err := o.mountMovies(g, conn); err != nil {
				return err
			}
		}
		if err := gateway.Mount(g, gateway.Service[grpc.ClientConnInterface]{
			Desc: &grpc.ServiceDesc{ServiceName: others[i].Name}, Conn: conn,
			NewClient: func(c grpc.ClientConnInterface) grpc.ClientConnInterface { return c },
			Register:  others[i].Register,
		}); err != nil {
			return err
		}
	}
	if len(others) == 0 {
		return o.mountMovies(g, conn)
	}
	return nil
}

func (o options) mountMovies(g *gateway.Gateway, conn grpc.ClientConnInterface) error {
	if o.off {
		public := &gatewayv1.Access{Rule: &gatewayv1.Access_Public{Public: true}}
		return gateway.Mount(g, gateway.Service[plainv1.MovieServiceClient]{
			Desc: &plainv1.MovieService_ServiceDesc, Conn: conn,
			NewClient: plainv1.NewMovieServiceClient, Register: plainv1.RegisterMovieServiceHandlerClient,
			Access: map[string]*gatewayv1.Access{"GetMovie": public, "ListMovies": public, "CreateMovie": public},
		})
	}
	limiter, err := overload.New(overload.Config{})
	if err != nil {
		return err
	}
	return gateway.Mount(g, gateway.Service[moviev1.MovieServiceClient]{
		Desc: &moviev1.MovieService_ServiceDesc, Conn: conn,
		NewClient: moviev1.NewMovieServiceClient, Register: moviev1.RegisterMovieServiceHandlerClient,
		Overload: limiter,
	})
}
