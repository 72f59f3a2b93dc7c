// Package certs makes the certificates by which the mesh's processes know one
// another. A new authority is made each time a mesh starts, its key never leaves
// the parent process, and every process gets a certificate of its own:
//
//	ca, err := certs.NewAuthority()
//	identity, err := ca.Issue(certs.ServiceID("movie"), "movie")
//	creds := credentials.NewTLS(identity.ServerTLS())
//
// Who somebody is stands in the certificate as a SPIFFE ID (a URI such as
// spiffe://evenkeel.mesh/service/movie, see the SPIFFE X509-SVID standard). The
// DNS name beside it is what a client of xds:///movie checks by itself: such a
// channel expects the name "movie".
package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"time"
)

// TrustDomain is the SPIFFE trust domain of every mesh. Two meshes do not trust
// each other: their authorities differ.
const TrustDomain = "evenkeel.mesh"

// Lifetime is how long certificates last. A mesh does not renew them, so it
// must be restarted before; a replica that restarts gets a new one, though never
// beyond its authority's end.
const Lifetime = 90 * 24 * time.Hour

// GatewayID is the identity of the front door.
const GatewayID = "spiffe://" + TrustDomain + "/gateway"

// ServiceID is the identity that all replicas of a service share.
func ServiceID(service string) string { return "spiffe://" + TrustDomain + "/service/" + service }

// Authority issues certificates.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

// NewAuthority makes an authority with a key of its own.
func NewAuthority() (*Authority, error) {
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "evenkeel mesh authority"},
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	cert, key, err := create(template, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("certs: make authority: %w", err)
	}
	return &Authority{cert, key, encodeCert(cert)}, nil
}

// Issue makes a key and a certificate for the SPIFFE ID id that is also valid
// for the given DNS names, as a client and as a server.
func (a *Authority) Issue(id string, dnsNames ...string) (*Identity, error) {
	uri, err := url.Parse(id)
	if err != nil {
		return nil, fmt.Errorf("certs: identity %q: %w", id, err)
	}
	cert, key, err := create(&x509.Certificate{
		Subject:     pkix.Name{CommonName: id},
		URIs:        []*url.URL{uri},
		DNSNames:    dnsNames,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.cert, a.key)
	if err != nil {
		return nil, fmt.Errorf("certs: issue %s: %w", id, err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("certs: encode key of %s: %w", id, err)
	}
	return NewIdentity(a.pem, encodeCert(cert), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// create fills in what all certificates have and signs the template, with its
// own key where parent is nil.
func create(template, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, nil, err
	}
	template.NotBefore = time.Now().Add(-time.Minute) // for a clock that is set back
	template.NotAfter = time.Now().Add(Lifetime)
	if parent == nil {
		parent, parentKey = template, key
	} else if template.NotAfter.After(parent.NotAfter) {
		template.NotAfter = parent.NotAfter
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return cert, key, err
}

func encodeCert(cert *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
}

// Identity is what one process proves itself with, and by which it knows the
// others.
type Identity struct {
	ca, cert, key []byte // PEM
	roots         *x509.CertPool
	pair          tls.Certificate
}

// NewIdentity reads an identity from PEM.
func NewIdentity(ca, cert, key []byte) (*Identity, error) {
	id := &Identity{ca: ca, cert: cert, key: key, roots: x509.NewCertPool()}
	if !id.roots.AppendCertsFromPEM(ca) {
		return nil, errors.New("certs: no certificate of an authority in the PEM given")
	}
	var err error
	if id.pair, err = tls.X509KeyPair(cert, key); err != nil {
		return nil, fmt.Errorf("certs: %w", err)
	}
	return id, nil
}

// PEM returns the authority's certificate, the own certificate and its private
// key, for NewIdentity in another process.
func (id *Identity) PEM() (ca, cert, key []byte) { return id.ca, id.cert, id.key }

// ServerTLS returns the settings of a server that talks only to processes of the
// same mesh.
func (id *Identity) ServerTLS() *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{id.pair},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    id.roots,
	}
}

// ClientTLS returns the settings of a client that talks only to processes of the
// same mesh. The name that it expects is set by the channel.
func (id *Identity) ClientTLS() *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{id.pair},
		RootCAs:      id.roots,
	}
}
