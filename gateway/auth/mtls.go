package auth

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/evenkeel/evenkeel/gateway/internal/setting"
	"github.com/evenkeel/evenkeel/gateway/internal/spiffe"
)

// ClientCertsConfig says whose certificates hold.
//
// The server's TLS config must ask for client certificates and verify them:
// ClientAuth [crypto/tls.VerifyClientCertIfGiven] or
// [crypto/tls.RequireAndVerifyClientCert], with ClientCAs. One that was not
// verified is refused.
type ClientCertsConfig struct {
	// TrustDomains are those whose SPIFFE ids are accepted. At least one, unless
	// Identify is set.
	TrustDomains []TrustDomain

	// Grants say what a caller may do.
	Grants []CertGrant

	// Identify names the holder of a certificate that is not SPIFFE's, by what
	// its issuer is known to check; false if the certificate is none of its
	// kind. It is asked if the certificate carries no SPIFFE id. Default: such
	// certificates are refused.
	Identify func(*x509.Certificate) (subject, issuer string, ok bool)

	// CacheSize bounds how many certificates are remembered whose chain was
	// verified against a trust domain's roots. Up to 1,000,000; default 1,000.
	CacheSize int

	// Now is the clock. Default [time.Now].
	Now func() time.Time
}

// A TrustDomain is one whose ids are accepted.
type TrustDomain struct {
	// Name is the domain, as in spiffe://name/path.
	Name string
	// Roots are the authorities of this domain. nil stands for the server's
	// ClientCAs, which is accepted only for one domain: with more, the authority
	// of one could issue ids of another.
	Roots *x509.CertPool
}

// A CertGrant says what the holder of an id may do.
type CertGrant struct {
	// ID is a SPIFFE id, or one that ends in `/*` for all below it, or what
	// Identify returns as subject.
	ID string
	// Scopes are what it may do. Those of all grants that apply add up.
	Scopes []string
}

// ClientCerts is an [Authenticator] for client certificates. A caller's
// [Principal] has its SPIFFE id as subject and the trust domain as issuer; one
// without a grant has no scopes.
//
// A certificate belongs to the connection, and does not count as a second
// credential beside one in a header: of both, the one whose authenticator comes
// first is the caller.
type ClientCerts struct {
	config  ClientCertsConfig
	domains map[string]TrustDomain
	cache   *tokenCache
}

// NewClientCerts returns an authenticator for the certificates that config
// describes. An error names the field that is wrong.
func NewClientCerts(config ClientCertsConfig) (*ClientCerts, error) {
	c := &ClientCerts{config: config, domains: map[string]TrustDomain{}}
	setting.Default(&c.config.CacheSize, 1000)
	if c.config.Now == nil {
		c.config.Now = time.Now
	}
	if err := cmp.Or(
		c.checkDomains(),
		c.checkGrants(),
		setting.InRange("CacheSize", c.config.CacheSize, 1, 1_000_000),
	); err != nil {
		return nil, fmt.Errorf("auth: ClientCertsConfig.%w", err)
	}
	c.cache = newTokenCache(c.config.CacheSize)
	return c, nil
}

func (c *ClientCerts) checkDomains() error {
	if len(c.config.TrustDomains) == 0 && c.config.Identify == nil {
		return errors.New("TrustDomains: name those whose ids are accepted, or set Identify")
	}
	for i, d := range c.config.TrustDomains {
		switch {
		case !spiffe.ValidDomain(d.Name):
			return fmt.Errorf("TrustDomains[%d].Name: %q: must be lower-case letters, digits, `.`, `-` and `_`, as in spiffe://name/path", i, d.Name)
		case d.Roots == nil && len(c.config.TrustDomains) > 1:
			return fmt.Errorf("TrustDomains[%d].Roots: must be set where there are several domains: the authority of one could issue ids of another", i)
		}
		if _, twice := c.domains[d.Name]; twice {
			return fmt.Errorf("TrustDomains[%d].Name: %q is there twice", i, d.Name)
		}
		c.domains[d.Name] = d
	}
	return nil
}

func (c *ClientCerts) checkGrants() error {
	for i, g := range c.config.Grants {
		if !strings.HasPrefix(g.ID, "spiffe://") {
			if g.ID == "" || c.config.Identify == nil {
				return fmt.Errorf("Grants[%d].ID: %q is not a SPIFFE id, and without Identify there are no others", i, g.ID)
			}
			continue
		}
		id := g.ID
		if below, ok := strings.CutSuffix(id, "/*"); ok {
			id = below + "/any"
		}
		domain, err := spiffe.TrustDomain(id)
		if err != nil {
			return fmt.Errorf("Grants[%d].ID: %q: %w", i, g.ID, err)
		}
		if _, known := c.domains[domain]; !known {
			return fmt.Errorf("Grants[%d].ID: %q is of none of the TrustDomains: nobody could have it", i, g.ID)
		}
	}
	return nil
}

// Challenge implements [Authenticator]. There is no scheme for what is asked for
// before HTTP begins; this one tells people.
func (c *ClientCerts) Challenge() string { return "ClientCertificate" }

// Authenticate implements [Authenticator].
func (c *ClientCerts) Authenticate(_ context.Context, r *http.Request) (*Principal, error) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil, nil
	}
	leaf := r.TLS.PeerCertificates[0]
	if len(r.TLS.VerifiedChains) == 0 {
		return nil, badCert(errors.New("the server's TLS config does not verify client certificates"))
	}
	// A connection may outlive the certificate that it began with.
	if now := c.config.Now(); now.After(leaf.NotAfter) || now.Before(leaf.NotBefore) {
		return nil, badCert(errors.New("it has expired, or is not valid yet"))
	}
	hash := sha256.Sum256(leaf.Raw)
	if known, ok := c.cache.get(hash); ok {
		return known.principal, nil
	}
	p, err := c.judge(leaf, r.TLS.PeerCertificates[1:])
	if err != nil {
		return nil, badCert(err)
	}
	c.cache.put(hash, verified{principal: p})
	return p, nil
}

func badCert(cause error) *Error {
	return &Error{Code: CodeInvalidCredentials, Description: "the client certificate is not valid", Cause: cause}
}

// judge finds out whose certificate it is.
func (c *ClientCerts) judge(leaf *x509.Certificate, others []*x509.Certificate) (*Principal, error) {
	if leaf.IsCA || leaf.KeyUsage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0 {
		return nil, errors.New("it is that of an authority, not of a caller")
	}
	if !slices.ContainsFunc(leaf.URIs, func(uri *url.URL) bool { return strings.EqualFold(uri.Scheme, "spiffe") }) {
		return c.identify(leaf)
	}
	// An X509-SVID has exactly one URI (X509-SVID, section 2).
	if len(leaf.URIs) != 1 {
		return nil, fmt.Errorf("it carries %d URIs; a SPIFFE id is the only one", len(leaf.URIs))
	}
	id := leaf.URIs[0].String()
	name, err := spiffe.TrustDomain(id)
	if err != nil {
		return nil, err
	}
	domain, ok := c.domains[name]
	if !ok {
		return nil, fmt.Errorf("the trust domain %s is not accepted", name)
	}
	if err := c.verify(leaf, others, domain); err != nil {
		return nil, err
	}
	return c.principal(id, name), nil
}

// verify makes sure that it was an authority of this domain who issued it.
func (c *ClientCerts) verify(leaf *x509.Certificate, others []*x509.Certificate, domain TrustDomain) error {
	if domain.Roots == nil {
		return nil // TLS did
	}
	intermediates := x509.NewCertPool()
	for _, cert := range others {
		intermediates.AddCert(cert)
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: domain.Roots, Intermediates: intermediates, CurrentTime: c.config.Now(),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return fmt.Errorf("no authority of the trust domain %s issued it: %w", domain.Name, err)
	}
	return nil
}

func (c *ClientCerts) identify(leaf *x509.Certificate) (*Principal, error) {
	if c.config.Identify == nil {
		return nil, errors.New("it carries no SPIFFE id")
	}
	subject, issuer, ok := c.config.Identify(leaf)
	switch {
	case !ok || subject == "":
		return nil, errors.New("it is of no kind that is accepted")
	case strings.HasPrefix(subject, "spiffe:"):
		return nil, errors.New("it carries no SPIFFE id, but was taken for one")
	}
	return c.principal(subject, issuer), nil
}

func (c *ClientCerts) principal(subject, issuer string) *Principal {
	var scopes []string
	for _, g := range c.config.Grants {
		below, wide := strings.CutSuffix(g.ID, "*")
		if g.ID == subject || wide && strings.HasPrefix(g.ID, "spiffe://") && strings.HasPrefix(subject, below) {
			scopes = append(scopes, g.Scopes...)
		}
	}
	return &Principal{Subject: subject, Issuer: issuer, Method: MethodMTLS, Scopes: sortedScopes(scopes)}
}
