package supervisor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/evenkeel/evenkeel/examples/mesh/internal/fleet"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/protocol"
)

// member is one replica over all its lives.
type member struct {
	supervisor *Supervisor
	replica    fleet.Replica // as planned
	log        *slog.Logger
	first      chan error // gets nil at the first readiness, or why there was none

	mu      sync.Mutex // a leaf: nothing is called with it held that locks
	status  Status
	process *process // nil without one
}

func newMember(s *Supervisor, r fleet.Replica) *member {
	return &member{
		supervisor: s,
		replica:    r,
		log:        s.config.Logger.With("replica", r.ID.String()),
		first:      make(chan error, 1),
		status:     Status{ID: r.ID, State: Starting, Workers: r.Workers, Speed: r.Speed},
	}
}

func (m *member) id() fleet.ID { return m.replica.ID }

func (m *member) snapshot() Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.status
}

// run lives one life after the other.
func (m *member) run() {
	for {
		err := m.live()
		m.report(err)
		if m.ended(err) {
			return
		}
		pause := time.NewTimer(m.supervisor.config.Restart)
		select {
		case <-pause.C:
		case <-m.supervisor.stop:
			pause.Stop()
			return
		}
	}
}

// sameSignal is how long after a replica's end Stop may come for both to have been ended
// by one signal, which a terminal or a service manager sends to all processes at once.
const sameSignal = 500 * time.Millisecond

// ended records the end of a life and reports whether it was the last.
func (m *member) ended(err error) bool {
	m.mu.Lock()
	p := m.process
	m.process = nil
	m.status.PID = 0
	wanted := m.status.State == Draining || m.supervisor.stopping()
	m.status.State = Down
	if wanted {
		m.status.State = Drained
	}
	m.mu.Unlock()
	m.supervisor.changed()
	if p != nil {
		close(p.settled)
	}

	restart := m.supervisor.config.Restart
	switch {
	case m.supervisor.stopping():
		return true
	case wanted:
		m.log.Info("drained")
		return true
	case m.supervisor.stopsWithin(sameSignal):
		return true
	case restart == 0:
		m.log.Warn("died and stays down", "cause", err)
		return true
	default:
		m.log.Warn("died; it starts again in "+restart.String(), "cause", err)
		return false
	}
}

// live runs one process to its end and says how it came to that.
func (m *member) live() error {
	p, err := m.start()
	if err != nil {
		return err
	}
	ready := m.readEvents(p)
	err = p.wait()
	if err == nil && !ready {
		err = errors.New("it ended before it was ready")
	}
	return err
}

func (m *member) start() (*process, error) {
	last := m.snapshot()
	r := m.replica
	r.Speed = last.Speed
	config, env, err := m.supervisor.config.Configure(r, protocol.Ready{Address: last.Address, REST: last.REST})
	if err != nil {
		return nil, err
	}
	p, err := m.supervisor.spawner.start(m.supervisor.config.Command, env, m.log)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	m.process = p
	m.status.State = Starting
	m.status.PID = p.pid()
	m.status.Started = time.Now()
	m.status.Lives++
	m.mu.Unlock()
	m.supervisor.changed()
	if m.supervisor.stopping() {
		p.kill() // Stop may have looked for it too early.
	}
	if err := p.tell(config); err != nil {
		p.kill()
		return nil, errors.Join(fmt.Errorf("it did not take its config: %w", err), p.wait())
	}
	return p, nil
}

// readEvents follows what the process says until it says no more, and reports
// whether it was ready.
func (m *member) readEvents(p *process) (ready bool) {
	for event := range p.events() {
		if event.Ready == nil {
			continue
		}
		ready = true
		m.mu.Lock()
		m.status.Address, m.status.REST = event.Ready.Address, event.Ready.REST
		if m.status.State == Starting {
			m.status.State = Ready
		}
		again := m.status.Lives > 1
		m.mu.Unlock()
		m.supervisor.changed()
		m.report(nil)
		if again {
			m.log.Info("is back", "address", event.Ready.Address)
		}
	}
	return ready
}

// report tells WaitReady of the first success or failure.
func (m *member) report(err error) {
	select {
	case m.first <- err:
	default:
	}
}

// act does something to the process if the replica is in one of the given states,
// and puts it in the state next, if any is given, before.
func (m *member) act(verb string, next State, in []State, do func(*process) error) (*process, error) {
	m.mu.Lock()
	state, p := m.status.State, m.process
	if p == nil || !slices.Contains(in, state) {
		m.mu.Unlock()
		return nil, fmt.Errorf("cannot %s %s: it is %s", verb, m.id(), state)
	}
	// Done under the lock, so that two acts at once are done one after the other.
	err := do(p)
	if err == nil && next != "" {
		m.status.State = next
	}
	m.mu.Unlock()
	if err != nil {
		return nil, fmt.Errorf("cannot %s %s: %w", verb, m.id(), err)
	}
	if next != "" {
		m.supervisor.changed()
	}
	return p, nil
}

func (m *member) kill() error {
	p, err := m.act("kill", "", []State{Starting, Ready, Frozen, Draining}, (*process).kill)
	if err != nil {
		return err
	}
	return m.await(p, patience)
}

func (m *member) freeze() error {
	_, err := m.act("freeze", Frozen, []State{Ready}, (*process).freeze)
	if err == nil {
		m.log.Warn("frozen")
	}
	return err
}

func (m *member) thaw() error {
	_, err := m.act("thaw", Ready, []State{Frozen}, (*process).thaw)
	if err == nil {
		m.log.Info("thawed")
	}
	return err
}

func (m *member) setSpeed(speed float64) error {
	if _, err := m.act("slow", "", []State{Starting, Ready, Frozen}, func(p *process) error {
		m.status.Speed = speed
		return p.tell(protocol.Command{Speed: &speed})
	}); err != nil {
		return err
	}
	m.log.Info("speed changed", "speed", speed)
	m.supervisor.changed()
	return nil
}

// drain tells clients first, through Changed, and then the process.
func (m *member) drain() error {
	p, err := m.act("drain", Draining, []State{Ready}, func(*process) error { return nil })
	if err != nil {
		return err
	}
	m.log.Info("draining")
	if err := p.drain(drainTimeout); err != nil {
		return fmt.Errorf("cannot drain %s: %w", m.id(), err)
	}
	return m.await(p, drainTimeout+patience)
}

// await waits until a process that was told to end has, and the world knows. It
// kills one that does not end.
func (m *member) await(p *process, within time.Duration) error {
	timeout := time.NewTimer(within)
	defer timeout.Stop()
	select {
	case <-p.settled:
		return nil
	case <-timeout.C:
		p.kill()
		return fmt.Errorf("%s did not end within %v and was killed", m.id(), within)
	}
}

// end ends the last life: gracefully as long as ctx lasts.
func (m *member) end(ctx context.Context) {
	m.mu.Lock()
	p, state := m.process, m.status.State
	m.mu.Unlock()
	if p == nil {
		return
	}
	p.thaw() // It may be frozen, by us or by somebody else; if not, nothing happens.
	within := patience
	if deadline, ok := ctx.Deadline(); ok {
		within = time.Until(deadline) * 3 / 4 // the rest is for ending
	}
	if state != Ready && state != Frozen || p.drain(within) != nil {
		// It has nothing to drain, or does so already, or does not listen.
		if state != Draining {
			p.kill()
		}
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		p.kill()
		<-p.done
	}
}
