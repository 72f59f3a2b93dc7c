package certificate

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// maxFile bounds a file: bundles of many authorities are some hundred KiB.
const maxFile = 4 << 20

// pair is a certificate, and what the files held that it was read from.
type pair struct {
	cert, key   []byte
	certificate tls.Certificate
}

// authorities are those of client certificates.
type authorities struct {
	bundle []byte
	pool   *x509.CertPool
}

// loaded is what serves. It is never changed, only replaced.
type loaded struct {
	pairs   []*pair      // the default first
	clients *authorities // nil if clients need no certificate
	tls     *tls.Config  // what handshakes are made with
}

// A change is what the files hold, compared with what serves.
type change struct {
	next    loaded  // what is to serve: of each part the new one if it is good, or else the old one
	pairs   []*pair // those that are new in it
	changed bool    // whether anything is
	err     error   // why parts are not taken
	refused [sha256.Size]byte
}

// load looks at the files. Each pair is judged by itself, and so are the
// authorities: one that is not good keeps no other from being renewed, and one
// that is as it was is not judged again.
func (c *Config) load(old *loaded, now time.Time) change {
	var (
		found change
		errs  []error
		sum   = sha256.New() // of what is refused: tells it apart in the log without telling what it is
	)
	refuse := func(err error, contents ...[]byte) {
		errs = append(errs, err)
		for _, part := range contents {
			own := sha256.Sum256(part)
			sum.Write(own[:])
		}
	}
	pairs := c.pairs()
	found.next.pairs = make([]*pair, len(pairs))
	for i, p := range pairs {
		if old != nil {
			found.next.pairs[i] = old.pairs[i]
		}
		cert, key, err := p.read(i)
		if err != nil {
			refuse(err)
			continue
		}
		if o := found.next.pairs[i]; o != nil && bytes.Equal(o.cert, cert) && bytes.Equal(o.key, key) {
			continue
		}
		next, err := parsePair(i, cert, key, now)
		if err != nil {
			refuse(err, cert, key)
			continue
		}
		found.next.pairs[i], found.changed = next, true
		found.pairs = append(found.pairs, next)
	}
	if c.ClientCAFile != "" {
		if old != nil {
			found.next.clients = old.clients
		}
		bundle, err := readFile(c.ClientCAFile)
		if err != nil {
			refuse(fmt.Errorf("ClientCAFile: %w", err))
		} else if o := found.next.clients; o == nil || !bytes.Equal(o.bundle, bundle) {
			if pool, err := parseCAs(bundle); err != nil {
				refuse(fmt.Errorf("ClientCAFile: %w", err), bundle)
			} else {
				found.next.clients, found.changed = &authorities{bundle, pool}, true
			}
		}
	}
	found.err, found.refused = errors.Join(errs...), [sha256.Size]byte(sum.Sum(nil))
	return found
}

// read returns what the files of the i-th pair hold.
func (p Pair) read(i int) (cert, key []byte, err error) {
	if cert, err = readFile(p.CertFile); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", pairField(i, "CertFile"), err)
	}
	if key, err = readFile(p.KeyFile); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", pairField(i, "KeyFile"), err)
	}
	return cert, key, nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s: is larger than %d bytes", path, maxFile)
	}
	return data, err
}

// parsePair makes sense of the i-th pair, if it is good at a time.
func parsePair(i int, cert, key []byte, now time.Time) (*pair, error) {
	field := pairField(i, "CertFile")
	certificate, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("%s and KeyFile: %w", field, err)
	}
	leaf := certificate.Leaf
	switch {
	case now.After(leaf.NotAfter):
		return nil, fmt.Errorf("%s: expired at %s", field, leaf.NotAfter.Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		return nil, fmt.Errorf("%s: is not valid before %s", field, leaf.NotBefore.Format(time.RFC3339))
	case i > 0 && len(leaf.DNSNames) == 0:
		return nil, fmt.Errorf("%s: is for no DNS name, so that no client would be shown it", field)
	}
	return &pair{cert: cert, key: key, certificate: certificate}, nil
}

// complete makes what handshakes are made with.
func (l *loaded) complete(c *Config) {
	l.tls = &tls.Config{
		MinVersion: c.MinVersion,
		NextProtos: c.NextProtos,
		Time:       c.Now,
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			return l.choose(hello), nil
		},
	}
	if l.clients != nil {
		l.tls.ClientCAs, l.tls.ClientAuth = l.clients.pool, c.ClientAuth
		l.tls.SessionTicketsDisabled = true
	}
}

// choose returns the first certificate that a client can use, for the server
// that it asks for; or else the default, which is for the client to refuse.
func (l *loaded) choose(hello *tls.ClientHelloInfo) *tls.Certificate {
	if len(l.pairs) > 1 {
		for _, p := range l.pairs {
			if hello.SupportsCertificate(&p.certificate) == nil {
				return &p.certificate
			}
		}
	}
	return &l.pairs[0].certificate
}

// parseCAs reads a bundle. Unlike x509.CertPool.AppendCertsFromPEM it takes
// nothing half.
func parseCAs(data []byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	n := 0
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("holds a %s; it must hold certificates only", block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", n+1, err)
		}
		pool.AddCert(cert)
		n++
	}
	if n == 0 {
		return nil, errors.New("holds no certificate in PEM")
	}
	if len(bytes.TrimSpace(data)) > 0 {
		return nil, fmt.Errorf("behind certificate %d is something else", n)
	}
	return pool, nil
}
