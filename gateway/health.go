package gateway

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"

	"github.com/evenkeel/evenkeel/gateway/problem"
)

// checkTimeout bounds the checks of one request to ReadyPath.
const checkTimeout = 2 * time.Second

// serveHealth answers a request for health and reports whether it was one.
// Such requests come every few seconds; they leave no record.
func (g *Gateway) serveHealth(x *exchange) bool {
	var check func(context.Context) error
	switch x.request.URL.Path {
	case g.config.Health.LivePath:
		check = func(context.Context) error { return nil }
	case g.config.Health.ReadyPath:
		check = g.notReady
	default:
		return false
	}
	if m := x.request.Method; m != http.MethodGet && m != http.MethodHead {
		x.writer.Header().Set("Allow", "GET, HEAD")
		x.fail(problem.New(http.StatusMethodNotAllowed, codes.Unimplemented, "the path does not have this method; Allow names those that it has"))
		return true
	}
	ctx, cancel := context.WithTimeout(x.request.Context(), checkTimeout)
	defer cancel()
	if err := check(ctx); err != nil {
		// Why is told in the log: anybody may ask here.
		g.config.Logger.LogAttrs(ctx, slog.LevelWarn, "gateway: not ready", slog.Any("error", err))
		x.fail(problem.New(http.StatusServiceUnavailable, codes.Unavailable, "not ready"))
		return true
	}
	const ok = `{"status":"ok"}`
	x.writer.Header().Set("Content-Type", typeJSON)
	x.writer.Header().Set("Content-Length", strconv.Itoa(len(ok)))
	_, _ = io.WriteString(x.writer, ok)
	return true
}

// Ready returns nil if requests should be sent here, or why not, as the answer at
// ReadyPath does not tell: the text is for operators.
func (g *Gateway) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	return g.notReady(ctx)
}

// Draining reports whether g is about to end: [Gateway.Serve]'s context is done, or
// [Gateway.Drain] was called.
func (g *Gateway) Draining() bool { return g.draining.Load() }

// notReady returns why requests should be sent elsewhere, or nil.
func (g *Gateway) notReady(ctx context.Context) error {
	if g.draining.Load() {
		return errors.New("draining")
	}
	if !g.config.Health.IgnoreUpstreams {
		if err := g.upstreamsDown(); err != nil {
			return err
		}
	}
	for _, a := range g.config.Authenticators {
		if checked, ok := a.(interface{ Ready(context.Context) error }); ok {
			if err := checked.Ready(ctx); err != nil {
				return err
			}
		}
	}
	for _, check := range g.config.Health.Checks {
		if err := check(ctx); err != nil {
			return err
		}
	}
	return nil
}

// stateful is what a *grpc.ClientConn tells of itself.
type stateful interface {
	GetState() connectivity.State
	Connect()
}

// watchedConn is an upstream whose state counts for readiness.
type watchedConn struct {
	stateful
	connectedOnce atomic.Bool
}

// watch takes an upstream in. g.mu is held.
func (g *Gateway) watch(conn grpc.ClientConnInterface) {
	if s, ok := conn.(stateful); ok {
		g.watched = append(g.watched, &watchedConn{stateful: s})
	}
}

// upstreamsDown returns an error until each upstream was connected once, so
// that a gateway that starts waits for all it needs, and from then on while
// none is connected: the loss of one service must not take the others away.
func (g *Gateway) upstreamsDown() error {
	g.mu.Lock()
	watched := g.watched
	g.mu.Unlock()
	connected := 0
	for _, w := range watched {
		state := w.GetState()
		switch state {
		case connectivity.Ready:
			w.connectedOnce.Store(true)
			connected++
		case connectivity.Idle:
			w.Connect()
			// Idle after it was connected is only at rest.
			if w.connectedOnce.Load() {
				connected++
			}
		}
		if !w.connectedOnce.Load() {
			return errors.New("an upstream has not been connected yet: " + state.String())
		}
	}
	if len(watched) > 0 && connected == 0 {
		return errors.New("no upstream is connected")
	}
	return nil
}
