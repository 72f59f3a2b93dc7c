package certificate

import (
	"cmp"
	"crypto/tls"
	"errors"
	"log/slog"
	"time"

	"github.com/evenkeel/evenkeel/gateway/internal/setting"
)

// Config says where a certificate is. Zero stands for the default of each field;
// [New] refuses values outside the stated ranges with the field's name.
type Config struct {
	// CertFile and KeyFile hold the certificate, with those between it and its
	// authority behind it, and its key, in PEM. Required.
	CertFile, KeyFile string

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
	if c.ClientCAFile != "" {
		setting.Default(&c.ClientAuth, tls.RequireAndVerifyClientCert)
	}
	return cmp.Or(
		c.checkFiles(),
		setting.InRange("Interval", c.Interval, time.Second, 24*time.Hour),
		setting.InRange("WarnBefore", c.WarnBefore, 0, 366*24*time.Hour),
	)
}

func (c *Config) checkFiles() error {
	switch {
	case c.CertFile == "":
		return errors.New("CertFile: must be set")
	case c.KeyFile == "":
		return errors.New("KeyFile: must be set")
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
