package identity

import (
	"context"

	"github.com/evenkeel/evenkeel/gateway/auth"
)

// Config says whom a server believes.
type Config struct {
	// TrustedPeers are the SPIFFE ids that may say on whose behalf they call:
	// front doors, and services that pass a caller's identity on.
	TrustedPeers []string

	// AllowedPeers are the SPIFFE ids that may call on their own behalf, and
	// what they may do.
	AllowedPeers []AllowedPeer

	// ExemptServices are services that any peer may call, even without a
	// certificate, by full name ("grpc.health.v1.Health"). The default, nil,
	// stands for [DefaultExemptServices]; an empty slice for none.
	ExemptServices []string

	// SkipAccess leaves it to the handlers to check what a caller may do.
	// Default false: a method's option evenkeel.gateway.v1.access is enforced,
	// and a method without it refused.
	SkipAccess bool
}

// An AllowedPeer is a peer that may call on its own behalf.
type AllowedPeer struct {
	// ID is its SPIFFE id, `spiffe://trust-domain/path`.
	ID string
	// Scopes are what it may do.
	Scopes []string
}

// DefaultExemptServices are what orchestrators and balancers ask before, or
// instead of, making calls.
var DefaultExemptServices = []string{
	"grpc.health.v1.Health",
	"xds.service.orca.v3.OpenRcaService",
}

// FromContext returns the caller of the method that ctx was given to, and
// whether there is one.
func FromContext(ctx context.Context) (*auth.Principal, bool) {
	return auth.FromContext(ctx)
}
