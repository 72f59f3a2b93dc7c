// Package supervisor keeps the mesh's replicas running, each as a process of its
// own, and does to them what real life does: kill, freeze, slow down, drain.
//
//	s := supervisor.New(supervisor.Config{
//		Command:   []string{executable, "mesh-replica"},
//		Replicas:  plan,
//		Restart:   5 * time.Second,
//		Configure: configure, // what each replica is told at its start
//		Changed:   publish,   // hears every change of state
//	})
//	defer s.Stop(ctx)
//	err := s.WaitReady(ctx)
//	err = s.Freeze(fleet.ID{Service: "movie", Number: 2})
//
// A process that ends without having been told to is started again after a
// pause. It keeps its name, and its address if that is still free.
//
// No process outlives its supervisor. Stop ends them all. If the supervisor's
// process is killed outright, the pipes to its children close, and they end; on
// Linux the kernel kills them besides, frozen ones included, which elsewhere end
// when somebody thaws them.
package supervisor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/evenkeel/evenkeel/examples/mesh/internal/fleet"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/protocol"
)

// Config says what to run.
type Config struct {
	// Command is a replica's program and its arguments.
	Command []string
	// Replicas are the replicas to run.
	Replicas []fleet.Replica
	// Restart is the pause before a process that died is started again; 0 for
	// never.
	Restart time.Duration
	// Configure returns what a replica is told at its start, and its
	// environment. Its argument says where it answered in its last life. It may
	// be called concurrently.
	Configure func(r fleet.Replica, last protocol.Ready) (*protocol.Config, []string, error)
	// Changed is called after each change, with all replicas in their order. One
	// call ends before the next begins.
	Changed func([]Status)
	// Logger takes what happens to the replicas and what they write themselves.
	Logger *slog.Logger
}

// State is where a replica stands.
type State string

// The states.
const (
	Starting State = "starting" // the process runs but does not answer yet
	Ready    State = "ready"
	Frozen   State = "frozen"   // stopped by Freeze; it still holds its connections
	Draining State = "draining" // ends its last calls
	Drained  State = "drained"  // ended as it was told to
	Down     State = "down"     // died; started again if Restart says so
)

// Status is what there is to say about a replica.
type Status struct {
	ID      fleet.ID
	State   State
	PID     int    // of its process; 0 without one
	Address string // where it answers, or answered last; empty at first
	REST    string // the URL of its own REST door; empty for none
	Workers int
	Speed   float64
	Started time.Time // of the process
	Lives   int       // processes started so far
}

// Listed reports whether clients should know of the replica. A frozen one looks
// alive from outside: to handle it is the balancer's part.
func (s Status) Listed() bool { return s.State == Ready || s.State == Frozen || s.State == Draining }

// ErrUnknown is in the error about a replica that does not exist.
var ErrUnknown = errors.New("there is no such replica")

// drainTimeout is how long calls in flight may take when a replica is drained.
const drainTimeout = 10 * time.Second

// patience is how long a process may take to do what takes no time.
const patience = 5 * time.Second

// Supervisor runs replicas. Its methods may be called concurrently.
type Supervisor struct {
	config  Config
	members []*member
	spawner *spawner
	stop    chan struct{}
	lives   sync.WaitGroup // the goroutines of the members

	stopOnce sync.Once
	notify   sync.Mutex // serializes Changed. Taken before a member's mutex.
}

// New starts all replicas. It does not wait for them.
func New(config Config) *Supervisor {
	s := &Supervisor{config: config, spawner: newSpawner(), stop: make(chan struct{})}
	for _, r := range config.Replicas {
		s.members = append(s.members, newMember(s, r))
	}
	for _, m := range s.members {
		s.lives.Go(m.run)
	}
	return s
}

// WaitReady waits until every replica has answered once. It returns an error as
// soon as one of them dies instead.
func (s *Supervisor) WaitReady(ctx context.Context) error {
	for _, m := range s.members {
		select {
		case err := <-m.first:
			if err != nil {
				return fmt.Errorf("%s did not start: %w", m.id(), err)
			}
		case <-ctx.Done():
			return fmt.Errorf("%s did not start in time: %w", m.id(), ctx.Err())
		}
	}
	return nil
}

// Snapshot returns all replicas in their order.
func (s *Supervisor) Snapshot() []Status {
	all := make([]Status, len(s.members))
	for i, m := range s.members {
		all[i] = m.snapshot()
	}
	return all
}

// Kill ends a replica's process with no warning.
func (s *Supervisor) Kill(id fleet.ID) error { return s.with(id, (*member).kill) }

// Freeze stops a replica's process without ending it.
func (s *Supervisor) Freeze(id fleet.ID) error { return s.with(id, (*member).freeze) }

// Thaw lets a frozen replica run again.
func (s *Supervisor) Thaw(id fleet.ID) error { return s.with(id, (*member).thaw) }

// Slow changes how fast a replica works, 1 being normal. It stays so when the
// replica is started again.
func (s *Supervisor) Slow(id fleet.ID, speed float64) error {
	return s.with(id, func(m *member) error { return m.setSpeed(speed) })
}

// Drain takes a replica out of service: no new calls, those in flight end, then
// the process does. It is not started again. Drain returns when it has ended.
func (s *Supervisor) Drain(id fleet.ID) error { return s.with(id, (*member).drain) }

// Stop drains all replicas, and kills those that have not ended when ctx does.
// It returns when no process is left. Further calls do nothing.
func (s *Supervisor) Stop(ctx context.Context) {
	s.stopOnce.Do(func() {
		close(s.stop)
		var all sync.WaitGroup
		for _, m := range s.members {
			all.Go(func() { m.end(ctx) })
		}
		all.Wait()
		s.lives.Wait()
		s.spawner.close()
	})
}

func (s *Supervisor) with(id fleet.ID, do func(*member) error) error {
	var siblings []string
	for _, m := range s.members {
		if m.id() == id {
			return do(m)
		}
		if m.id().Service == id.Service {
			siblings = append(siblings, m.id().String())
		}
	}
	return fmt.Errorf("%w as %s: there are %s", ErrUnknown, id, strings.Join(siblings, ", "))
}

// changed tells the world how things stand. It must be called without a member's
// mutex held.
func (s *Supervisor) changed() {
	if s.config.Changed == nil {
		return
	}
	s.notify.Lock()
	defer s.notify.Unlock()
	s.config.Changed(s.Snapshot())
}

func (s *Supervisor) stopping() bool {
	select {
	case <-s.stop:
		return true
	default:
		return false
	}
}

// stopsWithin waits that long for Stop to be called, and tells whether it was.
func (s *Supervisor) stopsWithin(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-s.stop:
		return true
	case <-timer.C:
		return false
	}
}
