// Package auth tells who a request comes from.
//
// An [Authenticator] judges one kind of credentials and answers with a
// [Principal]. Built in are [NewJWT] for bearer tokens (RFC 6750, RFC 7519, keys
// from a JWK set as in RFC 7517), [NewOIDC] for those of an OpenID provider, which
// says itself where its keys are, [NewAPIKeys] for API keys and [NewClientCerts]
// for client certificates with SPIFFE ids. A gateway asks its authenticators in
// turn; before any other handler, [NewMiddleware] does, or [Authenticate]:
//
//	tokens, err := auth.NewJWT(auth.JWTConfig{
//		Issuer:    "https://id.example.com",
//		Audiences: []string{"https://api.example.com"},
//		JWKSURL:   "https://id.example.com/jwks.json",
//	})
//	…
//	gateway.New(gateway.Config{Authenticators: []auth.Authenticator{tokens}})
//
//	// or, without a gateway:
//	known, err := auth.NewMiddleware(auth.MiddlewareConfig{Authenticators: []auth.Authenticator{tokens}})
//	…
//	http.ListenAndServe(address, known(handler))
//
// What a principal may do is not decided here but by the methods it calls, see
// the option evenkeel.gateway.v1.access.
package auth

import (
	"context"
	"net/http"
	"slices"
)

// A Principal is an authenticated caller. Treat it as read-only: it may be
// shared by many requests.
type Principal struct {
	// Subject names the caller, uniquely within Issuer. Never empty.
	Subject string
	// Issuer tells who vouches for Subject: a token's `iss` claim, empty for an
	// API key, the SPIFFE trust domain for a client certificate.
	Issuer string
	// Scopes are what the caller may do, sorted and without repetition.
	Scopes []string
	// Method tells how the caller was authenticated.
	Method Method
}

// A Method is a way to authenticate.
type Method string

// The ways that are built in. An authenticator of your own names its own.
const (
	// MethodJWT is a bearer token.
	MethodJWT Method = "jwt"
	// MethodAPIKey is an API key.
	MethodAPIKey Method = "api_key"
	// MethodMTLS is a client certificate.
	MethodMTLS Method = "mtls"
)

// HasScopes reports whether the principal holds every one of scopes.
func (p *Principal) HasScopes(scopes []string) bool {
	for _, want := range scopes {
		if !slices.Contains(p.Scopes, want) {
			return false
		}
	}
	return true
}

// An Authenticator judges one kind of credentials. Its methods are called
// concurrently.
type Authenticator interface {
	// Authenticate returns the principal that the request's credentials prove.
	// It returns nil and no error if the request carries none of the kind that
	// it judges, so that the next authenticator is asked, and an error if it
	// carries some that do not hold. Only the text of an [*Error] is told to
	// the caller. It must not read the request's body.
	Authenticate(ctx context.Context, r *http.Request) (*Principal, error)

	// Challenge returns the scheme and the parameters (RFC 9110, section
	// 11.6.1) that a 401 answer asks for, without the realm: `Bearer`.
	Challenge() string
}

type principalKey struct{}

// NewContext returns a context that carries p.
func NewContext(ctx context.Context, p *Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// FromContext returns the principal that ctx carries, and whether there is one.
func FromContext(ctx context.Context) (*Principal, bool) {
	p, _ := ctx.Value(principalKey{}).(*Principal)
	return p, p != nil
}
