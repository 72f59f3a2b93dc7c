package backend

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/evenkeel/evenkeel/internal/leaktest"
)

func TestACallTakesAsLongAsItsWorkSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, conn := newServer(t, Config{Workers: 2, Speed: 0.5, Limit: 10})
		for _, speed := range []float64{0.5, 2} {
			if err := server.Do(Command{Speed: &speed}); err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			if err := Call(t.Context(), conn, time.Second); err != nil {
				t.Fatal(err)
			}
			if took, want := time.Since(begin), time.Duration(float64(time.Second)/speed); (took - want).Abs() > time.Microsecond {
				t.Errorf("took %v, want %v", took, want)
			}
		}
	})
}

func TestWhatGoesWrongHasItsCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, conn := newServer(t, Config{Workers: 1, Speed: 1, Limit: 1})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() { expect(t, Call(ctx, conn, time.Hour), codes.DeadlineExceeded) })
		synctest.Wait()
		expect(t, Call(t.Context(), conn, time.Second), codes.ResourceExhausted)
		wg.Wait()
		expect(t, Call(t.Context(), conn, 0), codes.InvalidArgument)
	})
}

func TestCallsInFlightSurviveADrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, conn := newServer(t, Config{Workers: 1, Speed: 1, Limit: 10})
		var wg sync.WaitGroup
		wg.Go(func() { expect(t, Call(t.Context(), conn, 3*time.Second), codes.OK) })
		synctest.Wait()
		server.Drain(10 * time.Second)
		wg.Wait()
	})
}

func TestADrainCutsWhatTakesTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, conn := newServer(t, Config{Workers: 1, Speed: 1, Limit: 10})
		var wg sync.WaitGroup
		wg.Go(func() { expect(t, Call(t.Context(), conn, time.Hour), codes.Unavailable) })
		synctest.Wait()
		begin := time.Now()
		server.Drain(2 * time.Second)
		if took := time.Since(begin); took != 2*time.Second {
			t.Errorf("the drain took %v, want 2s", took)
		}
		wg.Wait()
	})
}

func TestItObeysUntilItsInputEnds(t *testing.T) {
	leaktest.Check(t)
	in, commands := io.Pipe()
	answers, out := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- Run(in, out) }()
	fmt.Fprintln(commands, `{"Listen":"127.0.0.1:0","Workers":1,"Speed":1,"Limit":5}`)
	var ready Ready
	if err := json.NewDecoder(answers).Decode(&ready); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(commands, `{"Speed":100} {"Occupy":0}`)
	conn := dial(t, grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", ready.Address)
	}))
	expect(t, Call(t.Context(), conn, time.Millisecond), codes.OK)
	conn.Close()
	commands.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestNonsenseIsRefused(t *testing.T) {
	for input, want := range map[string]string{
		"":                         "read config",
		`{"Listen":"nowhere"}`:     "nowhere",
		`{"Listen":"127.0.0.1:0"}`: "workers",
		`{"Listen":"127.0.0.1:0","Workers":1,"Speed":1,"Limit":5} {}`:            "empty",
		`{"Listen":"127.0.0.1:0","Workers":1,"Speed":1,"Limit":5} {"Speed":0}`:   "speed 0",
		`{"Listen":"127.0.0.1:0","Workers":1,"Speed":1,"Limit":5} {"Occupy":2}`:  "occupy",
		`{"Listen":"127.0.0.1:0","Workers":1,"Speed":1,"Limit":5} {"Occupy":"a"`: "read a command",
	} {
		if err := Run(strings.NewReader(input), new(bytes.Buffer)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: the error is %v, want %q in it", input, err, want)
		}
	}
}

func newServer(t *testing.T, config Config) (*Server, *grpc.ClientConn) {
	t.Helper()
	listener := bufconn.Listen(1 << 16)
	server, err := Serve(listener, config)
	if err != nil {
		t.Fatal(err)
	}
	conn := dial(t, grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	t.Cleanup(func() { conn.Close(); server.Stop() })
	return server, conn
}

func dial(t *testing.T, dialer grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///backend", dialer, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func expect(t *testing.T, err error, code codes.Code) {
	t.Helper()
	if status.Code(err) != code {
		t.Errorf("got %v, want %v", err, code)
	}
}
