package supervisor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/examples/mesh/internal/fleet"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/protocol"
	"github.com/evenkeel/evenkeel/internal/leaktest"
)

// The test binary is also the replica's program: one that follows the protocol
// and does nothing else.
func TestMain(m *testing.M) {
	if mode := os.Getenv("SUPERVISOR_TEST_REPLICA"); mode != "" {
		pretend(mode)
		return
	}
	os.Exit(m.Run())
}

func pretend(mode string) {
	in := json.NewDecoder(os.Stdin)
	var config protocol.Config
	if err := in.Decode(&config); err != nil {
		os.Exit(3)
	}
	if mode == "broken" {
		fmt.Fprintln(os.Stderr, "something is missing")
		os.Exit(4)
	}
	out := json.NewEncoder(os.Stdout)
	out.Encode(protocol.Event{Ready: &protocol.Ready{Address: config.Listen, REST: config.REST}})
	for {
		var c protocol.Command
		if err := in.Decode(&c); err != nil {
			return
		}
		switch {
		case c.Speed != nil:
			fmt.Fprintf(os.Stderr, "speed is %v\n", *c.Speed)
		case c.Drain != nil && mode != "stubborn":
			return
		}
	}
}

func TestReplicasAreProcessesOfTheirOwn(t *testing.T) {
	s, _ := start(t, Config{})
	pids := map[int]bool{os.Getpid(): true}
	for _, r := range s.Snapshot() {
		if r.State != Ready || r.Address == "" || pids[r.PID] {
			t.Errorf("%+v", r)
		}
		pids[r.PID] = true
	}
}

func TestAKilledReplicaComesBackWithItsNameAndAddress(t *testing.T) {
	s, seen := start(t, Config{Restart: time.Millisecond})
	before := s.Snapshot()[0]
	if err := s.Kill(before.ID); err != nil {
		t.Fatal(err)
	}
	after := await(t, s, 0, func(r Status) bool { return r.State == Ready && r.Lives == 2 })
	if after.PID == before.PID || after.Address != before.Address {
		t.Errorf("before %+v, after %+v", before, after)
	}
	if want := []State{Starting, Ready, Down, Starting, Ready}; !slices.Equal(seen.states(0), want) {
		t.Errorf("seen %v, want %v", seen.states(0), want)
	}
}

func TestWithoutRestartTheDeadStayDead(t *testing.T) {
	s, _ := start(t, Config{})
	id := s.Snapshot()[0].ID
	if err := s.Kill(id); err != nil {
		t.Fatal(err)
	}
	if r := await(t, s, 0, func(r Status) bool { return r.State == Down }); r.PID != 0 || r.Listed() {
		t.Errorf("%+v", r)
	}
	for verb, do := range map[string]func(fleet.ID) error{"kill": s.Kill, "freeze": s.Freeze, "thaw": s.Thaw, "drain": s.Drain} {
		if err := do(id); err == nil || !strings.Contains(err.Error(), "cannot "+verb+" movie/1: it is down") {
			t.Errorf("%s: %v", verb, err)
		}
	}
}

func TestAFrozenReplicaStaysListedUntilItIsThawedOrKilled(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no signal stops a process here")
	}
	s, _ := start(t, Config{})
	id := s.Snapshot()[0].ID
	for range 2 {
		must(t, s.Freeze(id))
		if r := s.Snapshot()[0]; r.State != Frozen || !r.Listed() {
			t.Errorf("%+v", r)
		}
		if err := s.Freeze(id); err == nil {
			t.Error("frozen twice")
		}
		must(t, s.Thaw(id))
	}
	must(t, s.Freeze(id))
	must(t, s.Kill(id))
}

func TestADrainedReplicaIsAnnouncedAndNotStartedAgain(t *testing.T) {
	s, seen := start(t, Config{Restart: time.Millisecond})
	must(t, s.Drain(s.Snapshot()[1].ID))
	await(t, s, 1, func(r Status) bool { return r.State == Drained })
	if want := []State{Starting, Ready, Draining, Drained}; !slices.Equal(seen.states(1), want) {
		t.Errorf("seen %v, want %v", seen.states(1), want)
	}
}

func TestSpeedIsToldAndKept(t *testing.T) {
	s, seen := start(t, Config{Restart: time.Millisecond})
	id := s.Snapshot()[0].ID
	must(t, s.Slow(id, 0.25))
	eventually(t, func() bool { return strings.Contains(seen.log(), "speed is 0.25") })
	must(t, s.Kill(id))
	if r := await(t, s, 0, func(r Status) bool { return r.Lives == 2 }); r.Speed != 0.25 {
		t.Errorf("%+v", r)
	}
	eventually(t, func() bool { return seen.configured(id, 0.25) })
}

func TestAReplicaThatCannotStartIsAnErrorThatSaysWhy(t *testing.T) {
	s, _ := launch(t, Config{}, "broken")
	err := s.WaitReady(t.Context())
	if err == nil || !strings.Contains(err.Error(), "something is missing") {
		t.Errorf("got %v", err)
	}
}

func TestAnUnknownReplicaIsNamedWithThoseThereAre(t *testing.T) {
	s, _ := start(t, Config{})
	err := s.Kill(fleet.ID{Service: "movie", Number: 9})
	if !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "movie/9: there are movie/1, movie/2") {
		t.Errorf("got %v", err)
	}
}

func TestStopEndsAllEvenTheFrozenAndTheStubborn(t *testing.T) {
	s, _ := launch(t, Config{Restart: time.Millisecond}, "stubborn")
	must(t, s.WaitReady(t.Context()))
	if runtime.GOOS != "windows" {
		must(t, s.Freeze(s.Snapshot()[0].ID))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	s.Stop(ctx)
	for _, r := range s.Snapshot() {
		if r.PID != 0 {
			t.Errorf("%+v", r)
		}
	}
}

func TestReplicasThatOneSignalEndsWithTheirSupervisorDoNotStartAgain(t *testing.T) {
	s, seen := start(t, Config{Restart: time.Hour})
	for _, r := range s.Snapshot() { // as a terminal does to all of a process group
		if err := s.Kill(r.ID); err != nil {
			t.Fatal(err)
		}
	}
	s.Stop(t.Context())
	if said := seen.log(); strings.Contains(said, "died") {
		t.Errorf("while all stop, it says: %s", said)
	}
}

func TestStopWhileReplicasDieAndStartLeavesNone(t *testing.T) {
	for range 5 {
		s, _ := launch(t, Config{Restart: time.Microsecond}, "broken")
		s.WaitReady(t.Context())
		s.Stop(t.Context())
		for _, r := range s.Snapshot() {
			if r.PID != 0 {
				t.Errorf("%+v", r)
			}
		}
	}
}

func TestLinesOfAnyLengthAreLogged(t *testing.T) {
	var log bytes.Buffer
	l := &lineLogger{log: slog.New(slog.NewTextHandler(&log, nil))}
	fmt.Fprint(l, "one\ntw", "o\n", strings.Repeat("x", 3*maxLine), "\nend")
	got := log.String()
	if !strings.Contains(got, "msg=one\n") || !strings.Contains(got, "msg=two\n") || strings.Contains(got, strings.Repeat("x", maxLine+1)) {
		t.Errorf("logged %.200s", got)
	}
	if l.last() != "end" {
		t.Errorf("last is %q", l.last())
	}
}

// witness keeps what a supervisor tells.
type witness struct {
	mu      sync.Mutex
	seen    map[int][]State
	told    []fleet.Replica
	written bytes.Buffer
}

func (w *witness) changed(all []Status) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, r := range all {
		if n := len(w.seen[i]); n == 0 || w.seen[i][n-1] != r.State {
			w.seen[i] = append(w.seen[i], r.State)
		}
	}
}

func (w *witness) states(i int) []State {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.seen[i])
}

func (w *witness) configured(id fleet.ID, speed float64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.told, func(r fleet.Replica) bool { return r.ID == id && r.Speed == speed })
}

func (w *witness) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.written.Write(p)
}

func (w *witness) log() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.written.String()
}

// launch supervises two pretended replicas.
func launch(t *testing.T, config Config, mode string) (*Supervisor, *witness) {
	t.Helper()
	leaktest.Check(t)
	w := &witness{seen: map[int][]State{}}
	for n := 1; n <= 2; n++ {
		config.Replicas = append(config.Replicas, fleet.Replica{ID: fleet.ID{Service: "movie", Number: n}, Workers: 1, Speed: 1})
	}
	config.Command = []string{os.Args[0]}
	config.Changed = w.changed
	config.Logger = slog.New(slog.NewTextHandler(w, nil))
	config.Configure = func(r fleet.Replica, last protocol.Ready) (*protocol.Config, []string, error) {
		w.mu.Lock()
		w.told = append(w.told, r)
		w.mu.Unlock()
		if last.Address == "" {
			last.Address = "127.0.0.1:" + fmt.Sprint(7000+r.ID.Number)
		}
		return &protocol.Config{ID: r.ID.String(), Listen: last.Address}, append(os.Environ(),
			"SUPERVISOR_TEST_REPLICA="+mode, "GORACE=atexit_sleep_ms=0"), nil
	}
	s := New(config)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if mode == "stubborn" {
			cancel()
		}
		s.Stop(ctx)
	})
	return s, w
}

func start(t *testing.T, config Config) (*Supervisor, *witness) {
	t.Helper()
	s, w := launch(t, config, "obedient")
	must(t, s.WaitReady(t.Context()))
	return s, w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func await(t *testing.T, s *Supervisor, i int, ok func(Status) bool) (r Status) {
	t.Helper()
	eventually(t, func() bool { r = s.Snapshot()[i]; return ok(r) })
	return r
}

// eventually polls: what it waits for happens in other processes.
func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it never happened")
		}
	}
}
