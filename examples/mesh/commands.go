// Package mesh is the command `evenkeel mesh`: a mesh of gRPC services on one
// machine, each replica a process of its own, balanced by choice_of_two and
// served as REST, to look at, to break and to copy from.
//
// What a service that uses Evenkeel looks like is in internal/replica; a front
// door is in internal/door; an xDS control plane that names the policy is in
// internal/control.
package mesh

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/evenkeel/evenkeel/examples/mesh/internal/admin"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/fleet"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/load"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/replica"
)

// Command is `evenkeel mesh`, for kong.
type Command struct {
	Run    RunCommand    `cmd:"" default:"withargs" help:"Run a mesh on this machine."`
	Kill   KillCommand   `cmd:"" help:"End a replica's process with no warning."`
	Freeze FreezeCommand `cmd:"" help:"Stop a replica's process without ending it."`
	Thaw   ThawCommand   `cmd:"" help:"Let a frozen replica run again."`
	Slow   SlowCommand   `cmd:"" help:"Change how fast a replica works."`
	Drain  DrainCommand  `cmd:"" help:"Take a replica out of service, losing no call."`

	Explain ExplainCommand `cmd:"" help:"Show why the front door's last calls went where they went."`
}

// UsageError is an error of whoever wrote the command line. It exits with 2.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong.
func (e *UsageError) Unwrap() error { return e.Err }

// RunCommand is `evenkeel mesh run`, or `evenkeel mesh` for short.
type RunCommand struct {
	Replicas []string      `help:"How many replicas services have, 1 to 50 each, for example movie=5,talent=2 (default 3 each)." placeholder:"SERVICE=N"`
	Listen   string        `help:"Where the REST API answers (default ${default}). Other hosts reach it only if you name an address that they can." default:"127.0.0.1:8080" placeholder:"ADDR"`
	Admin    string        `help:"Where operators look at the front door; of this machine only. By default a port of the system's choice." default:"127.0.0.1:0" placeholder:"ADDR"`
	Load     string        `help:"Requests per second that the mesh sends to itself; 0 for none (default ${default})." default:"200/s" placeholder:"RATE"`
	Speed    []string      `help:"How fast replicas work, 1 being normal: one replica (movie/2=0.3), a service (movie=0.5) or all (2). By default movie/2 is slow, so that there is something to balance." placeholder:"REPLICA=X"`
	Workers  []string      `help:"How many calls replicas work on at once, said in the same ways (default 2)." placeholder:"REPLICA=N"`
	Work     time.Duration `help:"Mean time that a call takes at speed 1, spent waiting and not computing; 0 for none (default ${default})." default:"12ms" placeholder:"TIME"`
	Restart  time.Duration `help:"Pause before a replica that died is started again; 0 for never (default ${default})." default:"5s" placeholder:"TIME"`
	Data     string        `help:"Keep the data in this directory (default: a temporary one, removed at exit)." placeholder:"DIR" type:"path"`
	State    string        `help:"Write the mesh's addresses, credentials and replicas to this file, as JSON, while it runs." placeholder:"FILE" type:"path"`
}

// Help is what --help says further.
func (*RunCommand) Help() string {
	return `
Starts the services movie, production and talent, three replicas each, every one
a process with a port of its own; an xDS control plane that tells clients where
they are and how to balance; and a REST API in front. It prints a token and
curl lines to try, and shows how the calls are spread. Ctrl-C ends it.

While it runs, break it from another terminal and watch:

  evenkeel mesh freeze movie/1
  evenkeel mesh thaw movie/1
  evenkeel mesh kill production/2
  evenkeel mesh slow talent/3 0.1
  evenkeel mesh drain movie/3
`
}

// options are a RunCommand's values, read.
type options struct {
	listen   string
	admin    string
	replicas []fleet.Replica
	rate     float64
	work     time.Duration
	restart  time.Duration
	data     string
	state    string
}

func (c *RunCommand) options() (options, error) {
	replicas, err := fleet.Parse(fleet.Spec{Replicas: c.Replicas, Speed: c.Speed, Workers: c.Workers})
	if err != nil {
		return options{}, err
	}
	rate, err := load.ParseRate(c.Load)
	switch {
	case err != nil:
		return options{}, fmt.Errorf("--load %w", err)
	case c.Work < 0:
		return options{}, fmt.Errorf("--work %v: want 0 or more, for example 12ms", c.Work)
	case c.Restart < 0:
		return options{}, fmt.Errorf("--restart %v: want 0 or more, for example 5s", c.Restart)
	}
	return options{c.Listen, c.Admin, replicas, rate, c.Work, c.Restart, c.Data, c.State}, nil
}

// target says which replica of which mesh to act on.
type target struct {
	Replica string `arg:"" help:"The replica, for example movie/2."`
	State   string `help:"The mesh's state file. Needed only if several meshes run." placeholder:"FILE" type:"path"`
	Mesh    int    `help:"The mesh's process ID, instead." placeholder:"PID"`
}

// KillCommand is `evenkeel mesh kill`.
type KillCommand struct{ target }

// FreezeCommand is `evenkeel mesh freeze`.
type FreezeCommand struct{ target }

// ThawCommand is `evenkeel mesh thaw`.
type ThawCommand struct{ target }

// DrainCommand is `evenkeel mesh drain`.
type DrainCommand struct{ target }

// ExplainCommand is `evenkeel mesh explain`.
type ExplainCommand struct {
	Of    string `arg:"" optional:"" help:"A replica (movie/2): calls that it was looked at for; or a service (movie). Default: all."`
	State string `help:"The mesh's state file. Needed only if several meshes run." placeholder:"FILE" type:"path"`
	Mesh  int    `help:"The mesh's process ID, instead." placeholder:"PID"`
}

// Run does it.
func (c *ExplainCommand) Run() error {
	t := target{Replica: c.Of, State: c.State, Mesh: c.Mesh}
	if err := checkExplained(c.Of); err != nil {
		return &UsageError{err}
	}
	return t.ask(admin.Explained, 0)
}

// SlowCommand is `evenkeel mesh slow`.
type SlowCommand struct {
	target
	Speed string `arg:"" optional:"" default:"0.3" help:"How fast it is to work from now on: 0.01 to 100, 1 being normal."`
}

// Run does it.
func (c *KillCommand) Run() error { return c.act(admin.Kill, 0) }

// Run does it.
func (c *FreezeCommand) Run() error { return c.act(admin.Freeze, 0) }

// Run does it.
func (c *ThawCommand) Run() error { return c.act(admin.Thaw, 0) }

// Run does it.
func (c *DrainCommand) Run() error { return c.act(admin.Drain, 0) }

// Run does it.
func (c *SlowCommand) Run() error {
	speed, err := fleet.ParseSpeed(c.Speed)
	if err != nil {
		return &UsageError{err}
	}
	return c.act(admin.Slow, speed)
}

// ReplicaCommand is what the child processes are started with. It is not for
// people.
type ReplicaCommand struct{}

// Run runs a replica until its parent is gone.
func (*ReplicaCommand) Run() error {
	// Lines on standard error become events of the mesh.
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{
		Level: slog.LevelWarn,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{} // the event has one
			}
			return a
		},
	}))
	slog.SetDefault(log)
	return replica.Run(context.Background(), os.Stdin, os.Stdout, log)
}
