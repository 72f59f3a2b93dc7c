package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/gateway/internal/testcert"
)

// shown is a request on a connection on which cert was shown, and verified
// against the pools.
func shown(t *testing.T, cert tls.Certificate, pools ...*x509.CertPool) *http.Request {
	t.Helper()
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	state := &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}
	for _, pool := range pools {
		chains, err := leaf.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
		if err == nil {
			state.VerifiedChains = append(state.VerifiedChains, chains...)
		}
	}
	return &http.Request{TLS: state, Header: http.Header{}}
}

func newClientCerts(t *testing.T, config ClientCertsConfig) *ClientCerts {
	t.Helper()
	c, err := NewClientCerts(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestACertificateNamesItsHolder(t *testing.T) {
	ca := testcert.New(t)
	c := newClientCerts(t, ClientCertsConfig{
		TrustDomains: []TrustDomain{{Name: "mesh"}},
		Grants: []CertGrant{
			{ID: "spiffe://mesh/orders", Scopes: []string{"b", "a"}},
			{ID: "spiffe://mesh/ns/*", Scopes: []string{"ns"}},
			{ID: "spiffe://mesh/ns/prod/*", Scopes: []string{"prod", "ns"}},
		},
	})
	for id, want := range map[string][]string{
		"spiffe://mesh/orders":    {"a", "b"},
		"spiffe://mesh/orders2":   {},
		"spiffe://mesh/orders/x":  {},
		"spiffe://mesh/ns/test/x": {"ns"},
		"spiffe://mesh/ns/prod/x": {"ns", "prod"},
		"spiffe://mesh/nsx/x":     {},
	} {
		for range 2 { // the second time from the cache
			p, err := c.Authenticate(t.Context(), shown(t, ca.Issue(id), ca.Pool))
			if err != nil || p.Subject != id || p.Issuer != "mesh" || p.Method != MethodMTLS || !reflect.DeepEqual(p.Scopes, want) {
				t.Errorf("%s: %+v %v", id, p, err)
			}
		}
	}
	for _, r := range []*http.Request{{}, {TLS: &tls.ConnectionState{}}} {
		if p, err := c.Authenticate(t.Context(), r); p != nil || err != nil {
			t.Errorf("none was shown: %v %v", p, err)
		}
	}
}

func TestCertificatesThatAreNotRightDoNotHold(t *testing.T) {
	ca, other := testcert.New(t), testcert.New(t)
	c := newClientCerts(t, ClientCertsConfig{TrustDomains: []TrustDomain{{Name: "mesh"}}})
	for name, r := range map[string]*http.Request{
		"not verified":       shown(t, other.Issue("spiffe://mesh/a"), ca.Pool),
		"another domain":     shown(t, ca.Issue("spiffe://other/a"), ca.Pool),
		"a domain within":    shown(t, ca.Issue("spiffe://mesh.evil/a"), ca.Pool),
		"no id":              shown(t, ca.Issue(), ca.Pool),
		"another URI":        shown(t, ca.Issue("https://mesh/a"), ca.Pool),
		"two ids":            shown(t, ca.Issue("spiffe://mesh/a", "spiffe://mesh/b"), ca.Pool),
		"an id and a URI":    shown(t, ca.Issue("spiffe://mesh/a", "https://x"), ca.Pool),
		"no path":            shown(t, ca.Issue("spiffe://mesh"), ca.Pool),
		"a slash at the end": shown(t, ca.Issue("spiffe://mesh/a/"), ca.Pool),
		"dots":               shown(t, ca.Issue("spiffe://mesh/a/../b"), ca.Pool),
		"an escape":          shown(t, ca.Issue("spiffe://mesh/a%2fb"), ca.Pool),
		"a query":            shown(t, ca.Issue("spiffe://mesh/a?x"), ca.Pool),
		"a port":             shown(t, ca.Issue("spiffe://mesh:1/a"), ca.Pool),
		"a user":             shown(t, ca.Issue("spiffe://u@mesh/a"), ca.Pool),
		"upper case":         shown(t, ca.Issue("spiffe://Mesh/a"), ca.Pool),
		"an authority":       shown(t, authorityNamed(t, "spiffe://mesh/a"), nil),
	} {
		if name == "an authority" {
			r.TLS.VerifiedChains = [][]*x509.Certificate{r.TLS.PeerCertificates}
		}
		p, err := c.Authenticate(t.Context(), r)
		var known *Error
		if p != nil || !errors.As(err, &known) || known.Code != CodeInvalidCredentials || strings.Contains(known.Description, "mesh") {
			t.Errorf("%s: %+v %v", name, p, err)
		}
	}
}

// authorityNamed is a certificate that may issue others.
func authorityNamed(t *testing.T, id string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(id)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true, URIs: []*url.URL{u},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// With many domains, TLS trusts the authorities of all for all.
func TestTheAuthorityOfOneDomainCannotIssueIdsOfAnother(t *testing.T) {
	a, b := testcert.New(t), testcert.New(t)
	c := newClientCerts(t, ClientCertsConfig{TrustDomains: []TrustDomain{{Name: "a", Roots: a.Pool}, {Name: "b", Roots: b.Pool}}})
	if p, err := c.Authenticate(t.Context(), shown(t, a.Issue("spiffe://a/x"), a.Pool, b.Pool)); err != nil || p.Issuer != "a" {
		t.Errorf("%v %v", p, err)
	}
	if p, err := c.Authenticate(t.Context(), shown(t, b.Issue("spiffe://a/x"), a.Pool, b.Pool)); err == nil {
		t.Errorf("%v", p)
	}
}

func TestACertificateExpiresOnAConnectionThatGoesOn(t *testing.T) {
	ca := testcert.New(t)
	now := time.Now()
	c := newClientCerts(t, ClientCertsConfig{TrustDomains: []TrustDomain{{Name: "mesh"}}, Now: func() time.Time { return now }})
	r := shown(t, ca.Issue("spiffe://mesh/a"), ca.Pool)
	if _, err := c.Authenticate(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	now = now.Add(2 * time.Hour)
	if p, err := c.Authenticate(t.Context(), r); err == nil {
		t.Errorf("%v", p)
	}
}

func TestOtherCertificatesAreNamedAsTold(t *testing.T) {
	ca := testcert.New(t)
	c := newClientCerts(t, ClientCertsConfig{
		Grants: []CertGrant{{ID: "dns:server", Scopes: []string{"x"}}},
		Identify: func(cert *x509.Certificate) (string, string, bool) {
			return "dns:" + cert.DNSNames[0], "ca", len(cert.URIs) == 0
		},
	})
	if p, err := c.Authenticate(t.Context(), shown(t, ca.Issue(), ca.Pool)); err != nil || p.Subject != "dns:server" || p.Issuer != "ca" || !p.HasScopes([]string{"x"}) {
		t.Errorf("%v %v", p, err)
	}
	for name, cert := range map[string]tls.Certificate{"none of its kind": ca.Issue("https://x"), "a SPIFFE id of no domain": ca.Issue("spiffe://mesh/a")} {
		if p, err := c.Authenticate(t.Context(), shown(t, cert, ca.Pool)); err == nil {
			t.Errorf("%s: %v", name, p)
		}
	}
	forged := newClientCerts(t, ClientCertsConfig{Identify: func(*x509.Certificate) (string, string, bool) { return "spiffe://mesh/a", "", true }})
	if p, err := forged.Authenticate(t.Context(), shown(t, ca.Issue(), ca.Pool)); err == nil {
		t.Errorf("%v", p)
	}
}

// The real handshake, so that what is assumed of crypto/tls holds.
func TestACertificateIsTakenFromTheRealHandshake(t *testing.T) {
	ca := testcert.New(t)
	c := newClientCerts(t, ClientCertsConfig{TrustDomains: []TrustDomain{{Name: "mesh"}}})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := c.Authenticate(r.Context(), r)
		switch {
		case err != nil:
			w.WriteHeader(http.StatusUnauthorized)
		case p != nil:
			_, _ = io.WriteString(w, p.Subject)
		}
	}))
	server.TLS = &tls.Config{ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: ca.Pool, Certificates: []tls.Certificate{ca.Issue()}, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	defer server.Close()
	for want, certs := range map[string][]tls.Certificate{"spiffe://mesh/a": {ca.Issue("spiffe://mesh/a")}, "": nil} {
		transport := &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: ca.Pool, ServerName: "server", Certificates: certs, MinVersion: tls.VersionTLS12},
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, server.Listener.Addr().String())
			},
		}
		resp, err := (&http.Client{Transport: transport}).Get("https://server/")
		if err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		transport.CloseIdleConnections()
		if string(got) != want {
			t.Errorf("%d %q, want %q", resp.StatusCode, got, want)
		}
	}
}

func TestAClientCertsConfigThatIsNotSafeIsRefused(t *testing.T) {
	pool := x509.NewCertPool()
	mesh := []TrustDomain{{Name: "mesh"}}
	for want, config := range map[string]ClientCertsConfig{
		"TrustDomains: name those":                  {},
		"TrustDomains[0].Name: \"Mesh\"":            {TrustDomains: []TrustDomain{{Name: "Mesh"}}},
		"TrustDomains[0].Name: \"spiffe://mesh\"":   {TrustDomains: []TrustDomain{{Name: "spiffe://mesh"}}},
		"TrustDomains[1].Roots: must be set":        {TrustDomains: []TrustDomain{{Name: "a", Roots: pool}, {Name: "b"}}},
		"TrustDomains[1].Name: \"a\" is there":      {TrustDomains: []TrustDomain{{Name: "a", Roots: pool}, {Name: "a", Roots: pool}}},
		"Grants[0].ID: \"\" is not":                 {TrustDomains: mesh, Grants: []CertGrant{{}}},
		"Grants[0].ID: \"orders\" is not":           {TrustDomains: mesh, Grants: []CertGrant{{ID: "orders"}}},
		"Grants[0].ID: \"spiffe://other/a\" is of":  {TrustDomains: mesh, Grants: []CertGrant{{ID: "spiffe://other/a"}}},
		"Grants[0].ID: \"spiffe://mesh/a*\": its":   {TrustDomains: mesh, Grants: []CertGrant{{ID: "spiffe://mesh/a*"}}},
		"Grants[0].ID: \"spiffe://*/a\": \"*\" is":  {TrustDomains: mesh, Grants: []CertGrant{{ID: "spiffe://*/a"}}},
		"CacheSize: -1 is out of range; 1 to 10000": {TrustDomains: mesh, CacheSize: -1},
	} {
		if _, err := NewClientCerts(config); err == nil || !strings.HasPrefix(err.Error(), "auth: ClientCertsConfig."+want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	newClientCerts(t, ClientCertsConfig{TrustDomains: mesh, Grants: []CertGrant{{ID: "spiffe://mesh/*", Scopes: []string{"x"}}}})
}
