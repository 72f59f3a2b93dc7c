package mesh

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/evenkeel/evenkeel/examples/mesh/internal/certs"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/control"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/fleet"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/protocol"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/supervisor"
)

func (m *mesh) startReplicas(ctx context.Context) error {
	executable, err := os.Executable()
	if err != nil {
		return err
	}
	m.supervisor = supervisor.New(supervisor.Config{
		Command:   []string{executable, "mesh-replica"},
		Replicas:  m.options.replicas,
		Restart:   m.options.restart,
		Configure: m.configure,
		Changed:   m.publish,
		Logger:    m.log,
	})
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	return m.supervisor.WaitReady(ctx)
}

// configure says what a replica is told at its start. It gets a new identity in
// each life.
func (m *mesh) configure(r fleet.Replica, last protocol.Ready) (*protocol.Config, []string, error) {
	own, err := m.ca.Issue(certs.ServiceID(r.ID.Service), r.ID.Service)
	if err != nil {
		return nil, nil, err
	}
	c := &protocol.Config{
		ID: r.ID.String(), Listen: loopback, Database: filepath.Join(m.data, r.ID.Service+".db"),
		JWKSFile: m.jwksFile(), APIKeySHA256: m.keys.APIKeySHA256(),
		Workers: r.Workers, Speed: r.Speed, ServiceTime: m.options.work,
	}
	c.CA, c.Cert, c.Key = own.PEM()
	if last.Address != "" {
		c.Listen = last.Address
	}
	// One of the services also embeds the gateway, as a user's would.
	if r.ID.Service == fleet.Talent {
		c.REST = loopback
		if last.REST != "" {
			c.REST = strings.TrimPrefix(last.REST, "http://")
		}
	}
	bootstrap := control.Bootstrap(m.plane.Address(), control.Node{ID: c.ID, Zone: zone(r.ID)})
	return c, replicaEnv(os.Environ(), bootstrap), nil
}

// replicaEnv is the parent's environment with another xDS bootstrap config.
func replicaEnv(environ []string, bootstrap []byte) []string {
	environ = slices.DeleteFunc(environ, func(v string) bool { return strings.HasPrefix(v, "GRPC_XDS_BOOTSTRAP") })
	return append(environ, "GRPC_XDS_BOOTSTRAP_CONFIG="+string(bootstrap))
}

// zone spreads a service's replicas over three zones.
func zone(id fleet.ID) string { return "zone-" + string(rune('a'+(id.Number-1)%3)) }

// publish tells the clients, and those who read the state file, how things stand.
func (m *mesh) publish(replicas []supervisor.Status) {
	endpoints := map[string][]control.Endpoint{}
	for _, r := range replicas {
		if r.Listed() {
			endpoints[r.ID.Service] = append(endpoints[r.ID.Service], control.Endpoint{
				Address: r.Address, Zone: zone(r.ID), Draining: r.State == supervisor.Draining,
			})
		}
	}
	for _, service := range fleet.Services() {
		if err := m.plane.Publish(service, endpoints[service]); err != nil {
			m.log.Error("endpoints not published", "cause", err)
		}
	}
	m.save()
}
