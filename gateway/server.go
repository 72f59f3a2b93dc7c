package gateway

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Serve answers requests that come in at listener until ctx is done. Then it
// drains: it answers 503 at ReadyPath for Drain.Delay while it goes on to
// serve; ends streams; accepts nothing more; and gives requests in flight
// Drain.Timeout to finish. It returns nil after a clean drain, and an error if
// requests had to be cut or the listener failed. It closes the listener.
func (g *Gateway) Serve(ctx context.Context, listener net.Listener) error {
	if i := g.config.certificatesTaken(); i >= 0 && g.config.TLS == nil {
		_ = listener.Close()
		return fmt.Errorf("gateway: Config.TLS: must be set, or nobody can show a certificate to Authenticators[%d]", i)
	}
	server := g.newServer()
	g.connectUpstreams()
	failed := make(chan error, 1)
	go func() { failed <- serveOn(server, newConnections(listener, g.config.Limits.Connections)) }()
	select {
	case err := <-failed:
		_ = server.Close() // who is connected already
		return fmt.Errorf("gateway: %w", err)
	case <-ctx.Done():
	}
	return g.drain(server, failed)
}

func serveOn(server *http.Server, listener *connections) error {
	server.ConnState = func(conn net.Conn, state http.ConnState) {
		listener.changed(conn, state)
		if state == http.StateIdle {
			// The deadline of the last write has done its work.
			_ = conn.SetWriteDeadline(time.Time{})
		}
	}
	if server.TLSConfig != nil {
		return server.ServeTLS(listener, "", "")
	}
	return server.Serve(listener)
}

// Drain is the beginning of the end for a g that is the handler of a server of
// one's own; [Gateway.Serve] does it itself. For Drain.Delay, or until ctx is done,
// g answers 503 at ReadyPath and asks callers to leave, while it goes on to serve;
// then it ends streams and returns. What is left to do is the server's, such as
// [http.Server.Shutdown]. g is not ready again.
func (g *Gateway) Drain(ctx context.Context) {
	g.beginDrain()
	defer g.endStreams()
	if g.config.Drain.Delay <= 0 {
		return
	}
	timer := time.NewTimer(g.config.Drain.Delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (g *Gateway) beginDrain() {
	g.draining.Store(true)
	g.config.Logger.LogAttrs(context.Background(), slog.LevelInfo, "gateway: draining: not ready, but serves on for the delay, then finishes what is in flight",
		slog.Duration("delay", g.config.Drain.Delay), slog.Duration("timeout", g.config.Drain.Timeout))
}

func (g *Gateway) drain(server *http.Server, failed <-chan error) error {
	g.beginDrain()
	if g.config.Drain.Delay > 0 {
		timer := time.NewTimer(g.config.Drain.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case err := <-failed:
			_ = server.Close()
			return fmt.Errorf("gateway: while draining: %w", err)
		}
	}
	g.endStreams()
	ctx, cancel := context.WithTimeout(context.Background(), g.config.Drain.Timeout)
	defer cancel()
	err := server.Shutdown(ctx)
	if err != nil {
		_ = server.Close() // cuts what is left
		err = fmt.Errorf("gateway: requests were cut after %v: %w", g.config.Drain.Timeout, err)
	}
	<-failed
	return err
}

// connectUpstreams spares the first requests the wait.
func (g *Gateway) connectUpstreams() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, w := range g.watched {
		w.Connect()
	}
}

// newServer returns a server with the timeouts and limits of the config. It has
// no ReadTimeout and no WriteTimeout: these would cut streams. The exchange
// sets deadlines instead, for the body as a whole and for each write.
func (g *Gateway) newServer() *http.Server {
	c := &g.config
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(c.TLS != nil)
	protocols.SetUnencryptedHTTP2(c.UnencryptedHTTP2)
	server := &http.Server{
		Handler:           g,
		ReadHeaderTimeout: c.Timeouts.ReadHeader,
		IdleTimeout:       c.Timeouts.Idle,
		MaxHeaderBytes:    c.Limits.HeaderBytes,
		Protocols:         protocols,
		// `OPTIONS *` is answered by the exchange, within its limits.
		DisableGeneralOptionsHandler: true,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: c.Limits.StreamsPerConnection,
			SendPingTimeout:      c.Timeouts.Idle,
			PingTimeout:          15 * time.Second,
			WriteByteTimeout:     c.Timeouts.Write,
		},
		ErrorLog: slog.NewLogLogger(c.Logger.Handler(), slog.LevelWarn),
	}
	if c.TLS != nil {
		server.TLSConfig = c.TLS.Clone()
		if server.TLSConfig.MinVersion == 0 {
			server.TLSConfig.MinVersion = tls.VersionTLS12
		}
	}
	return server
}
