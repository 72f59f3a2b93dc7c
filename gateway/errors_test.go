package gateway_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/evenkeel/evenkeel/gateway"
)

func TestUpstreamErrorsAreProblemsWithoutInternals(t *testing.T) {
	d := newDoor(t, nil)
	for code, want := range map[codes.Code]struct {
		status int
		name   string
		told   bool // whether the message and the details are for callers
	}{
		codes.Canceled:           {499, "CANCELLED", false},
		codes.Unknown:            {500, "UNKNOWN", false},
		codes.InvalidArgument:    {400, "INVALID_ARGUMENT", true},
		codes.DeadlineExceeded:   {504, "DEADLINE_EXCEEDED", false},
		codes.NotFound:           {404, "NOT_FOUND", true},
		codes.AlreadyExists:      {409, "ALREADY_EXISTS", true},
		codes.PermissionDenied:   {403, "PERMISSION_DENIED", true},
		codes.ResourceExhausted:  {429, "RESOURCE_EXHAUSTED", true},
		codes.FailedPrecondition: {400, "FAILED_PRECONDITION", true},
		codes.Aborted:            {409, "ABORTED", true},
		codes.OutOfRange:         {400, "OUT_OF_RANGE", true},
		codes.Unimplemented:      {501, "UNIMPLEMENTED", false},
		codes.Internal:           {500, "INTERNAL", false},
		codes.Unavailable:        {503, "UNAVAILABLE", false},
		codes.DataLoss:           {500, "DATA_LOSS", false},
		codes.Unauthenticated:    {401, "UNAUTHENTICATED", true},
		codes.Code(77):           {500, "UNKNOWN", false},
	} {
		a := d.do("GET", fmt.Sprintf("/v1/fail/%d?message=message-of-the-service", code), "")
		p := a.wantProblem(want.status, want.name)
		wantNoInternals(t, a.body)
		if got := strings.Contains(a.body, "message-of-the-service"); got != want.told {
			t.Errorf("%v: message told: %v, want %v", code, got, want.told)
		}
		types := map[string]bool{}
		for _, detail := range p.Details {
			types[strings.TrimPrefix(detail["@type"].(string), "type.googleapis.com/google.rpc.")] = true
		}
		if !types["RetryInfo"] || types["ErrorInfo"] != want.told || types["BadRequest"] != want.told || types["DebugInfo"] || types["RequestInfo"] || len(types) > 3 {
			t.Errorf("%v: details %v", code, types)
		}
		if a.header.Get("Retry-After") != "2" {
			t.Errorf("%v: Retry-After %q, want the 1.5 s of RetryInfo, rounded up", code, a.header.Get("Retry-After"))
		}
		if want.told && (len(p.Errors) != 1 || p.Errors[0].Field != "code") {
			t.Errorf("%v: errors %v", code, p.Errors)
		}
	}
	if !strings.Contains(d.logs.String(), "message-of-the-service") {
		t.Error("what was withheld is not in the log")
	}
}

func TestTransportErrorsAreNotTold(t *testing.T) {
	d := newDoor(t, nil)
	_ = d.conn.Close()
	a := d.do("GET", "/v1/books", "")
	wantNoInternals(t, a.body)
	if strings.Contains(a.body, "closing") {
		t.Errorf("body %s", a.body)
	}
}

func TestAPanicOfAHandlerIsAnswered500(t *testing.T) {
	d := newDoor(t, func(c *gateway.Config) { c.Authenticators[0] = panicking{} })
	a := d.do("GET", "/v1/books", "")
	a.wantProblem(http.StatusInternalServerError, "INTERNAL")
	wantNoInternals(t, a.body)
	if !strings.Contains(d.logs.String(), "a handler panicked") || strings.Contains(d.logs.String(), "secret of the panic") {
		t.Error("the log misses the panic, or tells what it was thrown with")
	}
}

func TestRequestIDGoesInAndOut(t *testing.T) {
	d := newDoor(t, nil)
	tok := bearer(token(t, "ann"))
	a := d.do("GET", "/v1/whoami", "", tok, header("X-Request-Id", "abc-123")).want(200)
	if a.header.Get("X-Request-Id") != "abc-123" || !strings.Contains(a.body, "abc-123") {
		t.Errorf("header %q, body %s", a.header.Get("X-Request-Id"), a.body)
	}
	for _, bad := range []string{"", "a b", "a\tb", "a\"b", "a/b", "a:b", "é", strings.Repeat("a", 129), "a\x00b"} {
		a := d.do("GET", "/v1/books", "", func(r *http.Request) { r.Header["X-Request-Id"] = []string{bad} }).want(200)
		if got := a.header.Get("X-Request-Id"); got == bad || len(got) != 32 {
			t.Errorf("%q became %q", bad, got)
		}
	}
	a = d.do("GET", "/v1/books", "", header("X-Request-Id", "a"), header("X-Request-Id", "b")).want(200)
	if got := a.header["X-Request-Id"]; len(got) != 1 || len(got[0]) != 32 {
		t.Errorf("two ids became %q", got)
	}
}

func TestTheCallersDeadlineIsHonouredAndCapped(t *testing.T) {
	d := newDoor(t, func(c *gateway.Config) {
		c.Timeouts = gateway.Timeouts{Call: 20 * time.Second, CallMax: 40 * time.Second}
	})
	for timeout, want := range map[string]string{"": "20s", "30S": "30s", "10M": "40s", "99999999H": "40s", "5000m": "5s"} {
		var changes []with
		if timeout != "" {
			changes = append(changes, header("Grpc-Timeout", timeout))
		}
		v := d.do("GET", "/v1/sleep", "", changes...).want(200).decode()
		if v["left"] != want {
			t.Errorf("Grpc-Timeout %q: %v left, want %s", timeout, v["left"], want)
		}
	}
	d.do("GET", "/v1/sleep?duration=10s", "", header("Grpc-Timeout", "10m")).wantProblem(http.StatusGatewayTimeout, "DEADLINE_EXCEEDED")
	for _, bad := range []string{"", "S", "10", "10s", "-1S", "+1S", "1.5S", "123456789S", "1 S", "S1"} {
		d.do("GET", "/v1/sleep", "", func(r *http.Request) { r.Header["Grpc-Timeout"] = []string{bad} }).wantProblem(400, "INVALID_ARGUMENT")
	}
	d.do("GET", "/v1/sleep", "", header("Grpc-Timeout", "1S"), header("Grpc-Timeout", "2S")).wantProblem(400, "INVALID_ARGUMENT")
}

func TestTokensKeysBodiesAndQueriesDoNotReachTheLog(t *testing.T) {
	d := newDoor(t, nil)
	tok := token(t, "ann", "books.read")
	secrets := []string{tok, d.apiKey, "needle-in-the-body", "needle-in-the-query", "needle-in-the-path", "needle-in-the-header", "needle-in-the-token"}
	d.do("GET", "/v1/whoami", "", bearer(tok))
	d.do("GET", "/v1/whoami", "", header("X-API-Key", d.apiKey))
	d.do("GET", "/v1/whoami", "", header("X-API-Key", "needle-in-the-token"))
	d.do("GET", "/v1/whoami", "", bearer("needle-in-the-token"))
	d.do("GET", "/v1/whoami", "", bearer("bmVlZGxl.needle-in-the-token.x"))
	d.do("POST", "/v1/echo", `{"text":"needle-in-the-body"}`)
	d.do("POST", "/v1/echo", `{"int32Value":"needle-in-the-body"}`)
	d.do("POST", "/v1/echo", `needle-in-the-body`)
	d.do("GET", "/v1/echo?text=needle-in-the-query&int32_value=needle-in-the-query", "")
	d.do("GET", "/v1/echo?needle-in-the-query=1", "")
	d.do("POST", "/v1/echo", `{"needle-in-the-body":1}`)
	d.do("GET", "/v1/fail/5?message=needle-in-the-query", "")
	d.do("GET", "/v1/needle-in-the-path", "")
	d.do("GET", "/v1/echo/number/needle-in-the-path", "")
	d.do("GET", "/v1/books", "", header("Accept", "needle-in-the-header"), header("Grpc-Timeout", "needle-in-the-header"), header("Referer", "needle-in-the-header"))
	d.do("needle-in-the-header", "/v1/books", "")
	logs := d.logs.String()
	if n := strings.Count(logs, `"msg":"request"`); n != 16 {
		t.Fatalf("%d records, want 16", n)
	}
	for _, secret := range secrets {
		if strings.Contains(logs, secret) {
			t.Errorf("the log tells %q", secret)
		}
	}
	for _, want := range []string{`"subject":"ann"`, `"auth":"api_key"`, `"route":"/v1/whoami"`, `"rpc":"/evenkeel.test.v1.LibraryService/Echo"`, `"status":400`, `"code":"INVALID_ARGUMENT"`, `"bytes_in":29`, `"request_id":"`, `"remote":"`} {
		if !strings.Contains(logs, want) {
			t.Errorf("the log lacks %s", want)
		}
	}
}
