// Package backend is the server that `evenkeel compare` balances calls to: a real
// gRPC server, in a process of its own, that reports its load by package orca and
// does virtual work (package share).
//
// A process reads its config from its standard input and then commands, one JSON
// object each, and says on its standard output where it answers. It ends when its
// input does, so that none is left when the parent is gone.
package backend

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"google.golang.org/grpc"

	"github.com/evenkeel/evenkeel/internal/compare/share"
	"github.com/evenkeel/evenkeel/orca"
)

// Config is the first thing that a backend is told.
type Config struct {
	// Listen is the address to listen on.
	Listen string
	// Workers, Speed and Limit are those of its share.Pool.
	Workers int
	Speed   float64
	Limit   int
}

// Command tells a running backend to do something. One field is set.
type Command struct {
	Speed  *float64       `json:",omitempty"` // be this fast from now on
	Occupy *int           `json:",omitempty"` // take this many workers away from the calls
	Drain  *time.Duration `json:",omitempty"` // end gracefully, within this time
}

// Ready is what a backend says when it answers.
type Ready struct{ Address string }

// WindowSize is that of HTTP/2's flow control, at both ends. If it does not adapt
// to the bandwidth, which these calls do not need, no ping is sent to measure that:
// with calls as small and as rare as here there would be two for each.
const WindowSize = 1 << 16

// noticeTime is how long a draining backend waits for clients to stop sending by
// themselves, as those do that heed load reports. The others are told by GOAWAY.
const noticeTime = time.Second

// Run runs a backend until its input ends or it is drained.
func Run(in io.Reader, out io.Writer) error {
	// An interrupt from the terminal reaches the whole process group. What is to
	// be done about it is the parent's to decide.
	signal.Ignore(os.Interrupt, syscall.SIGHUP)
	decoder := json.NewDecoder(in)
	var config Config
	if err := decoder.Decode(&config); err != nil {
		return fmt.Errorf("backend: read config: %w", err)
	}
	listener, err := net.Listen("tcp", config.Listen)
	if err != nil {
		return fmt.Errorf("backend: %w", err)
	}
	server, err := Serve(listener, config)
	if err != nil {
		return err
	}
	defer server.Stop()
	if err := json.NewEncoder(out).Encode(Ready{Address: listener.Addr().String()}); err != nil {
		return fmt.Errorf("backend: say where it answers: %w", err)
	}
	for {
		var c Command
		switch err := decoder.Decode(&c); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("backend: read a command: %w", err)
		case c.Drain != nil:
			server.Drain(*c.Drain)
			return nil
		}
		if err := server.Do(c); err != nil {
			return err
		}
	}
}

// Server is a backend that answers.
type Server struct {
	pool     *share.Pool
	reporter *orca.Reporter
	grpc     *grpc.Server
	served   chan struct{}
}

// Serve answers on a listener, which it owns from now on.
func Serve(listener net.Listener, config Config) (*Server, error) {
	pool, err := share.NewPool(share.Config{Workers: config.Workers, Speed: config.Speed, Limit: config.Limit})
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	reporter, err := orca.NewReporter(orca.WithUtilization(pool.Utilization))
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	s := &Server{
		pool: pool, reporter: reporter, served: make(chan struct{}),
		grpc: grpc.NewServer(append(reporter.ServerOptions(), grpc.StaticStreamWindowSize(WindowSize), grpc.StaticConnWindowSize(WindowSize))...),
	}
	s.grpc.RegisterService(&service, s)
	reporter.Register(s.grpc)
	go func() {
		defer close(s.served)
		s.grpc.Serve(listener) // its end is the server's: clients see it as they would any
	}()
	return s, nil
}

// Do obeys a command other than to drain.
func (s *Server) Do(c Command) error {
	if c.Speed != nil {
		return s.pool.SetSpeed(*c.Speed)
	}
	if c.Occupy != nil {
		return s.pool.Occupy(*c.Occupy)
	}
	return errors.New("backend: the command is empty")
}

// Drain has clients send no more and lets the calls in flight end. Those that
// have not within the time are cut.
func (s *Server) Drain(within time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	notice, stop := context.WithTimeout(ctx, noticeTime)
	defer stop()
	s.reporter.Drain(notice) // an error says that some still send
	cut := context.AfterFunc(ctx, s.grpc.Stop)
	defer cut()
	s.grpc.GracefulStop()
	s.Stop()
}

// Stop cuts all calls and ends the server.
func (s *Server) Stop() {
	s.grpc.Stop()
	s.reporter.Close()
	<-s.served
}
