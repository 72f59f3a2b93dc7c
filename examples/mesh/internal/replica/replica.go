// Package replica is one replica of a mesh's service: what runs in each of the
// child processes.
//
// It is what a server that embeds Evenkeel looks like: package orca tells clients
// how busy it is, gateway/identity takes callers only from peers that proved who
// they are, and its own calls to other services go through xds:///… channels,
// hence through whatever policy the control plane names. One service, talent,
// also embeds the gateway.
//
// A replica reads its config from its standard input and then commands, and says
// events on its standard output: see package protocol. It ends when its input does, so that none is
// left when the parent is gone, on whatever system. Where its xDS control plane is
// it learns from the environment (GRPC_XDS_BOOTSTRAP or GRPC_XDS_BOOTSTRAP_CONFIG),
// as every gRPC client does.
package replica

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/evenkeel/evenkeel/examples/mesh/internal/protocol"
)

// termDrain is how long calls may take after a SIGTERM that does not come from
// the parent.
const termDrain = 5 * time.Second

// Run runs a replica until its input ends, it is drained, or the process is told
// to terminate.
func Run(ctx context.Context, in io.Reader, out io.Writer, log *slog.Logger) error {
	// An interrupt from the terminal reaches the whole process group. What is to
	// be done about it is the parent's to decide.
	signal.Ignore(os.Interrupt, syscall.SIGHUP)
	terminate := make(chan os.Signal, 1)
	signal.Notify(terminate, syscall.SIGTERM)
	defer signal.Stop(terminate)

	decoder := json.NewDecoder(in)
	var config protocol.Config
	if err := decoder.Decode(&config); err != nil {
		return fmt.Errorf("replica: read config: %w", err)
	}
	commands := make(chan protocol.Command)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go readCommands(ctx, decoder, commands)

	server, err := newServer(ctx, &config, log)
	if err != nil {
		return fmt.Errorf("replica: %w", err)
	}
	defer server.close()
	if err := json.NewEncoder(out).Encode(protocol.Event{Ready: server.ready()}); err != nil {
		return fmt.Errorf("replica: report readiness: %w", err)
	}
	return obey(server, commands, terminate)
}

// readCommands hands on what the parent says, until it says no more. It ends
// with the process at the latest: nothing interrupts a read of a pipe.
func readCommands(ctx context.Context, decoder *json.Decoder, commands chan<- protocol.Command) {
	defer close(commands)
	for {
		var c protocol.Command
		if err := decoder.Decode(&c); err != nil {
			return
		}
		select {
		case commands <- c:
		case <-ctx.Done():
			return
		}
	}
}

func obey(s *server, commands <-chan protocol.Command, terminate <-chan os.Signal) error {
	for {
		select {
		case c, ok := <-commands:
			switch {
			case !ok:
				return nil
			case c.Drain != nil:
				return s.drain(*c.Drain)
			case c.Speed != nil:
				if err := s.pool.SetSpeed(*c.Speed); err != nil {
					s.log.Error("speed not changed", "error", err)
				}
			}
		case <-terminate:
			return s.drain(termDrain)
		case err := <-s.failed:
			if err == nil {
				err = errors.New("it stopped serving")
			}
			return fmt.Errorf("replica: %w", err)
		}
	}
}
