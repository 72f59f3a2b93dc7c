package process

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/evenkeel/evenkeel/internal/compare/backend"
	"github.com/evenkeel/evenkeel/internal/leaktest"
)

// The test binary is also the backend's program.
func TestMain(m *testing.M) {
	switch os.Getenv("PROCESS_TEST") {
	case "backend":
		if err := backend.Run(os.Stdin, os.Stdout); err != nil {
			os.Stderr.WriteString(err.Error())
			os.Exit(1)
		}
		os.Exit(0)
	case "parent":
		parent()
	}
	os.Exit(m.Run())
}

// parent starts a process, freezes it and waits to be killed.
func parent() {
	p, err := NewSpawner([]string{os.Args[0]}, append(os.Environ(), "PROCESS_TEST=backend")).Start(context.Background(), config)
	if err == nil && CanFreeze {
		err = p.Freeze()
	}
	if err != nil {
		os.Stderr.WriteString(err.Error())
		os.Exit(1)
	}
	os.Stdout.WriteString(`{"Address":"` + p.Address() + "\"}\n")
	<-p.Done()
}

var config = backend.Config{Listen: "127.0.0.1:0", Workers: 1, Speed: 1, Limit: 10}

func TestABackendAnswersUntilItIsKilled(t *testing.T) {
	p, conn := start(t, config)
	expect(t, conn, codes.OK)
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	expect(t, conn, codes.Unavailable)
	if p.Err() != nil {
		t.Errorf("that it was killed is no fault of its own: %v", p.Err())
	}
}

func TestADrainedBackendEndsWell(t *testing.T) {
	p, _ := start(t, config)
	within := time.Minute
	if err := p.Tell(backend.Command{Drain: &within}); err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	if p.Err() != nil {
		t.Error(p.Err())
	}
}

func TestAFrozenBackendIsSilentUntilItIsThawed(t *testing.T) {
	if !CanFreeze {
		t.Skip("no signal stops a process here")
	}
	p, conn := start(t, config)
	expect(t, conn, codes.OK)
	if err := p.Freeze(); err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() { answered <- backend.Call(t.Context(), conn, time.Millisecond) }()
	select {
	case err := <-answered:
		t.Errorf("a frozen backend answered: %v", err)
	case <-time.After(50 * time.Millisecond): // for an answer that must not come
		if err := p.Thaw(); err != nil {
			t.Fatal(err)
		}
		if err := <-answered; err != nil {
			t.Error(err)
		}
	}
}

func TestABackendThatCannotStartSaysWhy(t *testing.T) {
	leaktest.Check(t)
	s := newSpawner(t)
	if _, err := s.Start(t.Context(), backend.Config{Listen: "127.0.0.1:0"}); err == nil || !strings.Contains(err.Error(), "0 workers") {
		t.Errorf("the error is %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Start(ctx, config); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v, want that it was cancelled", err)
	}
}

func newSpawner(t *testing.T) *Spawner {
	s := NewSpawner([]string{os.Args[0]}, append(os.Environ(), "PROCESS_TEST=backend", "GORACE=atexit_sleep_ms=0"))
	t.Cleanup(s.Close)
	return s
}

func start(t *testing.T, c backend.Config) (*Process, *grpc.ClientConn) {
	t.Helper()
	leaktest.Check(t)
	p, err := newSpawner(t).Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Kill(); <-p.Done() })
	conn, err := grpc.NewClient("passthrough:///"+p.Address(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return p, conn
}

func expect(t *testing.T, conn *grpc.ClientConn, code codes.Code) {
	t.Helper()
	if err := backend.Call(t.Context(), conn, time.Millisecond); status.Code(err) != code {
		t.Errorf("got %v, want %v", err, code)
	}
}
