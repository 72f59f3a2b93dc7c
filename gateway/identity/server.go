package identity

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/evenkeel/evenkeel/gateway/auth"
	"github.com/evenkeel/evenkeel/gateway/inprocess"
	"github.com/evenkeel/evenkeel/gateway/internal/access"
	"github.com/evenkeel/evenkeel/gateway/internal/spiffe"
)

// ServerOptions returns the interceptors that establish a call's caller and
// enforce what it may do. The server's credentials must ask for and verify
// client certificates ([crypto/tls.RequireAndVerifyClientCert]); a peer without
// a verified one is answered UNAUTHENTICATED all the same. They are chained
// after interceptors that come earlier in the list of options.
func ServerOptions(config Config) ([]grpc.ServerOption, error) {
	unary, stream, err := Interceptors(config)
	if err != nil {
		return nil, err
	}
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(unary),
		grpc.ChainStreamInterceptor(stream),
	}, nil
}

// Interceptors returns what [ServerOptions] does as interceptors, for a server
// that is given them in another way, such as one in the same process. A caller
// through an [inprocess.Server] is believed like one of the TrustedPeers: it is
// part of the program.
func Interceptors(config Config) (grpc.UnaryServerInterceptor, grpc.StreamServerInterceptor, error) {
	g, err := newGuard(config)
	if err != nil {
		return nil, nil, err
	}
	return g.unary, g.stream, nil
}

// guard decides who calls and whether they may.
type guard struct {
	trusted    map[string]bool
	allowed    map[string]*auth.Principal
	exempt     map[string]bool
	skipAccess bool
	// rules holds an access.Rule or an error by full method name. Only methods
	// that are registered reach an interceptor, so that it cannot grow beyond
	// those.
	rules sync.Map
}

func newGuard(config Config) (*guard, error) {
	g := &guard{
		trusted:    map[string]bool{},
		allowed:    map[string]*auth.Principal{},
		exempt:     map[string]bool{},
		skipAccess: config.SkipAccess,
	}
	for i, id := range config.TrustedPeers {
		if _, err := spiffe.TrustDomain(id); err != nil {
			return nil, fmt.Errorf("identity: Config.TrustedPeers[%d]: %.200q: %w", i, id, err)
		}
		g.trusted[id] = true
	}
	for i, p := range config.AllowedPeers {
		domain, err := spiffe.TrustDomain(p.ID)
		if err != nil {
			return nil, fmt.Errorf("identity: Config.AllowedPeers[%d].ID: %.200q: %w", i, p.ID, err)
		}
		if g.allowed[p.ID] != nil {
			return nil, fmt.Errorf("identity: Config.AllowedPeers[%d].ID: %q is there twice", i, p.ID)
		}
		scopes := slices.Clone(p.Scopes)
		slices.Sort(scopes)
		g.allowed[p.ID] = &auth.Principal{
			Subject: p.ID, Issuer: domain, Scopes: slices.Compact(scopes), Method: auth.MethodMTLS,
		}
	}
	exempt := config.ExemptServices
	if exempt == nil {
		exempt = DefaultExemptServices
	}
	for _, service := range exempt {
		g.exempt[service] = true
	}
	return g, nil
}

func (g *guard) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	ctx, err := g.admit(ctx, info.FullMethod)
	if err != nil {
		return nil, err
	}
	return handler(ctx, req)
}

func (g *guard) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	ctx, err := g.admit(ss.Context(), info.FullMethod)
	if err != nil {
		return err
	}
	return handler(srv, &serverStream{ServerStream: ss, ctx: ctx})
}

type serverStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *serverStream) Context() context.Context { return s.ctx }

// admit returns the handler's context, which carries the caller, or refuses.
func (g *guard) admit(ctx context.Context, fullMethod string) (context.Context, error) {
	ctx, asserted, badAssertion := takeFromIncoming(ctx)
	service, _, _ := strings.Cut(strings.TrimPrefix(fullMethod, "/"), "/")
	if g.exempt[service] {
		return ctx, nil
	}
	caller, trusted, err := g.peer(ctx)
	switch {
	case err != nil:
		return nil, err
	case trusted && badAssertion != nil:
		return nil, status.Errorf(codes.Unauthenticated, "the caller's identity cannot be read: %v", badAssertion)
	case trusted && asserted != nil:
		caller = asserted
	}
	if !g.skipAccess {
		if err := g.authorize(fullMethod, caller); err != nil {
			return nil, err
		}
	}
	if caller != nil {
		ctx = auth.NewContext(ctx, caller)
	}
	return ctx, nil
}

// peer returns the caller that the peer itself is, nil if it is none, and whether
// it may call for others.
func (g *guard) peer(ctx context.Context) (caller *auth.Principal, trusted bool, err error) {
	if p, ok := peer.FromContext(ctx); ok {
		if _, ok := p.AuthInfo.(inprocess.AuthInfo); ok {
			return nil, true, nil
		}
	}
	id, err := peerID(ctx)
	if err != nil {
		return nil, false, status.Errorf(codes.Unauthenticated, "the peer is not authenticated: %v", err)
	}
	caller, trusted = g.allowed[id], g.trusted[id]
	if !trusted && caller == nil {
		return nil, false, status.Errorf(codes.PermissionDenied, "peer %q may not call", id)
	}
	return caller, trusted, nil
}

func (g *guard) authorize(fullMethod string, caller *auth.Principal) error {
	rule, err := g.rule(fullMethod)
	if err != nil {
		return status.Errorf(codes.PermissionDenied, "nobody may call %s: %v", fullMethod, err)
	}
	switch rule.Decide(caller) {
	case access.Allowed:
		return nil
	case access.Unauthenticated:
		return status.Error(codes.Unauthenticated, "the call is made on nobody's behalf, and the method needs a caller")
	default:
		return status.Error(codes.PermissionDenied, "the caller lacks a scope that the method needs")
	}
}

func (g *guard) rule(fullMethod string) (access.Rule, error) {
	if cached, ok := g.rules.Load(fullMethod); ok {
		if err, bad := cached.(error); bad {
			return access.Rule{}, err
		}
		return cached.(access.Rule), nil
	}
	rule, err := lookUpRule(fullMethod)
	if err != nil {
		g.rules.Store(fullMethod, err)
		return access.Rule{}, err
	}
	g.rules.Store(fullMethod, rule)
	return rule, nil
}

func lookUpRule(fullMethod string) (access.Rule, error) {
	name := strings.ReplaceAll(strings.TrimPrefix(fullMethod, "/"), "/", ".")
	descriptor, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		return access.Rule{}, fmt.Errorf("its descriptor is not linked in: %w", err)
	}
	method, ok := descriptor.(protoreflect.MethodDescriptor)
	if !ok {
		return access.Rule{}, fmt.Errorf("%s is not a method", name)
	}
	return access.Of(method)
}

// peerID returns the SPIFFE id that the peer proved by a verified certificate.
func peerID(ctx context.Context) (string, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return "", fmt.Errorf("it is not known")
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok {
		return "", fmt.Errorf("its connection is not TLS")
	}
	if len(info.State.VerifiedChains) == 0 || len(info.State.VerifiedChains[0]) == 0 {
		return "", fmt.Errorf("it showed no certificate that was verified")
	}
	// An X509-SVID has exactly one URI name.
	uris := info.State.VerifiedChains[0][0].URIs
	if len(uris) != 1 {
		return "", fmt.Errorf("its certificate carries %d URI names; a SPIFFE id is exactly one", len(uris))
	}
	id := uris[0].String()
	if _, err := spiffe.TrustDomain(id); err != nil {
		return "", fmt.Errorf("its id: %w", err)
	}
	return id, nil
}
