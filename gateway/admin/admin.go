package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/evenkeel/evenkeel/gateway"
)

// Config says what is shown, and to whom. Its zero value is safe.
type Config struct {
	// AllowRemote lets in who reaches it over the network: everybody who can
	// sees the routes, the config and the profiles. Default false: it answers
	// on loopback addresses and Unix sockets only.
	AllowRemote bool

	// Hosts are names that it may be called by, besides localhost and
	// addresses: "admin.internal". Without a port. Default none.
	Hosts []string

	// Profiles serves profiles at /debug/pprof/. They tell the names of
	// functions and what the heap is made of, and cost CPU while one is taken.
	// Default false.
	Profiles bool

	// Handlers are served besides, by path, and linked to: {"/metrics": h}. A
	// path that ends in a slash takes all below it. What is there already
	// cannot be replaced. The host is checked before, as for the rest.
	Handlers map[string]http.Handler

	// Logger is told of requests that are refused, at Warn. Default that of the
	// gateway.
	Logger *slog.Logger
}

// Admin shows a gateway. Its methods may be called concurrently.
type Admin struct {
	gateway *gateway.Gateway
	config  Config
	handler http.Handler
	started time.Time
}

// New returns an admin of g. An error names the field of config that is wrong.
func New(g *gateway.Gateway, config Config) (*Admin, error) {
	if g == nil {
		return nil, errors.New("admin: the gateway is nil")
	}
	if config.Logger == nil {
		config.Logger = g.Config().Logger
	}
	config.Hosts = slices.Clone(config.Hosts)
	config.Handlers = maps.Clone(config.Handlers)
	a := &Admin{gateway: g, config: config, started: time.Now()}
	if err := a.checkConfig(); err != nil {
		return nil, fmt.Errorf("admin: Config.%w", err)
	}
	a.handler = a.guard(a.routes())
	return a, nil
}

func (a *Admin) checkConfig() error {
	for i, host := range a.config.Hosts {
		if host == "" || strings.ContainsAny(host, ":/*@ ") {
			return fmt.Errorf("Hosts[%d]: %q: must be a host name without a port", i, host)
		}
		a.config.Hosts[i] = strings.ToLower(host)
	}
	for path, h := range a.config.Handlers {
		switch {
		case h == nil:
			return fmt.Errorf("Handlers[%q]: is nil", path)
		case !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "{} ?#"):
			return fmt.Errorf("Handlers[%q]: must be a plain path that starts with a slash", path)
		case path == "/" || taken(path):
			return fmt.Errorf("Handlers[%q]: is served already; choose another path", path)
		}
	}
	return nil
}

// own are the paths that are served in any case.
var own = []string{"/livez", "/readyz", "/routes", "/config", "/explain", "/style.css", "/debug/pprof"}

func taken(path string) bool {
	name, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	name, _, _ = strings.Cut(name, ".")
	return name == "debug" || slices.ContainsFunc(own, func(p string) bool { return p == "/"+name || p == path })
}

func (a *Admin) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.serveIndex)
	mux.HandleFunc("GET /style.css", serveStyle)
	mux.HandleFunc("GET /livez", a.serveLive)
	mux.HandleFunc("GET /readyz", a.serveReady)
	for _, form := range []string{"", ".json", ".txt"} {
		mux.HandleFunc("GET /routes"+form, a.serveRoutes)
		mux.HandleFunc("GET /config"+form, a.serveConfig)
		mux.HandleFunc("GET /explain"+form, a.serveExplain)
		mux.HandleFunc("POST /explain"+form, a.serveExplain)
	}
	if a.config.Profiles {
		mux.HandleFunc("GET /debug/pprof/{$}", a.serveProfiles)
		mux.HandleFunc("GET /debug/pprof/{name}", serveProfile)
	}
	for path, h := range a.config.Handlers {
		mux.Handle(path, h)
	}
	return mux
}

// ServeHTTP answers a request, if it comes in where it may.
func (a *Admin) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.handler.ServeHTTP(w, r) }

// shutdownTimeout is how long requests may take to finish at the end.
const shutdownTimeout = 2 * time.Second

// Serve answers requests that come in at listener until ctx is done. End ctx
// after the gateway has drained, so that it can be seen how it does. It refuses a
// listener that other hosts can reach, unless Config.AllowRemote is set. It
// closes the listener.
func (a *Admin) Serve(ctx context.Context, listener net.Listener) error {
	if remote(listener.Addr()) {
		if !a.config.AllowRemote {
			_ = listener.Close()
			return fmt.Errorf("admin: %v can be reached from other hosts; listen on a loopback address such as 127.0.0.1:9901, or set Config.AllowRemote", listener.Addr())
		}
		a.config.Logger.LogAttrs(ctx, slog.LevelWarn, "admin: everybody who reaches the address sees routes, config and profiles",
			slog.String("address", listener.Addr().String()))
	}
	server := &http.Server{
		Handler:           a,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      maxProfile + 30*time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(a.config.Logger.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("admin: %w", err)
	case <-ctx.Done():
	}
	shutdown, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if server.Shutdown(shutdown) != nil {
		_ = server.Close() // a profile that is being taken is not waited for
	}
	<-failed
	return nil
}
