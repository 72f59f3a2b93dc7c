package gateway

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evenkeel/evenkeel/gateway/internal/route"
	"github.com/evenkeel/evenkeel/gateway/policy"
	"github.com/evenkeel/evenkeel/gateway/ratelimit"
)

// A Gateway is a front door. Its methods may be called concurrently.
type Gateway struct {
	config    Config
	marshaler *marshaler
	// withEnumNumbers is for callers that ask for them, see alternative.
	withEnumNumbers *marshaler
	validator       *validator
	policies        *policy.Engine
	rates           *ratelimit.Limiter
	handler         http.Handler // exchange, with what stands around it
	forwarded       []forwarded  // what of a request's headers goes upstream
	waiting         *waiting
	behindProxies   bool // Config.RateLimit.Address says more than the connection

	tree     atomic.Pointer[route.Tree[*binding]]
	draining atomic.Bool
	// description is nil if none is served.
	description atomic.Pointer[description]
	// streams is done when streams are to end.
	streams    context.Context
	endStreams context.CancelFunc

	mu       sync.Mutex // guards what follows
	bindings []*binding
	services []*mounting // in the order in which they were mounted
	watched  []*watchedConn
}

// New returns a gateway with nothing mounted. An error names the field of
// config that is wrong.
func New(config Config) (*Gateway, error) {
	behindProxies := config.RateLimit.Address != nil
	if err := config.complete(); err != nil {
		return nil, fmt.Errorf("gateway: Config.%w", err)
	}
	rates, err := ratelimit.New(config.RateLimit)
	if err != nil {
		return nil, fmt.Errorf("gateway: Config.RateLimit: %w", err)
	}
	policies, err := policy.New(config.Policy)
	if err != nil {
		return nil, fmt.Errorf("gateway: Config.Policy: %w", err)
	}
	config.RateLimit, config.Policy = rates.Config(), policies.Config()
	g := &Gateway{config: config, validator: newValidator(config.Logger), rates: rates, policies: policies, marshaler: newMarshaler(config.JSON, config.Lenient)}
	numbers := config.JSON
	numbers.EnumNumbers = true
	g.withEnumNumbers = newMarshaler(numbers, config.Lenient)
	g.forwarded = forwardedOf(config.ForwardHeaders)
	g.waiting = newWaiting(config.Limits.HeldBytes)
	g.behindProxies = behindProxies
	g.streams, g.endStreams = context.WithCancel(context.Background())
	g.tree.Store(&route.Tree[*binding]{})
	described, err := g.describe(nil)
	if err != nil {
		return nil, fmt.Errorf("gateway: Config.OpenAPI: %w", err)
	}
	g.description.Store(described)
	g.handler = http.HandlerFunc(g.exchange)
	if config.Compress != nil {
		g.handler = config.Compress.Middleware(g.handler)
	}
	if config.CORS != nil {
		g.handler = config.CORS.Middleware(g.handler)
	}
	return g, nil
}

// Config returns the config in force, with the defaults set. What it points to is
// shared with g: do not change it. It holds what may be secret, such as a key
// in TLS; package admin shows it without.
func (g *Gateway) Config() Config { return g.config }

// ServeHTTP answers a request. It may be used in a server other than the one of
// [Gateway.Serve]; that server's limits on headers, connections and idle time
// hold then, and a WriteTimeout of its is replaced by Timeouts.Write for each
// write. Before that server ends, call [Gateway.Drain].
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) { g.handler.ServeHTTP(w, r) }

// The values of headers that each answer has. They are shared, and full: who
// adds to one gets another.
var noSniff, noStore = []string{"nosniff"}, []string{"no-store"}

// exchange answers a request.
func (g *Gateway) exchange(w http.ResponseWriter, r *http.Request) {
	x := &exchange{
		gateway: g, request: r, start: time.Now(),
		response: newResponseWriter(w, g.config.Timeouts.Write),
		id:       requestID(r.Header[requestIDHeader]),
	}
	x.writer = &x.response
	x.writer.waiting = g.waiting
	if len(r.Header["Expect"]) > 0 {
		x.writer.forget()
	}
	h := w.Header()
	x.headers[0] = x.id
	h[requestIDHeader] = x.headers[:1:1]
	h["X-Content-Type-Options"] = noSniff
	h["Cache-Control"] = noStore
	if g.draining.Load() || ambiguous(r) {
		// Asks the caller to come back on another connection.
		h.Set("Connection", "close")
	}
	x.boundBody()
	if g.serveHealth(x) {
		return
	}
	x.observe()
	defer x.finish()
	x.serve()
}

// ambiguous reports whether something in front may have seen the end of a
// request elsewhere, so that what follows on its connection may be a part of it
// (RFC 9112, section 6.1). net/http goes by Transfer-Encoding where there is a
// Content-Length, too, and ignores the former in HTTP/1.0; in both cases it does
// not tell that there was the other.
func ambiguous(r *http.Request) bool {
	return r.ProtoMajor == 1 && (r.ProtoMinor == 0 || len(r.TransferEncoding) > 0)
}
