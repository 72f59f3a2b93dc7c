package replica

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/evenkeel/evenkeel/balancer/choiceoftwo"
	"github.com/evenkeel/evenkeel/examples/mesh/data"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/certs"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/control"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/keys"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/protocol"
	commonv1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/common/v1"
	moviev1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/movie/v1"
	talentv1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/talent/v1"
	"github.com/evenkeel/evenkeel/gateway/auth"
	"github.com/evenkeel/evenkeel/gateway/identity"
)

// patience is how long anything may take that takes no time on a machine that is
// not busy.
const patience = 60 * time.Second

// The test binary is also a replica's program.
func TestMain(m *testing.M) {
	if os.Getenv("REPLICA_TEST_PROCESS") != "" {
		if err := Run(context.Background(), os.Stdin, os.Stdout, slog.Default()); err != nil {
			slog.Error(err.Error())
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// TestAnyXDSServerWillDo starts the same program twice, and nothing differs but
// its bootstrap config: once it is led to the mesh's own control plane, once to
// another. Each time its calls to the movie service arrive.
func TestAnyXDSServerWillDo(t *testing.T) {
	f := newFixture(t)
	movie := f.start("movie/1", nil)

	plane, err := control.Start(control.Config{
		Listen: "127.0.0.1:0", Services: []string{"movie"}, Policy: control.Policy{Name: choiceoftwo.Name},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer plane.Close()
	if err := plane.Publish("movie", []control.Endpoint{{Address: movie.ready.Address, Zone: "a"}}); err != nil {
		t.Fatal(err)
	}
	for name, bootstrap := range map[string][]byte{
		"the mesh's own": control.Bootstrap(plane.Address(), control.Node{ID: "talent/1", Zone: "a"}),
		"a static one":   startStaticPlane(t, "movie", movie.ready.Address),
	} {
		talent := f.start("talent/1", bootstrap)
		conn := f.dial(talent, certs.GatewayID)
		person, err := talentv1.NewTalentServiceClient(conn).GetPerson(f.as("movies.read", "people.read"),
			&talentv1.GetPersonRequest{Name: "people/196", View: commonv1.View_VIEW_FULL}, grpc.WaitForReady(true))
		if err != nil || person.GetFilmography().GetMovieCount() == 0 {
			t.Errorf("%s: %v, %v", name, person, err)
		}
		talent.end()
	}
}

func TestAReplicaTakesCallersOnlyFromPeersThatMayName(t *testing.T) {
	f := newFixture(t)
	movie := f.start("movie/1", nil)
	get := func(ctx context.Context, peer string) codes.Code {
		_, err := moviev1.NewMovieServiceClient(f.dial(movie, peer)).GetMovie(ctx, &moviev1.GetMovieRequest{Name: "movies/1"})
		return status.Code(err)
	}
	for _, tt := range []struct {
		name string
		ctx  context.Context
		peer string
		want codes.Code
	}{
		{"the gateway for a caller", f.as("movies.read"), certs.GatewayID, codes.OK},
		{"a service for a caller", f.as("movies.read"), certs.ServiceID("talent"), codes.OK},
		{"the gateway for a caller without the scope", f.as("people.read"), certs.GatewayID, codes.PermissionDenied},
		{"the gateway for nobody", t.Context(), certs.GatewayID, codes.Unauthenticated},
		{"a stranger of the same authority", f.as("movies.read"), "spiffe://evenkeel.mesh/stranger", codes.PermissionDenied},
	} {
		if got := get(tt.ctx, tt.peer); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestAReplicaEndsWhenItsInputDoes(t *testing.T) {
	f := newFixture(t)
	r := f.start("production/1", nil)
	r.stdin.Close()
	if err := r.wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}

func TestAReplicaEndsWhenItIsDrained(t *testing.T) {
	f := newFixture(t)
	r := f.start("talent/1", nil)
	// A watch is a call with no end of its own.
	watch, err := talentv1.NewTalentServiceClient(f.dial(r, certs.GatewayID)).WatchPeople(f.as("people.read"), &talentv1.WatchPeopleRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Header(); err != nil {
		t.Fatal(err)
	}
	within := patience
	if err := json.NewEncoder(r.stdin).Encode(protocol.Command{Drain: &within}); err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("the watch ended with %v, want UNAVAILABLE, so that it is resumed elsewhere", err)
	}
	if err := r.wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}

func TestAReplicaThatIsToldNonsenseSaysWhatIsWrong(t *testing.T) {
	for input, want := range map[string]string{
		"":                                  "read config",
		"{":                                 "read config",
		`{"id": "movie"}`:                   `"movie"`,
		`{"id": "movie/1"}`:                 "listen",
		`{"id": "movie/1", "listen": ":0"}`: "database",
		`{"id": "movie/1", "listen": ":0", "database": "x"}`: "certs",
	} {
		err := Run(t.Context(), strings.NewReader(input), io.Discard, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", input, err, want)
		}
	}
}

// fixture is what replicas need around them.
type fixture struct {
	t    *testing.T
	dir  string
	ca   *certs.Authority
	keys *keys.Keys
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{t: t, dir: t.TempDir()}
	var err error
	if err = data.SeedAll(t.Context(), f.dir); err != nil {
		t.Fatal(err)
	}
	if f.ca, err = certs.NewAuthority(); err != nil {
		t.Fatal(err)
	}
	if f.keys, err = keys.New(); err != nil {
		t.Fatal(err)
	}
	if err = os.WriteFile(filepath.Join(f.dir, "jwks.json"), f.keys.JWKS(), 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

// process is a replica in a process of its own.
type process struct {
	t       *testing.T
	service string
	cmd     *exec.Cmd
	stdin   io.WriteCloser
	ready   protocol.Ready
	ended   chan error
}

func (f *fixture) start(id string, bootstrap []byte) *process {
	f.t.Helper()
	service, _, _ := strings.Cut(id, "/")
	own := f.issue(certs.ServiceID(service), service)
	config := protocol.Config{
		ID: id, Listen: "127.0.0.1:0", Database: filepath.Join(f.dir, service+".db"),
		JWKSFile: filepath.Join(f.dir, "jwks.json"), APIKeySHA256: f.keys.APIKeySHA256(),
		Workers: 2, Speed: 1,
	}
	config.CA, config.Cert, config.Key = own.PEM()
	if service == "talent" {
		config.REST = "127.0.0.1:0"
	}

	p := &process{t: f.t, service: service, cmd: exec.Command(os.Args[0]), ended: make(chan error, 1)}
	p.cmd.Env = append(os.Environ(), "REPLICA_TEST_PROCESS=1", "GORACE=atexit_sleep_ms=0", "GRPC_XDS_BOOTSTRAP_CONFIG="+string(bootstrap))
	p.cmd.Stderr = f.t.Output()
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		f.t.Fatal(err)
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		f.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(p.end)
	if err := json.NewEncoder(p.stdin).Encode(config); err != nil {
		f.t.Fatal(err)
	}
	var event protocol.Event
	err = json.NewDecoder(stdout).Decode(&event)
	go func() { p.ended <- p.cmd.Wait() }()
	if err != nil || event.Ready == nil {
		f.t.Fatalf("%s is not ready: %+v, %v", id, event, err)
	}
	if (event.Ready.REST != "") != (service == "talent") {
		f.t.Errorf("%s: %+v", id, event.Ready)
	}
	p.ready = *event.Ready
	return p
}

// wait waits for the process to end by itself.
func (p *process) wait() error {
	p.t.Helper()
	select {
	case err := <-p.ended:
		p.ended <- err
		return err
	case <-time.After(patience):
		p.t.Fatal("it did not end")
		return nil
	}
}

func (p *process) end() {
	p.stdin.Close()
	p.wait()
}

func (f *fixture) issue(id string, names ...string) *certs.Identity {
	f.t.Helper()
	identity, err := f.ca.Issue(id, names...)
	if err != nil {
		f.t.Fatal(err)
	}
	return identity
}

// dial connects to a replica as the peer with the given SPIFFE ID.
func (f *fixture) dial(p *process, peer string) *grpc.ClientConn {
	f.t.Helper()
	tls := f.issue(peer).ClientTLS()
	tls.ServerName = p.service
	conn, err := grpc.NewClient("passthrough:///"+p.ready.Address, grpc.WithTransportCredentials(credentials.NewTLS(tls)))
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { conn.Close() })
	return conn
}

// as returns a context for calls on behalf of a caller with the given scopes.
func (f *fixture) as(scopes ...string) context.Context {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), patience)
	f.t.Cleanup(cancel)
	ctx, err := identity.AppendToOutgoing(ctx, &auth.Principal{Subject: "test", Scopes: scopes, Method: auth.MethodJWT})
	if err != nil {
		f.t.Fatal(err)
	}
	return ctx
}
