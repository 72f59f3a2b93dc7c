package gateway_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/evenkeel/evenkeel/gateway"
	"github.com/evenkeel/evenkeel/gateway/ratelimit"
)

// TestWhoCallsATrustedProxyIsToldToLogAndBackend: httptest's requests come from
// 192.0.2.1.
func TestWhoCallsATrustedProxyIsToldToLogAndBackend(t *testing.T) {
	for name, c := range map[string]struct {
		trusted, said, upstream, client string
	}{
		"no proxy is trusted":     {"203.0.113.0/24", "198.51.100.7", "192.0.2.1", ""},
		"the proxy is trusted":    {"192.0.2.0/24", "198.51.100.7", "198.51.100.7, 192.0.2.1", "198.51.100.7"},
		"the caller makes one up": {"192.0.2.0/24", "127.0.0.1, 198.51.100.7", "198.51.100.7, 192.0.2.1", "198.51.100.7"},
		"it says nothing":         {"192.0.2.0/24", "", "192.0.2.1", ""},
		"it says nonsense":        {"192.0.2.0/24", "x\x01", "192.0.2.1", ""},
		"IPv6":                    {"192.0.2.0/24", "[2001:db8::1]:4711", "2001:db8::1, 192.0.2.1", "2001:db8::1"},
	} {
		d := newDoor(t, func(config *gateway.Config) {
			config.RateLimit.Address = ratelimit.ForwardedFor([]netip.Prefix{netip.MustParsePrefix(c.trusted)})
		})
		said := header("X-Forwarded-For", c.said)
		if _, md := d.whoami(bearer(token(t, "ann")), said); md["x-forwarded-for"] != c.upstream {
			t.Errorf("%s: upstream %v, want %q", name, md["x-forwarded-for"], c.upstream)
		}
		told := `"remote":"192.0.2.1:1234"`
		if c.client != "" {
			told += `,"client":"` + c.client + `"`
		}
		if logs := d.logs.String(); !strings.Contains(logs, told) || (c.client == "") == strings.Contains(logs, `"client"`) {
			t.Errorf("%s: the log has no %s: %s", name, told, logs)
		}
		// Streams go another way, through the generated handlers.
		d.do("GET", "/v1/books:watch?count=1", "", said).want(200)
		if got := strings.Join(d.books.metadata()["x-forwarded-for"], "|"); got != c.upstream {
			t.Errorf("%s: a stream's upstream %q, want %q", name, got, c.upstream)
		}
	}
}
