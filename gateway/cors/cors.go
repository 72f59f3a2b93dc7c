package cors

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rs/cors"
)

// Config says what pages of other origins may do. [New] refuses what is unsafe
// or has no effect, with the field's path.
type Config struct {
	// Origins are those that may call: `https://host`, `https://host:port`, or
	// `https://*.host` for all hosts below one. `*` alone stands for every
	// origin. http is accepted for localhost only, see InsecureOrigins; `null`,
	// which any page can be, is not. At least one.
	Origins []string

	// Methods are the HTTP methods that may be used. Default GET, HEAD, POST,
	// PUT, PATCH and DELETE.
	Methods []string

	// RequestHeaders are those that may be sent besides the ones that always
	// may. Default Accept, Authorization, Content-Type, Grpc-Timeout, If-Match,
	// If-None-Match, Last-Event-Id, X-Api-Key and X-Request-Id.
	RequestHeaders []string

	// ResponseHeaders are those that pages may read besides the ones that they
	// always may. Default ETag, Location, RateLimit, RateLimit-Policy,
	// Retry-After, Www-Authenticate and X-Request-Id.
	ResponseHeaders []string

	// Credentials lets browsers send cookies and client certificates. It needs
	// origins by name. Default false; tokens that a page sends itself in
	// Authorization need RequestHeaders only.
	Credentials bool

	// MaxAge is how long browsers may remember the answer. Up to 24 h; default
	// 10 min. Negative for not at all.
	MaxAge time.Duration

	// InsecureOrigins accepts http for any host. Whoever is between a browser
	// and such a host can act as a page of it.
	InsecureOrigins bool
}

// A Policy answers browsers. It may be used concurrently.
type Policy struct {
	cors    *cors.Cors
	config  Config
	origins *origins // nil for every one
}

// New returns a policy.
func New(config Config) (*Policy, error) {
	origins, err := config.complete()
	if err != nil {
		return nil, fmt.Errorf("cors: Config.%w", err)
	}
	options := cors.Options{
		AllowedMethods:   config.Methods,
		AllowedHeaders:   config.RequestHeaders,
		ExposedHeaders:   config.ResponseHeaders,
		AllowCredentials: config.Credentials,
		MaxAge:           int(config.MaxAge / time.Second),
	}
	if origins == nil {
		options.AllowedOrigins = []string{"*"}
	} else {
		options.AllowOriginFunc = origins.match
	}
	if config.MaxAge < 0 {
		options.MaxAge = -1
	}
	return &Policy{cors.New(options), config, origins}, nil
}

// Config returns who is let in, with the defaults set.
func (p *Policy) Config() Config { return p.config }

// Allows reports whether pages of an origin, as a browser sends it, may call.
func (p *Policy) Allows(origin string) bool {
	return p.origins == nil && origin != "" || p.origins != nil && p.origins.match(origin)
}

// Middleware answers what browsers ask before they call, and says of next's
// answers who may read them.
func (p *Policy) Middleware(next http.Handler) http.Handler { return p.cors.Handler(next) }

// complete checks a config, sets its defaults and returns the origins, nil for
// every one. An error starts with the path of the field.
func (c *Config) complete() (*origins, error) {
	if len(c.Methods) == 0 {
		c.Methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}
	}
	if len(c.RequestHeaders) == 0 {
		c.RequestHeaders = []string{
			"Accept", "Authorization", "Content-Type", "Grpc-Timeout", "If-Match", "If-None-Match", "Last-Event-Id", "X-Api-Key", "X-Request-Id",
		}
	}
	if len(c.ResponseHeaders) == 0 {
		c.ResponseHeaders = []string{"ETag", "Location", "RateLimit", "RateLimit-Policy", "Retry-After", "Www-Authenticate", "X-Request-Id"}
	}
	if c.MaxAge == 0 {
		c.MaxAge = 10 * time.Minute
	}
	if c.MaxAge > 24*time.Hour || c.MaxAge > 0 && c.MaxAge < time.Second {
		return nil, fmt.Errorf("MaxAge: %v is out of range; 1s to 24h, or negative", c.MaxAge)
	}
	if err := cmp.Or(c.checkMethods(), c.checkRequestHeaders(), c.checkResponseHeaders()); err != nil {
		return nil, err
	}
	return c.readOrigins()
}

func (c *Config) checkMethods() error {
	for i, m := range c.Methods {
		switch {
		case !token(m):
			return fmt.Errorf("Methods[%d]: %q is not a method", i, m)
		case m != strings.ToUpper(m):
			return fmt.Errorf("Methods[%d]: %q: methods are in upper case, and %q is another one", i, m, strings.ToUpper(m))
		case m == "CONNECT" || m == "TRACE" || m == "TRACK":
			return fmt.Errorf("Methods[%d]: no browser lets a page use %s", i, m)
		}
	}
	return nil
}

func (c *Config) checkRequestHeaders() error {
	for i, name := range c.RequestHeaders {
		lower := strings.ToLower(name)
		switch {
		case name == "*":
			return fmt.Errorf("RequestHeaders[%d]: every header would be too many; name those that are needed", i)
		case !token(name):
			return fmt.Errorf("RequestHeaders[%d]: %q is not the name of a header", i, name)
		case strings.HasPrefix(lower, "access-control-"), strings.HasPrefix(lower, "sec-"), strings.HasPrefix(lower, "proxy-"),
			slices.Contains([]string{"cookie", "host", "origin", "referer", "connection", "content-length", "te", "trailer", "transfer-encoding", "upgrade", "via"}, lower):
			return fmt.Errorf("RequestHeaders[%d]: no browser lets a page set %s", i, name)
		}
	}
	return nil
}

func (c *Config) checkResponseHeaders() error {
	for i, name := range c.ResponseHeaders {
		lower := strings.ToLower(name)
		switch {
		case name == "*":
			return fmt.Errorf("ResponseHeaders[%d]: every header would be too many; name those that are needed", i)
		case !token(name):
			return fmt.Errorf("ResponseHeaders[%d]: %q is not the name of a header", i, name)
		case lower == "set-cookie" || lower == "set-cookie2":
			return fmt.Errorf("ResponseHeaders[%d]: no browser lets a page read %s", i, name)
		}
	}
	return nil
}

func (c *Config) readOrigins() (*origins, error) {
	if len(c.Origins) == 0 {
		return nil, errors.New("Origins: name those that may call; leave the middleware out if there is none")
	}
	parsed := origins{exact: map[string]bool{}}
	for i, raw := range c.Origins {
		if raw == "*" {
			switch {
			case len(c.Origins) > 1:
				return nil, fmt.Errorf("Origins[%d]: \"*\" stands for every origin; it must be alone", i)
			case c.Credentials:
				return nil, fmt.Errorf("Origins[%d]: with Credentials every page in the world could act for whoever looks at it; name the origins", i)
			}
			return nil, nil
		}
		if err := parsed.add(raw, c.InsecureOrigins); err != nil {
			return nil, fmt.Errorf("Origins[%d]: %w", i, err)
		}
	}
	return &parsed, nil
}

// token is that of RFC 9110, section 5.6.2.
func token(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	}) < 0
}
