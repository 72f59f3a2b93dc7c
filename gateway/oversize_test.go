package gateway_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/evenkeel/evenkeel/gateway"
)

// TestAMessageThatIsTooLargeForGRPCIsNoQuota: a caller that is told 429 comes back.
func TestAMessageThatIsTooLargeForGRPCIsNoQuota(t *testing.T) {
	d := newDoor(t, func(c *gateway.Config) { c.Limits.BodyBytes = 8 << 20 })
	const most = 4 << 20 // gRPC's default, for the request at the backend and the reply here
	body := func(request int) string { return fmt.Sprintf(`{"text":%q}`, strings.Repeat("x", request-5)) }

	d.do("POST", "/v1/echo", body(most+1)).wantProblem(http.StatusRequestEntityTooLarge, "INVALID_ARGUMENT")
	if n := d.books.callCount(); n != 0 {
		t.Errorf("the backend was called %d times", n)
	}
	// The reply has the request in it.
	a := d.do("POST", "/v1/echo", body(most))
	a.wantProblem(http.StatusInternalServerError, "INTERNAL")
	wantNoInternals(t, a.body)
	if n := d.books.callCount(); n != 1 {
		t.Errorf("the backend was called %d times", n)
	}
	if logs := d.logs.String(); !strings.Contains(logs, "received message larger than max") {
		t.Errorf("the log does not say why: %s", logs)
	}
	d.do("POST", "/v1/echo", body(most-10)).want(200)
	// What a backend runs out of is its own to say.
	d.do("GET", fmt.Sprintf("/v1/fail/%d?message=quota", codes.ResourceExhausted), "").wantProblem(http.StatusTooManyRequests, "RESOURCE_EXHAUSTED")
}
