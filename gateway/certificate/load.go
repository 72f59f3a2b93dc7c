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

// contents are what the files hold.
type contents struct{ cert, key, clientCAs []byte }

func (c *contents) equal(o *contents) bool {
	return o != nil && bytes.Equal(c.cert, o.cert) && bytes.Equal(c.key, o.key) && bytes.Equal(c.clientCAs, o.clientCAs)
}

// sum tells contents apart in the log without telling what they are.
func (c *contents) sum() [sha256.Size]byte {
	h := sha256.New()
	for _, part := range [][]byte{c.cert, c.key, c.clientCAs} {
		own := sha256.Sum256(part)
		h.Write(own[:])
	}
	return [sha256.Size]byte(h.Sum(nil))
}

func (c *Config) read() (*contents, error) {
	var read contents
	for _, f := range []struct {
		field, path string
		into        *[]byte
	}{{"CertFile", c.CertFile, &read.cert}, {"KeyFile", c.KeyFile, &read.key}, {"ClientCAFile", c.ClientCAFile, &read.clientCAs}} {
		if f.path == "" {
			continue
		}
		data, err := readFile(f.path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.field, err)
		}
		*f.into = data
	}
	return &read, nil
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

// loaded is what the contents mean.
type loaded struct {
	contents *contents
	leaf     *x509.Certificate
	tls      *tls.Config // what handshakes are made with; never changed
}

// parse makes sense of contents, if all of it is good at a time.
func (c *Config) parse(from *contents, now time.Time) (*loaded, error) {
	pair, err := tls.X509KeyPair(from.cert, from.key)
	if err != nil {
		return nil, fmt.Errorf("CertFile and KeyFile: %w", err)
	}
	leaf := pair.Leaf
	switch {
	case now.After(leaf.NotAfter):
		return nil, fmt.Errorf("CertFile: expired at %s", leaf.NotAfter.Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		return nil, fmt.Errorf("CertFile: is not valid before %s", leaf.NotBefore.Format(time.RFC3339))
	}
	config := &tls.Config{
		Certificates: []tls.Certificate{pair},
		MinVersion:   c.MinVersion,
		NextProtos:   c.NextProtos,
		Time:         c.Now,
	}
	if c.ClientCAFile != "" {
		if config.ClientCAs, err = parseCAs(from.clientCAs); err != nil {
			return nil, fmt.Errorf("ClientCAFile: %w", err)
		}
		config.ClientAuth = c.ClientAuth
		config.SessionTicketsDisabled = true
	}
	return &loaded{contents: from, leaf: leaf, tls: config}, nil
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
