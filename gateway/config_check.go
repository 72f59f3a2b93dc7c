package gateway

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/evenkeel/evenkeel/gateway/auth"
	"github.com/evenkeel/evenkeel/gateway/identity"
	"github.com/evenkeel/evenkeel/gateway/internal/challenge"
	"github.com/evenkeel/evenkeel/gateway/internal/setting"
	"github.com/evenkeel/evenkeel/gateway/ratelimit"
)

// complete checks a config and sets its defaults. An error starts with the
// path of the field.
func (c *Config) complete() error {
	setting.Default(&c.Realm, "evenkeel")
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.RateLimit.Logger == nil {
		c.RateLimit.Logger = c.Logger
	}
	if c.RateLimit.Address == nil {
		c.RateLimit.Address = ratelimit.RemoteAddress
	}
	return cmp.Or(
		c.checkAuthenticators(),
		checkRealm(c.Realm),
		c.AccessLog.complete(),
		c.Limits.complete(),
		c.Timeouts.complete(),
		c.JSON.check(),
		c.Streams.complete(),
		c.completeHeaders(),
		c.checkTLS(),
		c.Health.complete(),
		c.Drain.complete(),
	)
}

func (c *Config) checkAuthenticators() error {
	for i, a := range c.Authenticators {
		if a == nil {
			return fmt.Errorf("Authenticators[%d]: is nil", i)
		}
	}
	return nil
}

func checkRealm(realm string) error {
	if err := challenge.CheckRealm(realm); err != nil {
		return fmt.Errorf("Realm: %q: %w", realm, err)
	}
	return nil
}

func (a *AccessLog) complete() error {
	setting.Default(&a.Sample, 1)
	setting.Default(&a.Slow, time.Second)
	a.Sample = max(a.Sample, 0)
	if a.Random == nil {
		a.Random = rand.Float64
	}
	return cmp.Or(
		setting.InRange("AccessLog.Sample", a.Sample, 0, 1),
		setting.InRange("AccessLog.Slow", a.Slow, time.Millisecond, 24*time.Hour),
	)
}

func (c *Config) checkTLS() error {
	if c.TLS == nil {
		return nil
	}
	if len(c.TLS.Certificates) == 0 && c.TLS.GetCertificate == nil && c.TLS.GetConfigForClient == nil {
		return errors.New("TLS: names no certificate; set Certificates or GetCertificate")
	}
	if i := c.certificatesTaken(); i >= 0 && c.TLS.GetConfigForClient == nil && c.TLS.ClientAuth < tls.VerifyClientCertIfGiven {
		return fmt.Errorf("TLS.ClientAuth: is %v, so that nobody can show a certificate to Authenticators[%d]; set VerifyClientCertIfGiven or RequireAndVerifyClientCert, and ClientCAs", c.TLS.ClientAuth, i)
	}
	return nil
}

// certificatesTaken returns which of Authenticators takes client certificates,
// -1 for none.
func (c *Config) certificatesTaken() int {
	return slices.IndexFunc(c.Authenticators, func(a auth.Authenticator) bool {
		_, ok := a.(*auth.ClientCerts)
		return ok
	})
}

func (l *Limits) complete() error {
	setting.Default(&l.HeaderBytes, 16<<10)
	setting.Default(&l.URLBytes, 8<<10)
	setting.Default(&l.BodyBytes, 1<<20)
	setting.Default(&l.JSONDepth, 64)
	setting.Default(&l.QueryParameters, 200)
	setting.Default(&l.Connections, 10_000)
	setting.Default(&l.StreamsPerConnection, 100)
	setting.Default(&l.HeldBytes, max(256<<20, 16*l.BodyBytes))
	return cmp.Or(
		setting.InRange("Limits.HeaderBytes", l.HeaderBytes, 1<<10, 1<<20),
		setting.InRange("Limits.URLBytes", l.URLBytes, 64, 1<<20),
		setting.InRange("Limits.BodyBytes", l.BodyBytes, 1, 1<<30),
		setting.InRange("Limits.JSONDepth", l.JSONDepth, 1, 1000),
		setting.InRange("Limits.QueryParameters", l.QueryParameters, 1, 10_000),
		setting.InRange("Limits.Connections", l.Connections, 1, 1_000_000),
		setting.InRange("Limits.StreamsPerConnection", l.StreamsPerConnection, 1, 10_000),
		setting.InRange("Limits.HeldBytes", l.HeldBytes, 1<<20, 1<<40),
	)
}

func (t *Timeouts) complete() error {
	setting.Default(&t.ReadHeader, 5*time.Second)
	setting.Default(&t.ReadBody, 30*time.Second)
	setting.Default(&t.Write, 30*time.Second)
	setting.Default(&t.Idle, 2*time.Minute)
	setting.Default(&t.CallMax, time.Minute)
	setting.Default(&t.Call, min(15*time.Second, t.CallMax))
	setting.Default(&t.Stream, time.Hour)
	const least = time.Millisecond
	return cmp.Or(
		setting.InRange("Timeouts.ReadHeader", t.ReadHeader, least, time.Hour),
		setting.InRange("Timeouts.ReadBody", t.ReadBody, least, time.Hour),
		setting.InRange("Timeouts.Write", t.Write, least, time.Hour),
		setting.InRange("Timeouts.Idle", t.Idle, least, 24*time.Hour),
		setting.InRange("Timeouts.CallMax", t.CallMax, least, 24*time.Hour),
		setting.InRange("Timeouts.Call", t.Call, least, t.CallMax),
		setting.InRange("Timeouts.Stream", t.Stream, least, 30*24*time.Hour),
	)
}

func (d *Drain) complete() error {
	setting.Default(&d.Delay, 5*time.Second)
	d.Delay = max(d.Delay, 0)
	setting.Default(&d.Timeout, 30*time.Second)
	return cmp.Or(
		setting.InRange("Drain.Delay", d.Delay, 0, time.Hour),
		setting.InRange("Drain.Timeout", d.Timeout, time.Millisecond, 24*time.Hour),
	)
}

func (h *Health) complete() error {
	setting.Default(&h.LivePath, "/livez")
	setting.Default(&h.ReadyPath, "/readyz")
	for _, f := range []struct{ field, path string }{{"LivePath", h.LivePath}, {"ReadyPath", h.ReadyPath}} {
		if !strings.HasPrefix(f.path, "/") || strings.ContainsAny(f.path, "?#% ") {
			return fmt.Errorf("Health.%s: %q: must be a plain path that starts with a slash", f.field, f.path)
		}
	}
	if h.LivePath == h.ReadyPath {
		return fmt.Errorf("Health.ReadyPath: %q is LivePath, too", h.ReadyPath)
	}
	for i, check := range h.Checks {
		if check == nil {
			return fmt.Errorf("Health.Checks[%d]: is nil", i)
		}
	}
	return nil
}

// alwaysForwarded are the request headers that go upstream by default: what
// language the answer is to be in, and W3C trace context.
var alwaysForwarded = []string{"Accept-Language", "Traceparent", "Tracestate"}

func (c *Config) completeHeaders() error {
	forward := slices.Clone(alwaysForwarded)
	for i, name := range c.ForwardHeaders {
		if why := unfitToForward(name); why != "" {
			return fmt.Errorf("ForwardHeaders[%d]: %q: %s", i, name, why)
		}
		forward = append(forward, http.CanonicalHeaderKey(name))
	}
	own := c.Telemetry.Propagates()
	forward = slices.DeleteFunc(forward, func(name string) bool { return slices.Contains(own, strings.ToLower(name)) })
	slices.Sort(forward)
	c.ForwardHeaders = slices.Compact(forward)
	c.ReturnHeaders = slices.Clone(c.ReturnHeaders)
	for i, name := range c.ReturnHeaders {
		if why := unfitToReturn(name); why != "" {
			return fmt.Errorf("ReturnHeaders[%d]: %q: %s", i, name, why)
		}
		c.ReturnHeaders[i] = strings.ToLower(name)
	}
	return nil
}

// hopByHop belong to one connection (RFC 9110, section 7.6.1) or describe the
// body, which is another one upstream.
var hopByHop = []string{
	"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
	"transfer-encoding", "upgrade", "host", "accept", "accept-encoding", "content-encoding", "content-length",
	"content-type", "expect", "date",
}

func unfitToForward(name string) string {
	lower := strings.ToLower(name)
	switch {
	case !validMetadataKey(lower):
		return "is not a name that metadata can have: letters, digits, `-`, `_` and `.`"
	case strings.HasPrefix(lower, identity.MetadataPrefix):
		return "is reserved for the caller's identity"
	case strings.HasPrefix(lower, "grpc-"):
		return "is gRPC's own"
	case strings.HasPrefix(lower, "x-forwarded-") || lower == "forwarded":
		return "tells where the request comes from, which the gateway does itself"
	case lower == requestIDMetadata, lower == lastEventIDMetadata:
		return "is set by the gateway itself"
	case slices.Contains(hopByHop, lower):
		return "is about this connection or body only"
	default:
		return ""
	}
}

func unfitToReturn(name string) string {
	lower := strings.ToLower(name)
	switch {
	case !validMetadataKey(lower):
		return "is not a name that metadata can have: letters, digits, `-`, `_` and `.`"
	case strings.HasPrefix(lower, identity.MetadataPrefix):
		return "is reserved for the caller's identity"
	case strings.HasPrefix(lower, "grpc-"), strings.HasPrefix(lower, "endpoint-load-metrics"):
		return "is gRPC's own"
	case lower == requestIDMetadata:
		return "is set by the gateway itself"
	case slices.Contains(hopByHop, lower):
		return "is about that connection or body only"
	default:
		return ""
	}
}

func validMetadataKey(lower string) bool {
	return lower != "" && strings.IndexFunc(lower, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
	}) < 0
}
