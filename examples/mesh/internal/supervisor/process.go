package supervisor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"time"

	"github.com/evenkeel/evenkeel/examples/mesh/internal/protocol"
)

// process is one life of a replica.
type process struct {
	cmd    *exec.Cmd
	stdout io.Reader
	stderr *lineLogger
	// done is closed when the process has ended, settled when everybody knows.
	done, settled chan struct{}

	mu    sync.Mutex // serializes what is told
	stdin io.WriteCloser
}

// spawner starts processes, all from one thread that lives as long as it does:
// Linux ends a child by its parent-death signal when the *thread* that started it
// ends, and Go ends threads as it likes (golang.org/issue/27505).
type spawner struct{ work chan func() }

func newSpawner() *spawner {
	s := &spawner{work: make(chan func())}
	go func() {
		runtime.LockOSThread()
		for f := range s.work {
			f()
		}
	}()
	return s
}

// close must be called when no process is left.
func (s *spawner) close() { close(s.work) }

func (s *spawner) start(command, env []string, log *slog.Logger) (*process, error) {
	p := &process{
		cmd:    exec.Command(command[0], command[1:]...),
		stderr: &lineLogger{log: log},
		done:   make(chan struct{}), settled: make(chan struct{}),
	}
	p.cmd.Env = env
	p.cmd.Stderr = p.stderr
	p.cmd.SysProcAttr = dieWithParent()
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if p.stdout, err = p.cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	started := make(chan error)
	s.work <- func() { started <- p.cmd.Start() }
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// events yields what the process says until its output ends.
func (p *process) events() iter.Seq[protocol.Event] {
	return func(yield func(protocol.Event) bool) {
		for decoder := json.NewDecoder(p.stdout); ; {
			var e protocol.Event
			if decoder.Decode(&e) != nil || !yield(e) {
				return
			}
		}
	}
}

// wait waits for the end of a process whose output has ended. The error says how
// it ended, unless that was well.
func (p *process) wait() error {
	// What is not JSON ends events early and must still be read, lest the
	// process hang in a write.
	io.Copy(io.Discard, p.stdout)
	err := p.cmd.Wait()
	p.stdin.Close()
	close(p.done)
	var exit *exec.ExitError
	if last := p.stderr.last(); last != "" && errors.As(err, &exit) && exit.Exited() {
		return fmt.Errorf("%w: %s", err, last)
	}
	return err
}

func (p *process) tell(message any) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	// A frozen process does not read, and the pipe fills.
	if file, ok := p.stdin.(*os.File); ok {
		file.SetWriteDeadline(time.Now().Add(time.Second))
	}
	return json.NewEncoder(p.stdin).Encode(message)
}

func (p *process) drain(within time.Duration) error {
	return p.tell(protocol.Command{Drain: &within})
}

func (p *process) kill() error { return p.cmd.Process.Kill() }

// lineLogger logs what a process writes, line by line.
type lineLogger struct {
	log *slog.Logger

	mu      sync.Mutex
	partial []byte
	line    string
}

// maxLine is how much of a line is kept.
const maxLine = 4096

func (l *lineLogger) Write(data []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(data)
	for len(data) > 0 {
		line, rest, ended := bytes.Cut(data, []byte{'\n'})
		l.partial = append(l.partial, line[:min(len(line), maxLine-len(l.partial))]...)
		if ended {
			l.line = string(l.partial)
			l.log.Warn(l.line)
			l.partial = l.partial[:0]
		}
		data = rest
	}
	return n, nil
}

func (l *lineLogger) last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.partial) > 0 {
		return string(l.partial)
	}
	return l.line
}
