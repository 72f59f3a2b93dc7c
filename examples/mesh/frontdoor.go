package mesh

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/xds"

	"github.com/evenkeel/evenkeel/examples/mesh/internal/certs"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/control"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/door"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/fleet"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/peers"
	"github.com/evenkeel/evenkeel/gateway"
	"github.com/evenkeel/evenkeel/gateway/telemetry/otelsetup"
)

// openDoor opens the front door. Its channels are gRPC clients like any other,
// but for this: gRPC reads its bootstrap config from the environment when the
// process starts, and the control plane was not there then.
func (m *mesh) openDoor(ctx context.Context) error {
	own, err := m.ca.Issue(certs.GatewayID)
	if err != nil {
		return err
	}
	resolver, err := xds.NewXDSResolverWithConfigForTesting(
		control.Bootstrap(m.plane.Address(), control.Node{ID: "gateway", Zone: "zone-a"}))
	if err != nil {
		return err
	}
	// Without OTEL_ variables it makes metrics for the admin pages, and no traces.
	if m.telemetry, err = otelsetup.New(ctx, otelsetup.Config{ServiceName: "evenkeel-mesh-door"}); err != nil {
		return err
	}
	options := append(gateway.DialOptions(), m.telemetry.Telemetry.DialOptions()...)
	options = append(options, grpc.WithResolvers(resolver))
	conns := map[string]grpc.ClientConnInterface{}
	for _, service := range fleet.Services() {
		conn, err := peers.Dial(service, own, options...)
		if err != nil {
			return err
		}
		m.conns = append(m.conns, conn)
		conns[service] = conn
	}
	m.door, err = door.New(door.Config{
		Trust:    door.Trust{JWKSFile: m.jwksFile(), APIKeySHA256: m.keys.APIKeySHA256()},
		Conns:    conns,
		Logger:   m.log,
		Pipeline: m.telemetry,
	})
	if err != nil {
		return err
	}
	serving, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	listener := m.listener
	m.listener = nil // the door's, from here on
	go func() {
		err := m.door.Serve(serving, listener)
		if err != nil {
			m.failed <- fmt.Errorf("the front door broke: %w", err)
		}
		served <- err
	}()
	m.restURL = restURL(listener.Addr())
	// The admin listener outlives the door, so that its drain can be watched.
	adminCtx, endAdmin := context.WithCancel(context.Background())
	adminDone := make(chan error, 1)
	inside := m.inside
	m.inside = nil // the door's, from here on
	go func() { adminDone <- m.door.ServeAdmin(adminCtx, inside) }()
	m.insideURL = restURL(inside.Addr())
	m.closeDoor = func() error {
		cancel()
		err := <-served
		endAdmin()
		return errors.Join(err, <-adminDone)
	}
	return nil
}

// awaitAnswers waits until each service answers through the front door.
func (m *mesh) awaitAnswers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for _, path := range []string{"/v1/movies", "/v1/productions", "/v1/people"} {
		if err := m.awaitAnswer(ctx, path); err != nil {
			return err
		}
	}
	return nil
}

func (m *mesh) awaitAnswer(ctx context.Context, path string) error {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		status, err := m.ask(ctx, &client, path)
		if err == nil && status == http.StatusOK {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the front door does not serve %s (status %d): %w", path, status, errors.Join(err, ctx.Err()))
		case err := <-m.failed:
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (m *mesh) ask(ctx context.Context, client *http.Client, path string) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, m.restURL+path+"?page_size=1", nil)
	if err != nil {
		return 0, err
	}
	request.Header.Set("X-API-Key", m.keys.APIKey())
	answer, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	return answer.StatusCode, answer.Body.Close()
}
