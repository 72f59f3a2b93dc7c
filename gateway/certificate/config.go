package certificate

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/evenkeel/evenkeel/gateway/internal/setting"
)

// A Pair is a certificate and its key.
type Pair struct {
	// CertFile holds the certificate, with those between it and its authority
	// behind it, in PEM; KeyFile its key, in PEM. Both are required.
	CertFile, KeyFile string
}

// Config says where certificates are. Zero stands for the default of each field;
// [New] refuses values outside the stated ranges with the field's name.
type Config struct {
	// CertFile and KeyFile hold the certificate, with those between it and its
	// authority behind it, and its key, in PEM. Required. Clients that ask for no
	// server by name, or for one that none of Others is for, are shown this one.
	CertFile, KeyFile string

	// Others are further certificates. A client is shown the first, beginning with
	// that of CertFile, that is for the server that it asks for by name (SNI) and
	// of a kind that it supports. Each must be for a DNS name. Up to 100; default
	// none.
	Others []Pair

	// ClientCAFile holds the authorities of client certificates, in PEM. Default
	// none: clients need none.
	ClientCAFile string

	// ClientAuth says whether clients must show a certificate. Default
	// [tls.RequireAndVerifyClientCert]; [tls.VerifyClientCertIfGiven] leaves it to
	// them. Nothing else is taken, and neither without ClientCAFile.
	ClientAuth tls.ClientAuthType

	// MinVersion is the oldest version of TLS that is spoken: [tls.VersionTLS12]
	// or [tls.VersionTLS13]. Default TLS 1.2.
	MinVersion uint16

	// NextProtos are the protocols that are offered by ALPN. Default h2 and
	// http/1.1, as [net/http] speaks them over TLS.
	NextProtos []string

	// Interval is how often the files are looked at. 1 s to 24 h; default 10 s.
	Interval time.Duration

	// WarnBefore is how long before its end a certificate is warned of. Up to a
	// year; default a fifth of the time that it is valid for.
	WarnBefore time.Duration

	// Logger is told what is taken and what is not. Default [slog.Default].
	Logger *slog.Logger

	// Now is the clock. Default [time.Now].
	Now func() time.Time
}

func (c *Config) complete() error {
	setting.Default(&c.Interval, 10*time.Second)
	setting.Default(&c.MinVersion, tls.VersionTLS12)
	if c.NextProtos == nil {
		c.NextProtos = []string{"h2", "http/1.1"}
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Others = slices.Clone(c.Others) // it is read for as long as the source lives
	if c.ClientCAFile != "" {
		setting.Default(&c.ClientAuth, tls.RequireAndVerifyClientCert)
	}
	return cmp.Or(
		c.checkFiles(),
		setting.InRange("Interval", c.Interval, time.Second, 24*time.Hour),
		setting.InRange("WarnBefore", c.WarnBefore, 0, 366*24*time.Hour),
	)
}

// maxOthers bounds what is looked through in each handshake.
const maxOthers = 100

// pairs returns all of them, the default first.
func (c *Config) pairs() []Pair {
	return append([]Pair{{c.CertFile, c.KeyFile}}, c.Others...)
}

// pairField returns the path of a field of the i-th of pairs.
func pairField(i int, name string) string {
	if i == 0 {
		return name
	}
	return fmt.Sprintf("Others[%d].%s", i-1, name)
}

func (c *Config) checkFiles() error {
	for i, p := range c.pairs() {
		switch {
		case p.CertFile == "":
			return fmt.Errorf("%s: must be set", pairField(i, "CertFile"))
		case p.KeyFile == "":
			return fmt.Errorf("%s: must be set", pairField(i, "KeyFile"))
		}
	}
	switch {
	case len(c.Others) > maxOthers:
		return fmt.Errorf("Others: are %d; must be at most %d", len(c.Others), maxOthers)
	case c.ClientCAFile == "" && c.ClientAuth != tls.NoClientCert:
		return errors.New("ClientAuth: needs ClientCAFile: nothing else says whose certificates hold")
	case c.ClientCAFile != "" && c.ClientAuth != tls.RequireAndVerifyClientCert && c.ClientAuth != tls.VerifyClientCertIfGiven:
		return errors.New("ClientAuth: must be RequireAndVerifyClientCert or VerifyClientCertIfGiven: others take certificates that nobody vouches for")
	case c.MinVersion != tls.VersionTLS12 && c.MinVersion != tls.VersionTLS13:
		return errors.New("MinVersion: must be TLS 1.2 or TLS 1.3")
	default:
		return nil
	}
}
