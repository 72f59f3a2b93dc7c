package mesh

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/balancer"

	"github.com/evenkeel/evenkeel/balancer/choiceoftwo"
	"github.com/evenkeel/evenkeel/examples/mesh/data"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/admin"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/certs"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/control"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/door"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/fleet"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/keys"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/load"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/state"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/supervisor"
	"github.com/evenkeel/evenkeel/gateway/telemetry/otelsetup"
)

const (
	// readyTimeout is how long everything may take to come up.
	readyTimeout = time.Minute
	// reportingPeriod is how often clients get load reports out of band. It is
	// shorter than the time after which they ping (see package peers).
	reportingPeriod = 5 * time.Second
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
	explainer  *choiceoftwo.Explainer
	plane      *control.Plane
	supervisor *supervisor.Supervisor
	listener   net.Listener // until the door has it
	restURL    string
	inside     net.Listener // of the door's admin pages, until the door has it
	insideURL  string
	door       *door.Door
	telemetry  *otelsetup.Pipeline // of the door and its channels
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

// claim takes what the command line names and what others may hold already.
func (m *mesh) claim(context.Context) (err error) {
	if m.listener, err = net.Listen("tcp", m.options.listen); err != nil {
		return &UsageError{fmt.Errorf("--listen %s: %w; name another address", m.options.listen, cause(err))}
	}
	if m.inside, err = net.Listen("tcp", m.options.admin); err != nil {
		return &UsageError{fmt.Errorf("--admin %s: %w; name another address", m.options.admin, cause(err))}
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
	err := data.SeedAll(ctx, m.data)
	if err != nil && m.options.data != "" && ctx.Err() == nil {
		err = &UsageError{fmt.Errorf("--data %s: %w", m.data, err)}
	}
	return err
}

// startPlane starts the control plane. From here on choice_of_two, wherever it is
// used in this process, is watched.
func (m *mesh) startPlane(context.Context) error {
	m.monitor = choiceoftwo.NewMonitor()
	m.explainer = choiceoftwo.NewExplainer(explained)
	m.explainer.SampleOneIn(1)
	balancer.Register(choiceoftwo.NewBuilder(choiceoftwo.WithMonitor(m.monitor), choiceoftwo.WithExplainer(m.explainer)))
	// Reports out of band reach clients that make few calls, too, and tell at
	// once of a server that drains.
	config, err := choiceoftwo.Config{EnableOOBLoadReport: true, OOBReportingPeriod: reportingPeriod}.MarshalJSON()
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

func (m *mesh) takeCommands(context.Context) (err error) {
	m.admin, err = admin.Start(m.supervisor, m.explain)
	return err
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
	go func() {
		m.endLoad()
		drained <- m.closeDoor()
	}()
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
	if m.telemetry != nil {
		ctx, cancel := context.WithTimeout(force, stopTimeout)
		errs = append(errs, m.telemetry.Shutdown(ctx))
		cancel()
	}
	for _, l := range []net.Listener{m.listener, m.inside} {
		if l != nil {
			errs = append(errs, l.Close())
		}
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
