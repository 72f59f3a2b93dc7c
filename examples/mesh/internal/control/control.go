// Package control is the mesh's xDS control plane: it tells every client that
// dials xds:///movie where the movie replicas are, which of them are draining,
// and by which policy to choose among them.
//
//	plane, err := control.Start(control.Config{
//		Listen:   "127.0.0.1:0",
//		Services: []string{"movie"},
//		Policy:   control.Policy{Name: "choice_of_two", Config: []byte(`{}`)},
//	})
//	defer plane.Close()
//	err = plane.Publish("movie", []control.Endpoint{{Address: "127.0.0.1:7001", Zone: "a"}})
//
// It serves the aggregated, state-of-the-world form of the xDS transport
// protocol, version 3, which is what gRPC clients speak (gRFC A27). Each kind of
// resource has versions of its own, so that a change of endpoints sends the
// endpoints of that one service and nothing else: no cluster, hence no policy
// config, is sent again.
//
// The plane speaks plaintext and should listen on a loopback address only. What
// it tells is no secret, and it cannot lure a client to a false server: clients
// of the mesh demand the service's certificate.
//
// Sources: the xDS transport protocol (envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol),
// gRFCs A27 (xDS), A47 (security), A52 (custom policies), A56 (priority).
package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc"
)

// Config says what a Plane serves.
type Config struct {
	// Listen is the address to listen on, for example 127.0.0.1:0.
	Listen string
	// Services are the names that clients may dial. At least one.
	Services []string
	// Policy chooses among a service's endpoints.
	Policy Policy
	// Logger hears which clients come, and what they refuse. Default: silence.
	Logger *slog.Logger
}

// Endpoint is one replica as clients should see it.
type Endpoint struct {
	// Address is an IP address and a port.
	Address string
	// Zone is where it is. Clients prefer nothing by it yet, but are told.
	Zone string
	// Draining endpoints get no new calls; those in flight go on.
	Draining bool
}

// Plane is a running control plane. Its methods may be called concurrently.
type Plane struct {
	services []string
	listener net.Listener
	server   *grpc.Server
	assigned *cache.LinearCache
	served   chan struct{}

	mu        sync.Mutex // held while publishing, so that the last word wins
	published map[string][]Endpoint
}

// Start validates everything that is to be served, listens and serves.
func Start(config Config) (*Plane, error) {
	if len(config.Services) == 0 {
		return nil, errors.New("control: no services to serve")
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	// Clients that reconnect show the version they hold. Another life of the
	// plane counts anew, so its versions must look different.
	prefix := strconv.FormatInt(time.Now().UnixNano(), 36) + "."
	caches, err := buildCaches(config, prefix)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", config.Listen)
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}

	p := &Plane{
		services:  config.Services,
		listener:  listener,
		server:    grpc.NewServer(),
		assigned:  caches[resource.EndpointType].(*cache.LinearCache),
		served:    make(chan struct{}),
		published: map[string][]Endpoint{},
	}
	mux := &cache.MuxCache{
		Classify:      func(r *discovery.DiscoveryRequest) string { return r.GetTypeUrl() },
		ClassifyDelta: func(r *discovery.DeltaDiscoveryRequest) string { return r.GetTypeUrl() },
		Caches:        caches,
	}
	discovery.RegisterAggregatedDiscoveryServiceServer(p.server,
		server.NewServer(context.Background(), mux, listenTo(config.Logger, prefix)))
	go func() {
		defer close(p.served)
		if err := p.server.Serve(listener); err != nil {
			config.Logger.Error("control plane stopped", "error", err)
		}
	}()
	return p, nil
}

// Address is where the plane listens.
func (p *Plane) Address() string { return p.listener.Addr().String() }

// Publish replaces the endpoints of a service. Clients that watch it are told
// at once; publishing what is already published tells nobody.
func (p *Plane) Publish(service string, endpoints []Endpoint) error {
	if !slices.Contains(p.services, service) {
		return fmt.Errorf("control: publish %q: there are %s", service, strings.Join(p.services, ", "))
	}
	assignment, err := Assignment(service, endpoints)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if old, ok := p.published[service]; ok && slices.Equal(old, endpoints) {
		return nil
	}
	if err := p.assigned.UpdateResource(service, assignment); err != nil {
		return fmt.Errorf("control: publish %q: %w", service, err)
	}
	p.published[service] = slices.Clone(endpoints)
	return nil
}

// Close stops serving. Clients keep using what they were told last.
func (p *Plane) Close() error {
	p.server.Stop()
	<-p.served
	return nil
}

// buildCaches makes a cache for each kind of resource. A LinearCache counts
// versions per resource, and sends what has changed and no more.
func buildCaches(config Config, prefix string) (map[string]cache.Cache, error) {
	listeners, routes := map[string]types.Resource{}, map[string]types.Resource{}
	clusters, assignments := map[string]types.Resource{}, map[string]types.Resource{}
	for _, service := range config.Services {
		cluster, err := Cluster(service, config.Policy)
		if err != nil {
			return nil, err
		}
		listener, err := Listener(service)
		if err != nil {
			return nil, err
		}
		listeners[service], routes[service], clusters[service] = listener, Route(service), cluster
		// A service without replicas is known to have none: clients then fail
		// calls at once instead of waiting for word.
		if assignments[service], err = Assignment(service, nil); err != nil {
			return nil, err
		}
	}
	linear := func(typeURL string, resources map[string]types.Resource) cache.Cache {
		return cache.NewLinearCache(typeURL, cache.WithVersionPrefix(prefix), cache.WithInitialResources(resources))
	}
	return map[string]cache.Cache{
		resource.ListenerType: linear(resource.ListenerType, listeners),
		resource.RouteType:    linear(resource.RouteType, routes),
		resource.ClusterType:  linear(resource.ClusterType, clusters),
		resource.EndpointType: linear(resource.EndpointType, assignments),
	}, nil
}

// listenTo logs what clients say. A refusal is a fault of ours that validation
// did not see, and must not pass unnoticed.
func listenTo(log *slog.Logger, prefix string) server.Callbacks {
	return server.CallbackFuncs{
		StreamRequestFunc: func(_ int64, r *discovery.DiscoveryRequest) error {
			detail := r.GetErrorDetail()
			if detail == nil {
				return nil
			}
			log.Error("xDS client refused a resource", "client", r.GetNode().GetId(), "type", r.GetTypeUrl(), "names", r.GetResourceNames(), "error", detail.GetMessage())
			// One that holds nothing yet would be sent the same again at once,
			// refuse it again, and so on. It holds a version now, if an empty one.
			r.VersionInfo = prefix
			return nil
		},
		StreamClosedFunc: func(_ int64, node *core.Node) {
			log.Debug("xDS client left", "client", node.GetId())
		},
	}
}
