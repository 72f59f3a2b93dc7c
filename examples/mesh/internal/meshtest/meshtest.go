// Package meshtest runs the mesh's three services within a test, over gRPC in memory
// and with the real films, wired to one another.
//
//	mesh := meshtest.Start(t)
//	movie, err := mesh.Movies.GetMovie(ctx, &moviev1.GetMovieRequest{Name: "movies/1"})
//	mesh.Fail("production", status.Error(codes.Unavailable, "down"))
package meshtest

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/evenkeel/evenkeel/examples/mesh/data"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/movie"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/production"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/store"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/talent"
	moviev1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/movie/v1"
	productionv1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/production/v1"
	talentv1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/talent/v1"
)

// Mesh is the running services. Of the movie service there are two replicas.
type Mesh struct {
	Movies      moviev1.MovieServiceClient
	OtherMovies moviev1.MovieServiceClient // the other replica
	Productions productionv1.ProductionServiceClient
	People      talentv1.TalentServiceClient

	MovieServer *movie.Server // the one behind Movies
	MovieStore  *store.DB     // opened once more, as by one more replica

	dir      string
	options  []store.Option
	failures map[string]*atomic.Pointer[error]
}

// Start runs a mesh that ends with the test.
func Start(t testing.TB, options ...store.Option) *Mesh {
	t.Helper()
	m := &Mesh{dir: t.TempDir(), options: options, failures: map[string]*atomic.Pointer[error]{
		"movie": {}, "production": {}, "talent": {},
	}}
	for name, content := range seeded(t) {
		if err := os.WriteFile(filepath.Join(m.dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// The services know one another by connections that lead somewhere only when all run.
	movies, movieListener := m.dial(t, "movie")
	otherMovies, otherListener := m.dial(t, "movie")
	productions, productionListener := m.dial(t, "production")
	people, talentListener := m.dial(t, "talent")
	m.Movies = moviev1.NewMovieServiceClient(movies)
	m.OtherMovies = moviev1.NewMovieServiceClient(otherMovies)
	m.Productions = productionv1.NewProductionServiceClient(productions)
	m.People = talentv1.NewTalentServiceClient(people)

	m.MovieStore = m.open(t, "movie.db")
	m.MovieServer = movie.New(m.open(t, "movie.db"), m.Productions, m.People)
	serve(t, movieListener, func(s *grpc.Server) { moviev1.RegisterMovieServiceServer(s, m.MovieServer) })
	serve(t, otherListener, func(s *grpc.Server) {
		moviev1.RegisterMovieServiceServer(s, movie.New(m.open(t, "movie.db"), m.Productions, m.People))
	})
	serve(t, productionListener, func(s *grpc.Server) {
		productionv1.RegisterProductionServiceServer(s, production.New(m.open(t, "production.db"), m.Movies))
	})
	serve(t, talentListener, func(s *grpc.Server) {
		talentv1.RegisterTalentServiceServer(s, talent.New(m.open(t, "talent.db"), m.Movies))
	})
	return m
}

// Fail has calls to a service (movie, production, talent) fail; nil ends that.
func (m *Mesh) Fail(service string, err error) {
	if err == nil {
		m.failures[service].Store(nil)
		return
	}
	m.failures[service].Store(&err)
}

func (m *Mesh) open(t testing.TB, file string) *store.DB {
	t.Helper()
	db, err := store.Open(context.Background(), filepath.Join(m.dir, file), m.options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func (m *Mesh) dial(t testing.TB, service string) (*grpc.ClientConn, net.Listener) {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	failing := func(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
		if err := m.failures[service].Load(); err != nil {
			return *err
		}
		return invoke(ctx, method, request, reply, conn, options...)
	}
	conn, err := grpc.NewClient("passthrough:///"+service,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }),
		grpc.WithUnaryInterceptor(failing))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn, listener
}

func serve(t testing.TB, listener net.Listener, register func(*grpc.Server)) {
	server := grpc.NewServer()
	register(server)
	go server.Serve(listener)
	t.Cleanup(server.Stop)
}

// seeded is the stores as they are when they are new. They are made once for all the
// tests of a process, each of which begins with a copy.
func seeded(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := seed()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

var seed = sync.OnceValues(func() (map[string][]byte, error) {
	dir, err := os.MkdirTemp("", "meshtest-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := data.SeedAll(context.Background(), dir); err != nil {
		return nil, err
	}
	files := make(map[string][]byte)
	for _, name := range []string{"movie.db", "production.db", "talent.db"} {
		if files[name], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			return nil, err
		}
	}
	return files, nil
})
