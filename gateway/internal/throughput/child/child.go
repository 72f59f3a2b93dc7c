// Package child is what the processes of a run have in common: each says on its
// output where it listens, and answers on its output what it is asked on its
// input, a line of JSON each, until that ends.
package child

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/pprof"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Hello is what a process says first.
type Hello struct {
	// Address is where it listens, host and port; empty if it does not.
	Address string
}

// A Question is what a process that serves is asked.
type Question struct {
	// Profile begins a CPU profile that is written to this file, or ends it if
	// it is "-".
	Profile string
}

// Usage is what a process has used.
type Usage struct {
	// CPU is user and system time since its start.
	CPU time.Duration
	// RSS is its resident memory, in bytes, as /proc tells it; 0 elsewhere.
	RSS int64
}

// Answer answers questions until there are no more. It is what a process that
// serves ends with.
func Answer(address string) error {
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(Hello{Address: address}); err != nil {
		return err
	}
	var profile *os.File
	for in := json.NewDecoder(os.Stdin); ; {
		var q Question
		if err := in.Decode(&q); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		switch {
		case q.Profile == "-" && profile != nil:
			pprof.StopCPUProfile()
			if err := profile.Close(); err != nil {
				return err
			}
			profile = nil
		case q.Profile != "" && q.Profile != "-":
			var err error
			if profile, err = os.Create(q.Profile); err != nil {
				return err
			}
			if err := pprof.StartCPUProfile(profile); err != nil {
				return err
			}
		}
		if err := out.Encode(used()); err != nil {
			return err
		}
	}
}

func used() Usage {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return Usage{}
	}
	return Usage{CPU: time.Duration(u.Utime.Nano() + u.Stime.Nano()), RSS: resident()}
}

func resident() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

// A Process is one that was started.
type Process struct {
	Address string

	cmd   *exec.Cmd
	stdin io.WriteCloser
	in    *json.Encoder
	out   *json.Decoder
}

// Start starts a program and waits until it says hello.
func Start(program string, args ...string) (*Process, error) {
	p := &Process{cmd: exec.Command(program, args...)}
	p.cmd.Stderr = os.Stderr
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	p.in, p.out = json.NewEncoder(p.stdin), json.NewDecoder(stdout)
	var hello Hello
	if err := p.out.Decode(&hello); err != nil {
		return nil, errors.Join(fmt.Errorf("%s did not start: %w", program, err), p.Stop())
	}
	p.Address = hello.Address
	return p, nil
}

// Ask asks a question and waits for the answer.
func (p *Process) Ask(question, answer any) error {
	if err := p.in.Encode(question); err != nil {
		return err
	}
	return p.out.Decode(answer)
}

// Hear waits for something more that the process says.
func (p *Process) Hear(what any) error { return p.out.Decode(what) }

// Stop ends the process and waits for it.
func (p *Process) Stop() error {
	return errors.Join(p.stdin.Close(), p.cmd.Wait())
}
