package openapi

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/evenkeel/evenkeel/gateway/auth"
	"github.com/evenkeel/evenkeel/gateway/ratelimit"
	gatewayv1 "github.com/evenkeel/evenkeel/proto/evenkeel/gateway/v1"
)

// Config says what a document tells besides what the descriptors say.
type Config struct {
	// Title names the API. Required.
	Title string
	// Version is that of the API, not of OpenAPI. Required.
	Version string
	// Description says what the API is, in CommonMark. Default none.
	Description string
	// Servers are URLs, absolute or from the root, below which the paths are.
	// Default: the server that the document comes from.
	Servers []string
	// Security says how callers show who they are. Default: not at all; then
	// every method must be public.
	Security Security
	// Rates hold for all methods, besides those that a method declares: those of
	// the gateway's Config.RateLimit.Policies. Default none.
	Rates []ratelimit.Policy
	// Limits are those of every request, which the gateway's Config.Limits and
	// Config.Timeouts set. They are in x-limits. Default: none are told.
	Limits Limits
	// JSON is the form that the gateway's Config.JSON gives to answers.
	JSON JSON
	// Overload names the services whose calls package overload limits, as the
	// gateway's Service.Overload does: the priorities of their methods are in
	// x-priority. Default none: then no method goes before another.
	Overload []string
	// Access says who may call methods that do not declare it, as the gateway's
	// Service.Access does, by full method name: "movie.v1.MovieService/GetMovie".
	// Default none.
	Access map[string]*gatewayv1.Access
}

// Limits bound a request and the time that it may take. Zero stands for what is
// not told.
type Limits struct {
	// HeaderBytes, URLBytes and BodyBytes bound the request's parts, BodyBytes of
	// a client stream each message.
	HeaderBytes, URLBytes int
	BodyBytes             int64
	// QueryParameters and JSONDepth bound how many parameters there are, and how
	// deep a body nests.
	QueryParameters, JSONDepth int
	// ReadBody is how long a body may take to come.
	ReadBody time.Duration
	// Call is how long a call may take whose caller does not say, CallMax one
	// whose does, and Stream a stream.
	Call, CallMax, Stream time.Duration
}

// limitsOf returns what is told of limits; nil if nothing is.
func limitsOf(l Limits) *limits {
	if l == (Limits{}) {
		return nil
	}
	return &limits{
		HeaderBytes: l.HeaderBytes, URLBytes: l.URLBytes, BodyBytes: l.BodyBytes,
		QueryParameters: l.QueryParameters, JSONDepth: l.JSONDepth,
		ReadBody: durationOf(l.ReadBody), Call: durationOf(l.Call), CallMax: durationOf(l.CallMax), Stream: durationOf(l.Stream),
	}
}

// durationOf writes a duration as in Go, such as 1m0s; "" for none.
func durationOf(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

// Security says which credentials the gateway's authenticators take. A caller
// needs one of them.
type Security struct {
	// Bearer says that there are tokens, in the header Authorization.
	Bearer bool
	// BearerFormat hints what the tokens are. Default "JWT".
	BearerFormat string
	// APIKey says that there are API keys, in the header X-Api-Key.
	APIKey bool
	// MutualTLS says that there are client certificates.
	MutualTLS bool
}

func (s Security) none() bool { return !s.Bearer && !s.APIKey && !s.MutualTLS }

// schemes returns the security schemes by name.
func (s Security) schemes() map[string]securityScheme {
	schemes := map[string]securityScheme{}
	if s.Bearer {
		format := s.BearerFormat
		if format == "" {
			format = "JWT"
		}
		schemes["bearer"] = securityScheme{Type: "http", Scheme: "bearer", BearerFormat: format}
	}
	if s.APIKey {
		schemes["apiKey"] = securityScheme{Type: "apiKey", In: "header", Name: auth.APIKeyHeader}
	}
	if s.MutualTLS {
		schemes["mutualTLS"] = securityScheme{Type: "mutualTLS"}
	}
	return schemes
}

func (c *Config) check() error {
	if c.Title == "" {
		return errors.New("Title: must be set")
	}
	if c.Version == "" {
		return errors.New("Version: must be set, to the version of the API")
	}
	for i, s := range c.Servers {
		if u, err := url.Parse(s); err != nil || s == "" || u.Scheme == "" && s[0] != '/' || u.Scheme != "" && u.Scheme != "http" && u.Scheme != "https" {
			return fmt.Errorf("Servers[%d]: %q: must be a URL with http or https, or start with a slash", i, s)
		}
	}
	return nil
}
