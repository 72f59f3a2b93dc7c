package gateway

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/evenkeel/evenkeel/gateway/auth"
	"github.com/evenkeel/evenkeel/gateway/internal/route"
	"github.com/evenkeel/evenkeel/gateway/openapi"
	"github.com/evenkeel/evenkeel/gateway/problem"
	"github.com/evenkeel/evenkeel/gateway/ratelimit"
	gatewayv1 "github.com/evenkeel/evenkeel/proto/evenkeel/gateway/v1"
)

// OpenAPI says what the description of the API tells besides what the protos
// say: see package openapi. Who may call, rates, limits, errors and the form of
// JSON are those of the gateway.
type OpenAPI struct {
	// Title names the API. Required.
	Title string
	// Version is that of the API. Required.
	Version string
	// Description says what the API is, in CommonMark. Default none.
	Description string
	// Servers are URLs, absolute or from the root, below which the paths are.
	// Below the first one problems are explained, too, as their types tell.
	// Default: the server that the document comes from.
	Servers []string
	// Security says which credentials are taken, besides those of the
	// authenticators of package auth, which are known. It is required if all of
	// Authenticators are of another kind.
	Security openapi.Security
}

// description is what is served of the API.
type description struct {
	document *openapi.Document
	handler  http.Handler
}

// security returns which credentials the authenticators take.
func (c *Config) security() (openapi.Security, error) {
	s := c.OpenAPI.Security
	for _, a := range c.Authenticators {
		switch a.(type) {
		case *auth.JWT:
			s.Bearer = true
		case *auth.APIKeys:
			s.APIKey = true
		case *auth.ClientCerts:
			s.MutualTLS = true
		}
	}
	if len(c.Authenticators) > 0 && !s.Bearer && !s.APIKey && !s.MutualTLS {
		return s, fmt.Errorf("Security: the authenticators are none of package auth; say which credentials they take")
	}
	return s, nil
}

// describe describes services; nil if that is not asked for. An error is one of
// the config if there are no services.
func (g *Gateway) describe(services []*mounting) (*description, error) {
	told := g.config.OpenAPI
	if told == nil {
		return nil, nil
	}
	security, err := g.config.security()
	if err != nil {
		return nil, err
	}
	config := openapi.Config{
		Title: told.Title, Version: told.Version, Description: told.Description, Servers: told.Servers,
		Security: security, Rates: g.rates.Policies(), Access: map[string]*gatewayv1.Access{},
		JSON: openapi.JSON(g.config.JSON), Limits: g.config.limitsTold(),
	}
	var descriptors []protoreflect.ServiceDescriptor
	for _, m := range services {
		descriptor, err := serviceOf(m.name)
		if err != nil {
			return nil, err
		}
		descriptors = append(descriptors, descriptor)
		if m.overload != nil {
			config.Overload = append(config.Overload, m.name)
		}
		for method, access := range m.access {
			config.Access[m.name+"/"+method] = access
		}
	}
	document, err := openapi.New(config, descriptors...)
	if err != nil {
		return nil, err
	}
	return &description{document, document.Handler()}, nil
}

// limitsTold returns the limits of every request.
func (c *Config) limitsTold() openapi.Limits {
	return openapi.Limits{
		HeaderBytes: c.Limits.HeaderBytes, URLBytes: c.Limits.URLBytes, BodyBytes: c.Limits.BodyBytes,
		QueryParameters: c.Limits.QueryParameters, JSONDepth: c.Limits.JSONDepth, ReadBody: c.Timeouts.ReadBody,
		Call: c.Timeouts.Call, CallMax: c.Timeouts.CallMax, Stream: c.Timeouts.Stream,
	}
}

// hidesRoute returns an error if a route is where the gateway answers itself.
func (c *Config) hidesRoute(tree *route.Tree[*binding]) error {
	for _, path := range []string{c.Health.LivePath, c.Health.ReadyPath} {
		if hidden := tree.Match(http.MethodGet, path, false); hidden.Found {
			return fmt.Errorf("%s: %s would be hidden by the health path %s; choose another in Config.Health", hidden.Value.rpc, hidden.Template, path)
		}
	}
	if c.OpenAPI == nil {
		return nil
	}
	for _, path := range openapi.Paths() {
		if hidden := tree.Match(http.MethodGet, path, false); hidden.Found {
			return fmt.Errorf("%s: %s would be hidden by %s; leave Config.OpenAPI out and serve package openapi beside the gateway", hidden.Value.rpc, hidden.Template, path)
		}
	}
	return nil
}

// OpenAPI returns the description of what is mounted, nil if Config.OpenAPI is.
func (g *Gateway) OpenAPI() *openapi.Document {
	if d := g.description.Load(); d != nil {
		return d.document
	}
	return nil
}

// describes reports whether a path is one of the description.
func (g *Gateway) describes(path string) bool {
	return g.description.Load() != nil && strings.HasPrefix(path, "/openapi") && slices.Contains(openapi.Paths(), path)
}

// serveDescription answers a request for the description and reports whether it
// was one. It is counted against the rates that hold for all methods, as one of
// a caller that is not known.
func (x *exchange) serveDescription() bool {
	g := x.gateway
	if !g.describes(x.request.URL.Path) {
		return false
	}
	p := x.checkURL()
	if p == nil && x.request.Method != http.MethodGet && x.request.Method != http.MethodHead {
		x.writer.Header().Set("Allow", "GET, HEAD")
		p = problem.New(http.StatusMethodNotAllowed, codes.Unimplemented, "the path does not have this method; Allow names those that it has")
	}
	if p == nil {
		d := g.rates.Allow(x.request.Context(), ratelimit.Request{
			Method: "/openapi", Address: x.address(), HTTP: x.request,
		})
		d.SetHeaders(x.writer.Header())
		p = d.Problem()
	}
	if p != nil {
		x.fail(p)
		return true
	}
	g.description.Load().handler.ServeHTTP(x.writer, x.request)
	return true
}
