// Package process runs backends as processes of their own, none of which outlives
// its parent: their input ends with it, and on Linux the kernel kills them besides,
// frozen ones included, which elsewhere end when somebody thaws them.
package process

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/evenkeel/evenkeel/internal/compare/backend"
)

// Spawner starts processes. Use NewSpawner. Its methods may be called
// concurrently.
type Spawner struct {
	command []string
	env     []string
	work    chan func()
}

// NewSpawner returns what starts processes of this command, with the environment
// env, as os.Environ gives it. Close it when all have ended.
//
// One thread starts them all and lives as long as the spawner: Linux ends a child
// by its parent-death signal when the thread that started it ends, and Go ends
// threads as it likes (golang.org/issue/27505).
func NewSpawner(command, env []string) *Spawner {
	s := &Spawner{command: command, env: env, work: make(chan func())}
	go func() {
		runtime.LockOSThread()
		for f := range s.work {
			f()
		}
	}()
	return s
}

// Close ends the spawner.
func (s *Spawner) Close() { close(s.work) }

// Process is a backend's process. Its methods may be called concurrently.
type Process struct {
	cmd     *exec.Cmd
	address string
	stderr  bytes.Buffer
	done    chan struct{}
	err     error // how it ended; read it after done

	mu    sync.Mutex // serializes what is told
	stdin io.WriteCloser
}

// Start starts a process and waits until it answers.
func (s *Spawner) Start(ctx context.Context, config backend.Config) (*Process, error) {
	p := &Process{cmd: exec.Command(s.command[0], s.command[1:]...), done: make(chan struct{})}
	p.cmd.Env, p.cmd.Stderr, p.cmd.SysProcAttr = s.env, &p.stderr, dieWithParent()
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	started := make(chan error)
	s.work <- func() { started <- p.cmd.Start() }
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start a backend: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { p.cmd.Process.Kill() })
	defer stop()
	var ready backend.Ready
	err = errors.Join(p.tell(config), json.NewDecoder(stdout).Decode(&ready))
	go func() {
		io.Copy(io.Discard, stdout)
		p.err = p.cmd.Wait()
		p.stdin.Close()
		close(p.done)
	}()
	if err != nil {
		p.cmd.Process.Kill()
		<-p.done
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("start a backend: %w: %s", err, strings.TrimSpace(p.stderr.String()))
	}
	p.address = ready.Address
	return p, nil
}

// Address is where the backend answers.
func (p *Process) Address() string { return p.address }

// Tell has the backend do something. A frozen one does so when it is thawed.
func (p *Process) Tell(c backend.Command) error { return p.tell(c) }

func (p *Process) tell(message any) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	// A frozen process does not read, and the pipe may fill.
	if file, ok := p.stdin.(*os.File); ok {
		file.SetWriteDeadline(time.Now().Add(time.Second))
	}
	return json.NewEncoder(p.stdin).Encode(message)
}

// Kill ends the process at once, frozen or not. It returns before it has ended.
func (p *Process) Kill() error { return p.cmd.Process.Kill() }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err says how a process ended that ended by itself and not well.
func (p *Process) Err() error {
	var exit *exec.ExitError
	if p.err == nil || (errors.As(p.err, &exit) && !exit.Exited()) {
		return nil
	}
	return fmt.Errorf("a backend ended: %w: %s", p.err, strings.TrimSpace(p.stderr.String()))
}
