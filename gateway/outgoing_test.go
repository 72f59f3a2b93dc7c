package gateway_test

import (
	"encoding/base64"
	"testing"

	"github.com/evenkeel/evenkeel/gateway"
)

func TestHeadersGoUpstreamAsMetadata(t *testing.T) {
	d := newDoor(t, func(c *gateway.Config) { c.ForwardHeaders = []string{"X-Tenant", "X-Trail-Bin"} })
	raw := "not \x01 text"
	for _, coding := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding} {
		_, md := d.whoami(bearer(token(t, "ann")), header("X-Tenant", "blue"), header("X-Tenant", "green"),
			header("X-Trail-Bin", coding.EncodeToString([]byte(raw))), header("X-Trail-Bin", ""), header("Accept-Language", "d\xe9"))
		for key, want := range map[string]any{
			"x-tenant": "blue|green", "x-trail-bin": raw + "|",
			"accept-language": nil, // it is no text, for which gRPC would refuse the call
			"x-forwarded-for": "192.0.2.1", "x-forwarded-host": "example.com",
		} {
			if got := md[key]; got != want {
				t.Errorf("%s: %q, want %q", key, got, want)
			}
		}
	}
	d.do("GET", "/v1/whoami", "", bearer(token(t, "ann")), header("X-Trail-Bin", "!")).wantProblem(400, "INVALID_ARGUMENT")
}
