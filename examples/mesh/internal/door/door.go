// Package door serves the mesh's services as REST, through Evenkeel's gateway.
// The mesh's front door and the door that a talent replica keeps for itself are
// both made here:
//
//	d, err := door.New(door.Config{
//		Trust: door.Trust{JWKSFile: "jwks.json", APIKeySHA256: hash},
//		Conns: map[string]grpc.ClientConnInterface{"movie": conn},
//	})
//	defer d.Close()
//	err = d.Serve(ctx, listener)
package door

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc"

	"github.com/evenkeel/evenkeel/examples/mesh/internal/fleet"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/keys"
	moviev1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/movie/v1"
	productionv1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/production/v1"
	talentv1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/talent/v1"
	"github.com/evenkeel/evenkeel/gateway"
	"github.com/evenkeel/evenkeel/gateway/admin"
	"github.com/evenkeel/evenkeel/gateway/auth"
	"github.com/evenkeel/evenkeel/gateway/retry"
	"github.com/evenkeel/evenkeel/gateway/telemetry"
	"github.com/evenkeel/evenkeel/gateway/telemetry/otelsetup"
)

// Config says what a door serves, and to whom.
type Config struct {
	// Trust says whose credentials hold.
	Trust Trust
	// Conns are the services to serve, by name, and the ways to them.
	Conns map[string]grpc.ClientConnInterface
	// Logger takes what goes wrong in the door itself.
	Logger *slog.Logger
	// Pipeline takes what the door does, and shows it at /metrics on its admin
	// pages. Nil: nothing is told. Whoever made it shuts it down.
	Pipeline *otelsetup.Pipeline
}

// Trust says whose credentials hold.
type Trust struct {
	JWKSFile     string
	APIKeySHA256 string
}

const (
	// callTimeout is how long a call may take whose caller does not say.
	callTimeout = 5 * time.Second
	// drainTimeout is how long calls in flight may take at the end.
	drainTimeout = 3 * time.Second
)

// Door is an open door.
type Door struct {
	gateway *gateway.Gateway
	admin   *admin.Admin
	tokens  *auth.JWT
}

// New makes a door.
func New(config Config) (*Door, error) {
	tokens, err := auth.NewJWT(auth.JWTConfig{
		Issuer:    keys.Issuer,
		Audiences: []string{keys.Audience},
		JWKSFile:  config.Trust.JWKSFile,
		Logger:    config.Logger,
	})
	if err != nil {
		return nil, err
	}
	d := &Door{tokens: tokens}
	config.Logger = slog.New(errorsOnly{config.Logger.Handler()})
	if err := d.open(config); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

func (d *Door) open(config Config) error {
	apiKeys, err := auth.NewAPIKeys(auth.APIKeysConfig{Keys: []auth.APIKey{
		{SHA256: config.Trust.APIKeySHA256, Subject: keys.Subject, Scopes: keys.Scopes()},
	}})
	if err != nil {
		return err
	}
	var told *telemetry.Telemetry
	var metrics map[string]http.Handler
	if p := config.Pipeline; p != nil {
		told, metrics = p.Telemetry, map[string]http.Handler{"/metrics": p.Metrics}
	}
	d.gateway, err = gateway.New(gateway.Config{
		Authenticators: []auth.Authenticator{d.tokens, apiKeys},
		Logger:         config.Logger,
		Telemetry:      told,
		Timeouts:       gateway.Timeouts{Call: callTimeout},
		Drain:          gateway.Drain{Delay: -1, Timeout: drainTimeout}, // nothing stands in front
		OpenAPI:        &gateway.OpenAPI{Title: "The mesh", Version: "1.0.0", Description: "Films, who makes them and who is in them."},
	})
	if err != nil {
		return err
	}
	if d.admin, err = admin.New(d.gateway, admin.Config{Profiles: true, Handlers: metrics}); err != nil {
		return err
	}
	for service, conn := range config.Conns {
		if err := mount(d.gateway, service, conn); err != nil {
			return err
		}
	}
	return nil
}

func mount(g *gateway.Gateway, service string, conn grpc.ClientConnInterface) error {
	switch service {
	case fleet.Movie:
		return gateway.Mount(g, gateway.Service[moviev1.MovieServiceClient]{
			Desc: &moviev1.MovieService_ServiceDesc, Conn: conn,
			NewClient: moviev1.NewMovieServiceClient, Register: moviev1.RegisterMovieServiceHandlerClient,
			Retry: &retry.Config{}, // GETs only, see package retry
		})
	case fleet.Production:
		return gateway.Mount(g, gateway.Service[productionv1.ProductionServiceClient]{
			Desc: &productionv1.ProductionService_ServiceDesc, Conn: conn,
			NewClient: productionv1.NewProductionServiceClient, Register: productionv1.RegisterProductionServiceHandlerClient,
			Retry: &retry.Config{}, // GETs only, see package retry
		})
	case fleet.Talent:
		return gateway.Mount(g, gateway.Service[talentv1.TalentServiceClient]{
			Desc: &talentv1.TalentService_ServiceDesc, Conn: conn,
			NewClient: talentv1.NewTalentServiceClient, Register: talentv1.RegisterTalentServiceHandlerClient,
			Retry: &retry.Config{}, // GETs only, see package retry
		})
	default:
		return fmt.Errorf("door: there is no service %q", service)
	}
}

// Serve answers requests until ctx is done, then drains.
func (d *Door) Serve(ctx context.Context, listener net.Listener) error {
	return d.gateway.Serve(ctx, listener)
}

// ServeAdmin shows the door to those who run it until ctx is done, which is to be
// after Serve.
func (d *Door) ServeAdmin(ctx context.Context, listener net.Listener) error {
	return d.admin.Serve(ctx, listener)
}

// Close ends what runs in the background. Call it after Serve.
func (d *Door) Close() error { return d.tokens.Close() }

// errorsOnly is a slog.Handler for what went wrong inside. Failed requests are
// no news here: the table shows them.
type errorsOnly struct{ slog.Handler }

func (e errorsOnly) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelError && e.Handler.Enabled(ctx, level)
}

func (e errorsOnly) WithAttrs(attrs []slog.Attr) slog.Handler {
	return errorsOnly{e.Handler.WithAttrs(attrs)}
}

func (e errorsOnly) WithGroup(name string) slog.Handler { return errorsOnly{e.Handler.WithGroup(name)} }
