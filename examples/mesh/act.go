package mesh

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/evenkeel/evenkeel/examples/mesh/internal/admin"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/fleet"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/state"
)

// pingTimeout is how long the meshes may take to say that they are there.
const pingTimeout = 2 * time.Second

// act has the mesh do something to the replica, and says that it is done.
func (t *target) act(verb admin.Verb, speed float64) error {
	if _, err := fleet.ParseID(t.Replica); err != nil {
		return &UsageError{err}
	}
	return t.ask(verb, speed)
}

// ask sends the mesh a request, and prints what it answers.
func (t *target) ask(verb admin.Verb, speed float64) error {
	ctx := context.Background()
	mesh, err := t.find(ctx)
	if err != nil {
		return err
	}
	message, err := admin.Act(ctx, mesh, admin.Request{Verb: verb, Replica: t.Replica, Speed: speed})
	var refused *admin.Error
	switch {
	case err == nil:
		fmt.Println(message)
		return nil
	case !errors.As(err, &refused):
		return fmt.Errorf("the mesh does not answer: %w", err)
	case refused.Usage:
		return &UsageError{err}
	default:
		return err
	}
}

// find returns the mesh that is meant.
func (t *target) find(ctx context.Context) (state.Admin, error) {
	if t.State != "" {
		m, err := state.Read(t.State)
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("no mesh that runs has the state file %s", t.State)
		}
		return m.Admin, err
	}
	registry, err := state.OpenRegistry()
	if err != nil {
		return state.Admin{}, fmt.Errorf("%w; name the mesh by --state FILE", err)
	}
	running, err := running(ctx, registry)
	if err != nil {
		return state.Admin{}, err
	}
	return choose(running, t.Mesh)
}

// running lists the meshes that answer, and forgets the others.
func running(ctx context.Context, registry *state.Registry) ([]state.Entry, error) {
	all, err := registry.List()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	var alive []state.Entry
	for _, e := range all {
		if admin.Ping(ctx, e.Admin) == nil {
			alive = append(alive, e)
		} else {
			registry.Leave(e.PID)
		}
	}
	return alive, nil
}

func choose(running []state.Entry, pid int) (state.Admin, error) {
	var names []string
	for _, e := range running {
		if e.PID == pid {
			return e.Admin, nil
		}
		names = append(names, fmt.Sprintf("%d (%s)", e.PID, e.REST))
	}
	switch {
	case len(running) == 0:
		return state.Admin{}, errors.New("no mesh is running: start one with `evenkeel mesh`")
	case pid != 0:
		return state.Admin{}, &UsageError{fmt.Errorf("--mesh %d: there is no such mesh, but %s", pid, strings.Join(names, ", "))}
	case len(running) > 1:
		return state.Admin{}, &UsageError{fmt.Errorf("several meshes are running: name one by --mesh PID or --state FILE: %s", strings.Join(names, ", "))}
	default:
		return running[0].Admin, nil
	}
}
