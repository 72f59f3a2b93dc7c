package gateway_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/evenkeel/evenkeel/gateway"
	"github.com/evenkeel/evenkeel/gateway/auth"
)

func TestNobodyIsLetInWithoutCredentials(t *testing.T) {
	d := newDoor(t, nil)
	a := d.do("GET", "/v1/whoami", "")
	a.wantProblem(http.StatusUnauthorized, "UNAUTHENTICATED")
	want := []string{`Bearer realm="evenkeel"`, `ApiKey realm="evenkeel", header="X-API-Key"`}
	if got := a.header["Www-Authenticate"]; strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("WWW-Authenticate %q, want %q", got, want)
	}
	for _, header := range []string{"", "Basic YTpi", "Bearer", "Bearer ", "bearer x", "Bearerx", "Digest x"} {
		d.do("GET", "/v1/whoami", "", func(r *http.Request) { r.Header["Authorization"] = []string{header} }).want(http.StatusUnauthorized)
	}
	if n := d.books.callCount(); n != 0 {
		t.Errorf("the backend was called %d times", n)
	}
}

func TestABearerTokenThatDoesNotHoldIsAnsweredAsInRFC6750(t *testing.T) {
	d := newDoor(t, nil)
	good := token(t, "ann", "books.read")
	a := d.do("GET", "/v1/whoami", "", bearer(good[:len(good)-10]))
	a.wantProblem(http.StatusUnauthorized, "UNAUTHENTICATED")
	if got := a.header.Get("Www-Authenticate"); got != `Bearer realm="evenkeel", error="invalid_token", error_description="the token is not valid"` {
		t.Errorf("WWW-Authenticate %q", got)
	}
	// Not even for what is public: the caller is not who it thinks.
	d.do("GET", "/v1/books", "", bearer("nonsense")).want(http.StatusUnauthorized)
	d.do("GET", "/v1/books", "", header("X-API-Key", "nonsense")).want(http.StatusUnauthorized)
}

func TestScopesAreAllNeeded(t *testing.T) {
	d := newDoor(t, nil)
	d.do("GET", "/v1/shelves/1/books/2", "", bearer(token(t, "ann", "books.read"))).want(200)
	d.do("GET", "/v1/shelves/1/books/2", "", header("X-API-Key", d.apiKey)).want(200)
	for _, scopes := range [][]string{nil, {"books.write"}, {"books.rea"}, {"books.read.all"}, {"books"}} {
		a := d.do("GET", "/v1/shelves/1/books/2", "", bearer(token(t, "ann", scopes...)))
		a.wantProblem(http.StatusForbidden, "PERMISSION_DENIED")
		if got := a.header.Get("Www-Authenticate"); got != `Bearer realm="evenkeel", error="insufficient_scope", scope="books.read"` {
			t.Errorf("WWW-Authenticate %q", got)
		}
	}
	d.do("POST", "/v1/shelves/1/books", `{"title":"x"}`, bearer(token(t, "ann", "books.read"))).want(http.StatusForbidden)
	d.do("POST", "/v1/shelves/1/books", `{"title":"x"}`, bearer(token(t, "ann", "books.write", "books.read"))).want(200)
	d.do("DELETE", "/v1/shelves/1/books/2", "", header("X-API-Key", d.apiKey)).wantProblem(http.StatusForbidden, "PERMISSION_DENIED")
}

func TestAuthorizationIsByMethodHoweverThePathIsWritten(t *testing.T) {
	d := newDoor(t, nil)
	for _, path := range []string{
		"/v1/shelves/1/books/2", "/v1/%73helves/1/books/2", "/v1/shelves/1/b%6fo%6bs/2", "/v1/shelves/%31/books/a%3Arate",
		"/v1/shelves/1/books/...", "/v1/shelves/1/books/%252e%252e", "/v1/shelves/1/books/2?",
	} {
		a := d.do("GET", path, "")
		if a.status != http.StatusUnauthorized {
			t.Errorf("%s: %d without credentials", path, a.status)
		}
	}
}

func TestMoreThanOneCredentialIsRefused(t *testing.T) {
	d := newDoor(t, nil)
	good := token(t, "ann", "books.read")
	for _, changes := range [][]with{
		{bearer(good), header("X-API-Key", d.apiKey)},
		{bearer(good), bearer(good)},
		{header("X-API-Key", d.apiKey), header("X-API-Key", d.apiKey)},
		{header("Authorization", "Basic x"), bearer(good)},
	} {
		d.do("GET", "/v1/shelves/1/books/2", "", changes...).wantProblem(400, "INVALID_ARGUMENT")
	}
}

// whoami returns what the backend saw.
func (d *door) whoami(changes ...with) (subject string, metadata map[string]any) {
	d.t.Helper()
	v := d.do("GET", "/v1/whoami", "", changes...).want(200).decode()
	subject, _ = v["subject"].(string)
	metadata, _ = v["metadata"].(map[string]any)
	return subject, metadata
}

func TestTheCallerIsToldToTheBackend(t *testing.T) {
	d := newDoor(t, nil)
	v := d.do("GET", "/v1/whoami", "", bearer(token(t, "ann", "b", "a"))).want(200).decode()
	scopes, _ := v["scopes"].([]any)
	if v["subject"] != "ann" || v["issuer"] != issuer || v["method"] != "jwt" || len(scopes) != 2 || scopes[0] != "a" {
		t.Errorf("caller %v", v)
	}
	if subject, _ := d.whoami(header("X-API-Key", d.apiKey)); subject != "robot" {
		t.Errorf("subject %q", subject)
	}
}

func TestForgedIdentityIsDropped(t *testing.T) {
	d := newDoor(t, nil)
	forged := []string{
		"Evenkeel-Principal-Bin", "Grpc-Metadata-Evenkeel-Principal-Bin", "Grpc-Metadata-Evenkeel-Principal-Subject",
		"evenkeel-principal-bin", "Grpcgateway-Evenkeel-Principal-Bin", "Evenkeel_principal_bin", "Grpc-Metadata-X-User",
		"X-Forwarded-Host", "X-Forwarded-For", "X-Forwarded-Proto", "Forwarded", "X-Real-Ip", "X-User", "Cookie", "Host",
		"Grpc-Metadata-Authorization", "Grpc-Tags-Bin", "X-Envoy-External-Address",
	}
	var changes []with
	for _, name := range forged {
		changes = append(changes, func(r *http.Request) { r.Header[name] = append(r.Header[name], "Zm9yZ2Vk") })
	}
	changes = append(changes, bearer(token(t, "ann")))
	subject, metadata := d.whoami(changes...)
	if subject != "ann" {
		t.Errorf("the backend believes that %q calls", subject)
	}
	for key, value := range metadata {
		if strings.Contains(value.(string), "Zm9yZ2Vk") || strings.Contains(value.(string), "forged") {
			t.Errorf("metadata %s: %v came from the caller", key, value)
		}
	}
	// Nothing else than what is needed goes up.
	for key := range metadata {
		switch key {
		case ":authority", "content-type", "user-agent", "grpc-accept-encoding", "x-request-id", "x-forwarded-for", "x-forwarded-host", "grpc-timeout":
		default:
			t.Errorf("metadata %s went upstream", key)
		}
	}
}

func TestCredentialsDoNotGoUpstream(t *testing.T) {
	d := newDoor(t, nil)
	tok := token(t, "ann")
	_, metadata := d.whoami(bearer(tok))
	for key, value := range metadata {
		if strings.Contains(value.(string), tok) {
			t.Errorf("metadata %s carries the token", key)
		}
	}
	if metadata["authorization"] != nil {
		t.Error("authorization went upstream")
	}
}

func TestOnlyListedHeadersGoUpstreamAndComeBack(t *testing.T) {
	d := newDoor(t, func(c *gateway.Config) {
		c.ForwardHeaders = []string{"x-tenant", "Authorization"}
		c.ReturnHeaders = []string{"X-Total"}
	})
	tok := token(t, "ann")
	_, metadata := d.whoami(bearer(tok), header("X-Tenant", "blue"), header("X-Other", "x"), header("Accept-Language", "de"), header("Traceparent", "00-1"))
	if metadata["x-tenant"] != "blue" || metadata["accept-language"] != "de" || metadata["traceparent"] != "00-1" || metadata["x-other"] != nil {
		t.Errorf("metadata %v", metadata)
	}
	if metadata["authorization"] != "Bearer "+tok {
		t.Errorf("authorization %v", metadata["authorization"])
	}
	a := d.do("GET", "/v1/books", "", header("TE", "trailers")).want(200)
	if a.header.Get("X-Total") != "0" {
		t.Errorf("X-Total %q", a.header.Get("X-Total"))
	}
	for name := range a.header {
		switch name {
		case "X-Total", "X-Request-Id", "X-Content-Type-Options", "Cache-Control", "Content-Type", "Content-Length":
		default:
			t.Errorf("header %s: %q left the gateway", name, a.header[name])
		}
	}
}

// TestWhatComesBackStandsOnceAndForWhatTheGatewaySays asks methods of each kind.
func TestWhatComesBackStandsOnceAndForWhatTheGatewaySays(t *testing.T) {
	d := newDoor(t, func(c *gateway.Config) {
		c.ReturnHeaders = []string{"X-Total", "Cache-Control", "X-Bytes-Bin"}
	})
	a := d.do("GET", "/v1/books", "").want(200)
	for name, want := range map[string]string{"X-Total": "0", "Cache-Control": "max-age=60", "X-Bytes-Bin": "AP8"} {
		if got := a.header[name]; len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for target, want := range map[string]string{"/v1/download/a?parts=2": "1", "/v1/books:watch?early=true": "7"} {
		if got := d.do("GET", target, "").want(200).header["X-Total"]; len(got) != 1 || got[0] != want {
			t.Errorf("%s: X-Total %q, want %q", target, got, want)
		}
	}
	a = d.do("POST", "/v1/books:upload", `{"book":{"title":"x"}}`).want(200)
	if got := a.header["X-Total"]; len(got) != 1 || got[0] != "1" {
		t.Errorf("client stream: X-Total %q", got)
	}
	// What failed says nothing of the kind.
	if a := d.do("GET", "/v1/books?nonsense=1", "").want(400); a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v", a.header)
	}
}

// custom is an authenticator that fails in one way.
type custom struct{ err error }

func (c custom) Authenticate(context.Context, *http.Request) (*auth.Principal, error) {
	return nil, c.err
}
func (custom) Challenge() string { return `Custom a="b"` }

func TestAnAuthenticatorThatFailsLetsNobodyIn(t *testing.T) {
	d := newDoor(t, func(c *gateway.Config) {
		c.Authenticators = []auth.Authenticator{custom{errors.New("secret database is down")}}
	})
	a := d.do("GET", "/v1/whoami", "")
	a.wantProblem(http.StatusServiceUnavailable, "UNAVAILABLE")
	wantNoInternals(t, a.body)
	d = newDoor(t, func(c *gateway.Config) {
		c.Authenticators = []auth.Authenticator{custom{&auth.Error{Code: auth.CodeUnavailable, Description: "later"}}}
	})
	d.do("GET", "/v1/whoami", "").wantProblem(http.StatusServiceUnavailable, "UNAVAILABLE")
}

// panicking is an authenticator with a bug.
type panicking struct{ custom }

func (panicking) Authenticate(context.Context, *http.Request) (*auth.Principal, error) {
	panic("secret of the panic")
}
