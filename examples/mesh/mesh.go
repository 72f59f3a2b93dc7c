package mesh

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/xds"

	"github.com/evenkeel/evenkeel/balancer/choiceoftwo"
	"github.com/evenkeel/evenkeel/examples/mesh/data"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/admin"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/certs"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/control"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/door"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/fleet"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/keys"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/load"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/peers"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/protocol"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/state"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/supervisor"
)

const (
	// readyTimeout is how long everything may take to come up.
	readyTimeout = time.Minute
	// loopback is where replicas listen, at ports of the system's choice.
	loopback = "127.0.0.1:0"
)

// mesh is a running mesh: what its parent process holds.
type mesh struct {
	options options
	log     *slog.Logger
	failed  chan error // gets what breaks while it runs

	dir        string // private; removed in the end
	data       string
	keys       *keys.Keys
	ca         *certs.Authority
	monitor    *choiceoftwo.Monitor
	plane      *control.Plane
	supervisor *supervisor.Supervisor
	listener   net.Listener // until the door has it
	restURL    string
	door       *door.Door
	conns      []*grpc.ClientConn
	closeDoor  func() error // drains it
	admin      *admin.Server
	load       *load.Generator // nil if there is none
	endLoad    func()

	mu       sync.Mutex
	ready    bool
	file     *state.File     // nil if there is none
	registry *state.Registry // nil if there is none
	saved    []byte
}

// start brings a mesh up and returns when it answers. What it returns besides an
// error is to be stopped.
func start(ctx context.Context, o options, log *slog.Logger) (*mesh, error) {
	m := &mesh{
		options: o, log: log, failed: make(chan error, 2),
		closeDoor: func() error { return nil }, endLoad: func() {},
	}
	for _, step := range []func(context.Context) error{
		m.claim, m.makeSecrets, m.makeData, m.startPlane, m.startReplicas, m.openDoor, m.takeCommands, m.awaitAnswers,
	} {
		if err := step(ctx); err != nil {
			return m, err
		}
	}
	m.startLoad()
	return m, nil
}

// announce lets others find the mesh, from now until it stops.
func (m *mesh) announce() {
	m.mu.Lock()
	m.ready = true
	m.mu.Unlock()
	m.save()
}

// claim takes what the command line names and what others may hold already.
func (m *mesh) claim(context.Context) (err error) {
	if m.listener, err = net.Listen("tcp", m.options.listen); err != nil {
		return &UsageError{fmt.Errorf("--listen %s: %w; name another address", m.options.listen, cause(err))}
	}
	if m.options.state != "" {
		if m.file, err = state.Open(m.options.state); err != nil {
			return &UsageError{fmt.Errorf("--state: %w", err)}
		}
	}
	if m.registry, err = state.OpenRegistry(); err != nil {
		m.log.Warn("the mesh can be commanded by --state FILE only", "cause", err)
	}
	return nil
}

// cause leaves out the address, which is named already.
func cause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return op.Err
	}
	return err
}

func (m *mesh) makeSecrets(context.Context) (err error) {
	// MkdirTemp makes it 0700.
	if m.dir, err = os.MkdirTemp("", "evenkeel-mesh-*"); err != nil {
		return err
	}
	if m.ca, err = certs.NewAuthority(); err != nil {
		return err
	}
	if m.keys, err = keys.New(); err != nil {
		return err
	}
	return os.WriteFile(m.jwksFile(), m.keys.JWKS(), 0o600)
}

func (m *mesh) jwksFile() string { return filepath.Join(m.dir, "jwks.json") }

func (m *mesh) makeData(ctx context.Context) error {
	m.data = m.options.data
	if m.data == "" {
		m.data = filepath.Join(m.dir, "data")
	}
	return data.SeedAll(ctx, m.data)
}

// startPlane starts the control plane. From here on choice_of_two, wherever it is
// used in this process, is watched.
func (m *mesh) startPlane(context.Context) error {
	m.monitor = choiceoftwo.NewMonitor()
	balancer.Register(choiceoftwo.NewBuilder(choiceoftwo.WithMonitor(m.monitor)))
	// Reports out of band reach clients that make few calls, too, and tell at
	// once of a server that drains.
	config, err := choiceoftwo.Config{EnableOOBLoadReport: true, OOBReportingPeriod: time.Second}.MarshalJSON()
	if err != nil {
		return err
	}
	m.plane, err = control.Start(control.Config{
		Listen:   loopback,
		Services: fleet.Services(),
		Policy:   control.Policy{Name: choiceoftwo.Name, Config: config},
		Logger:   m.log,
	})
	return err
}

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

// openDoor opens the front door. Its channels are gRPC clients like any other,
// but for this: gRPC reads its bootstrap config from the environment when the
// process starts, and the control plane was not there then.
func (m *mesh) openDoor(context.Context) error {
	own, err := m.ca.Issue(certs.GatewayID)
	if err != nil {
		return err
	}
	resolver, err := xds.NewXDSResolverWithConfigForTesting(
		control.Bootstrap(m.plane.Address(), control.Node{ID: "gateway", Zone: "zone-a"}))
	if err != nil {
		return err
	}
	conns := map[string]grpc.ClientConnInterface{}
	for _, service := range fleet.Services() {
		conn, err := peers.Dial(service, own, grpc.WithResolvers(resolver))
		if err != nil {
			return err
		}
		m.conns = append(m.conns, conn)
		conns[service] = conn
	}
	m.door, err = door.New(door.Config{
		Trust:  door.Trust{JWKSFile: m.jwksFile(), APIKeySHA256: m.keys.APIKeySHA256()},
		Conns:  conns,
		Logger: m.log,
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	listener := m.listener
	m.listener = nil // the door's, from here on
	go func() {
		err := m.door.Serve(ctx, listener)
		if err != nil {
			m.failed <- fmt.Errorf("the front door broke: %w", err)
		}
		served <- err
	}()
	m.closeDoor = func() error {
		cancel()
		return <-served
	}
	m.restURL = restURL(listener.Addr())
	return nil
}

func (m *mesh) takeCommands(context.Context) (err error) {
	m.admin, err = admin.Start(m.supervisor)
	return err
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

func (m *mesh) startLoad() {
	if m.options.rate == 0 {
		return
	}
	m.load = load.New(load.Config{
		Rate: m.options.rate, URL: m.restURL,
		Token: func() (string, error) { return m.keys.Token(time.Now()) },
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := m.load.Run(ctx); err != nil && ctx.Err() == nil {
			m.log.Error("no load", "cause", err)
		}
	}()
	m.endLoad = func() {
		cancel()
		<-done
	}
}

// save writes the state file and enters the mesh in the registry, if it is
// announced and something has changed.
func (m *mesh) save() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.ready {
		return
	}
	f := m.facts()
	encoded, err := json.Marshal(f)
	if err != nil || string(encoded) == string(m.saved) {
		return
	}
	if m.file != nil {
		err = m.file.Write(f)
	}
	if m.registry != nil {
		err = errors.Join(err, m.registry.Enter(state.Entry{PID: f.PID, REST: f.REST, Admin: f.Admin}))
	}
	if err != nil {
		m.log.Error("state not written", "cause", err)
		return
	}
	m.saved = encoded
}

// facts are what others may know of the mesh.
func (m *mesh) facts() state.Mesh {
	token, err := m.keys.Token(time.Now())
	if err != nil {
		m.log.Error("no token", "cause", err)
	}
	f := state.Mesh{
		REST: m.restURL, Token: token, APIKey: m.keys.APIKey(), XDS: m.plane.Address(),
		PID: os.Getpid(), Admin: m.admin.Admin(), Replicas: []state.Replica{},
	}
	for _, r := range m.supervisor.Snapshot() {
		if r.Listed() {
			f.Replicas = append(f.Replicas, state.Replica{
				Service: r.ID.Service, ID: r.ID.String(), Address: r.Address, PID: r.PID, State: string(r.State), REST: r.REST,
			})
		}
	}
	return f
}

// stop ends everything in order: no new commands and no new load, the front door,
// the replicas, what they all used. It is quick about it when force is done.
func (m *mesh) stop(force context.Context) error {
	m.mu.Lock()
	m.ready = false // what is written from now on would outlive the mesh
	m.mu.Unlock()
	var errs []error
	if m.admin != nil {
		errs = append(errs, m.admin.Close())
	}
	drained := make(chan error, 1)
	go func() { drained <- m.closeDoor() }()
	m.endLoad()
	select {
	case err := <-drained:
		errs = append(errs, err)
	case <-force.Done():
	}
	if m.supervisor != nil {
		ctx, cancel := context.WithTimeout(force, stopTimeout)
		m.supervisor.Stop(ctx)
		cancel()
	}
	// The plane goes before its clients: closing channels answer what comes in by
	// a refusal, which would be logged.
	if m.plane != nil {
		errs = append(errs, m.plane.Close())
	}
	for _, conn := range m.conns {
		errs = append(errs, conn.Close())
	}
	if m.door != nil {
		errs = append(errs, m.door.Close())
	}
	if m.listener != nil {
		errs = append(errs, m.listener.Close())
	}
	if m.file != nil {
		errs = append(errs, m.file.Remove(os.Getpid()))
	}
	if m.registry != nil {
		errs = append(errs, m.registry.Leave(os.Getpid()))
	}
	if m.dir != "" {
		errs = append(errs, os.RemoveAll(m.dir))
	}
	return errors.Join(errs...)
}
