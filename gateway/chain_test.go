package gateway_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	"github.com/evenkeel/evenkeel/gateway"
	"github.com/evenkeel/evenkeel/gateway/auth"
	"github.com/evenkeel/evenkeel/gateway/identity"
	"github.com/evenkeel/evenkeel/gateway/internal/testcert"
	testv1 "github.com/evenkeel/evenkeel/gateway/internal/testproto/evenkeel/test/v1"
	"github.com/evenkeel/evenkeel/internal/leaktest"
	gatewayv1 "github.com/evenkeel/evenkeel/proto/evenkeel/gateway/v1"
)

// believer answers with the caller that its interceptors found.
type believer struct{ *library }

func (*believer) WhoAmI(ctx context.Context, _ *testv1.WhoAmIRequest) (*testv1.WhoAmIResponse, error) {
	p, ok := identity.FromContext(ctx)
	if !ok {
		return &testv1.WhoAmIResponse{}, nil
	}
	return &testv1.WhoAmIResponse{Subject: p.Subject, Scopes: p.Scopes}, nil
}

const doorID = "spiffe://mesh/door"

// guarded is a library on a network that believes doors only, and a door in
// front of it.
type guarded struct {
	*door
	*testcert.Authority
	address string // of the library
}

func newGuarded(t *testing.T) *guarded {
	t.Helper()
	ca := testcert.New(t)
	options, err := identity.ServerOptions(identity.Config{
		TrustedPeers: []string{doorID},
		AllowedPeers: []identity.AllowedPeer{{ID: "spiffe://mesh/neighbor", Scopes: []string{"books.read"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(append(options, grpc.Creds(credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{ca.Issue("spiffe://mesh/library")}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool,
	})))...)
	books := &library{gone: make(chan struct{})}
	testv1.RegisterLibraryServiceServer(server, &believer{books})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	g := &guarded{Authority: ca, address: listener.Addr().String()}
	tokens, err := auth.NewJWT(auth.JWTConfig{Issuer: issuer, Audiences: []string{audience}, JWKSFile: writeJWKS(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tokens.Close() })
	in, err := gateway.New(gateway.Config{
		Authenticators: []auth.Authenticator{tokens}, Policy: librarians, Drain: gateway.Drain{Delay: -1},
		TLS: &tls.Config{Certificates: []tls.Certificate{ca.Issue()}}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	g.door = &door{Gateway: in, t: t, books: books}
	if err := mountLibrary(in, g.dial(t, ca.Issue(doorID))); err != nil {
		t.Fatal(err)
	}
	return g
}

// dial connects to the library as who has a certificate.
func (g *guarded) dial(t *testing.T, certificate tls.Certificate) *grpc.ClientConn {
	t.Helper()
	return dialWith(t, g.address, g.as(certificate))
}

func dialWith(t *testing.T, address string, creds credentials.TransportCredentials) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(creds))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// TestTheWholeWayFromTokenToService puts a door in front of a service that
// believes doors only.
func TestTheWholeWayFromTokenToService(t *testing.T) {
	leaktest.Check(t)
	d := newGuarded(t)
	v := d.do("GET", "/v1/whoami", "", bearer(token(t, "ann", "books.read"))).want(200).decode()
	if scopes, _ := v["scopes"].([]any); v["subject"] != "ann" || len(scopes) != 1 || scopes[0] != "books.read" {
		t.Errorf("caller %v", v)
	}
	d.do("GET", "/v1/books", "").want(200) // public, for nobody
	d.do("GET", "/v1/shelves/1/books/2", "", bearer(token(t, "ann", "books.read"))).want(200)
}

// TestAttackAroundTheDoor: who reaches the service without the door is not
// believed, whatever is claimed; nor is one who goes through the door and claims
// the same there.
func TestAttackAroundTheDoor(t *testing.T) {
	leaktest.Check(t)
	g := newGuarded(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Serve(ctx, listener) }()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: g.Pool, ServerName: "server"}, ForceAttemptHTTP2: true}
	client := &http.Client{Transport: transport}
	defer func() {
		transport.CloseIdleConnections()
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	forged, err := proto.Marshal(&gatewayv1.Principal{Subject: "root", Issuer: issuer, Scopes: []string{"books.admin", "books.read", "books.write"}, Method: "jwt"})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(method, path string, change ...with) (status int, body string) {
		t.Helper()
		return exchange(t, client, method, "https://"+listener.Addr().String()+path, "", change...)
	}
	ann := func() {
		t.Helper()
		status, body := ask("GET", "/v1/whoami", bearer(token(t, "ann", "books.read")))
		if status != 200 || !strings.Contains(body, `"subject":"ann"`) {
			t.Errorf("ann, through the door, is answered %d %s", status, body)
		}
	}
	ann()

	// Around it, with all that the door would say of its caller.
	claiming := metadata.NewOutgoingContext(t.Context(), metadata.Pairs(
		identity.MetadataKey, string(forged), "authorization", "Bearer "+token(t, "root", "books.write"), "x-forwarded-for", "127.0.0.1"))
	other := testcert.New(t)
	for name, c := range map[string]struct {
		creds credentials.TransportCredentials
		codes []codes.Code
	}{
		"in plain text":              {insecure.NewCredentials(), []codes.Code{codes.Unavailable}},
		"without a certificate":      {credentials.NewTLS(&tls.Config{RootCAs: g.Pool, ServerName: "server"}), []codes.Code{codes.Unavailable}},
		"a door's, of one's own CA":  {g.as(other.Issue(doorID)), []codes.Code{codes.Unavailable}},
		"a certificate of no use":    {g.as(g.Issue()), []codes.Code{codes.Unauthenticated}},
		"two names, one the door's":  {g.as(g.Issue("spiffe://mesh/neighbor", doorID)), []codes.Code{codes.Unauthenticated}},
		"a service that is unlisted": {g.as(g.Issue("spiffe://mesh/stranger")), []codes.Code{codes.PermissionDenied}},
		"a name like the door's":     {g.as(g.Issue(doorID + "/x")), []codes.Code{codes.PermissionDenied}},
		"a service with scopes":      {g.as(g.Issue("spiffe://mesh/neighbor")), []codes.Code{codes.PermissionDenied}},
	} {
		around := testv1.NewLibraryServiceClient(dialWith(t, g.address, c.creds))
		if _, err := around.DeleteBook(claiming, &testv1.DeleteBookRequest{Name: "shelves/1/books/2"}); !slices.Contains(c.codes, status.Code(err)) {
			t.Errorf("%s: %v, want %v", name, err, c.codes)
		}
	}
	// Of the door itself it is believed: that is what all the others lack.
	if _, err := testv1.NewLibraryServiceClient(g.dial(t, g.Issue(doorID))).DeleteBook(claiming, &testv1.DeleteBookRequest{Name: "shelves/1/books/2"}); err != nil {
		t.Errorf("the door itself: %v", err)
	}
	ann()

	// Through it, the same claims are worth nothing.
	claim := header("Evenkeel-Principal-Bin", base64.StdEncoding.EncodeToString(forged))
	for name, change := range map[string][]with{
		"alone":            {claim},
		"beside a token":   {claim, bearer(token(t, "ann", "books.read"))},
		"as gRPC":          {claim, header("Content-Type", "application/grpc"), header("Te", "trailers")},
		"with its prefix":  {header("Grpc-Metadata-Evenkeel-Principal-Bin", base64.StdEncoding.EncodeToString(forged))},
		"with a cookie":    {header("Cookie", "evenkeel-principal-bin="+base64.StdEncoding.EncodeToString(forged))},
		"as a certificate": {header("X-Forwarded-Client-Cert", "URI="+doorID)},
	} {
		if status, body := ask("DELETE", "/v1/shelves/1/books/2", change...); status != 401 && status != 403 {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	for _, path := range []string{"/evenkeel.test.v1.LibraryService/DeleteBook", "/grpc.health.v1.Health/Check"} {
		if status, body := ask("POST", path, claim, header("Content-Type", "application/grpc"), header("Te", "trailers")); status != 404 {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if got := strings.Count(strings.Join(g.books.methods(), " "), "DeleteBook"); got != 1 {
		t.Errorf("%d books were deleted, and the door itself deleted one", got)
	}
	ann()
}

// as are the credentials of who has a certificate and knows the library's.
func (g *guarded) as(certificate tls.Certificate) credentials.TransportCredentials {
	return credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{certificate}, RootCAs: g.Pool, ServerName: "server"})
}

// TestWhoCallsIsFoundOutByTheListeningDoor shows each kind of credentials to one
// door: a client certificate with a SPIFFE id, a token of a provider that says
// where its keys are, and an API key. Who shows none is refused.
func TestWhoCallsIsFoundOutByTheListeningDoor(t *testing.T) {
	leaktest.Check(t)
	ca, other := testcert.New(t), testcert.New(t)
	keys, err := os.ReadFile(writeJWKS(t))
	if err != nil {
		t.Fatal(err)
	}
	var provider *httptest.Server
	provider = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/.well-known/openid-configuration":
			fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, provider.URL, provider.URL+"/keys")
		case "/keys":
			_, _ = w.Write(keys)
		default:
			http.NotFound(w, r)
		}
	}))
	defer provider.Close()
	tokens, err := auth.NewOIDC(auth.JWTConfig{Issuer: provider.URL, Audiences: []string{audience}})
	if err != nil {
		t.Fatal(err)
	}
	defer tokens.Close()
	certificates, err := auth.NewClientCerts(auth.ClientCertsConfig{
		TrustDomains: []auth.TrustDomain{{Name: "mesh", Roots: ca.Pool}},
		Grants:       []auth.CertGrant{{ID: "spiffe://mesh/batch/*", Scopes: []string{"books.read"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	d := newDoor(t, func(c *gateway.Config) {
		c.Authenticators = append([]auth.Authenticator{tokens, certificates}, c.Authenticators[1]) // and API keys
		c.TLS = &tls.Config{Certificates: []tls.Certificate{ca.Issue()}, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: ca.Pool}
		c.Health.IgnoreUpstreams = true
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Serve(ctx, listener) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	ask := func(path string, certificate *tls.Certificate, change ...with) (int, map[string]any, error) {
		config := &tls.Config{RootCAs: ca.Pool, ServerName: "server"}
		if certificate != nil {
			config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return certificate, nil }
		}
		transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
		defer transport.CloseIdleConnections()
		r, err := http.NewRequestWithContext(t.Context(), "GET", "https://"+listener.Addr().String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range change {
			c(r)
		}
		resp, err := (&http.Client{Transport: transport}).Do(r)
		if err != nil {
			return 0, nil, err
		}
		defer resp.Body.Close()
		told := map[string]any{}
		_ = json.NewDecoder(resp.Body).Decode(&told)
		return resp.StatusCode, told, nil
	}
	issued := func(by *testcert.Authority, id string) *tls.Certificate {
		certificate := by.Issue(id)
		return &certificate
	}
	signed := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"iss": provider.URL, "aud": audience, "sub": "ann", "exp": time.Now().Add(time.Hour).Unix(), "scope": "books.read",
	})
	signed.Header["kid"] = "k1"
	tok, err := signed.SignedString(signingKey())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		certificate             *tls.Certificate
		change                  []with
		subject, issuer, method string
	}{
		"a certificate":        {issued(ca, "spiffe://mesh/batch/1"), nil, "spiffe://mesh/batch/1", "mesh", "mtls"},
		"a provider's token":   {nil, []with{bearer(tok)}, "ann", provider.URL, "jwt"},
		"an API key":           {nil, []with{header("X-Api-Key", d.apiKey)}, "robot", "", "api_key"},
		"a token over a proxy": {issued(ca, "spiffe://mesh/proxy"), []with{bearer(tok)}, "ann", provider.URL, "jwt"},
	} {
		status, told, err := ask("/v1/whoami", c.certificate, c.change...)
		issuer, _ := told["issuer"].(string)
		if err != nil || status != 200 || told["subject"] != c.subject || c.issuer != "" && issuer != c.issuer || told["method"] != c.method {
			t.Errorf("%s: %d %v %v", name, status, told, err)
		}
		if status, _, err := ask("/v1/shelves/1/books/2", c.certificate, c.change...); err != nil || status != 200 {
			t.Errorf("%s: what the scope books.read opens is answered %d %v", name, status, err)
		}
	}
	for name, certificate := range map[string]*tls.Certificate{
		"nothing": nil, "another domain": issued(ca, "spiffe://evil/batch/1"),
	} {
		if status, _, err := ask("/v1/whoami", certificate); err != nil || status != 401 {
			t.Errorf("%s: %d %v", name, status, err)
		}
	}
	if status, _, err := ask("/v1/shelves/1/books/2", issued(ca, "spiffe://mesh/other")); err != nil || status != 403 {
		t.Errorf("a certificate without a grant: %d %v", status, err)
	}
	if status, _, err := ask("/v1/whoami", issued(other, "spiffe://mesh/batch/1")); err == nil {
		t.Errorf("a certificate of another authority: %d", status)
	}
	if status, _, err := ask("/readyz", nil); err != nil || status != 200 {
		t.Errorf("readiness: %d %v", status, err)
	}
}

// TestCertificatesThatNobodyCouldShowAreAConfigError: who asks for none gets none.
func TestCertificatesThatNobodyCouldShowAreAConfigError(t *testing.T) {
	ca := testcert.New(t)
	certificates, err := auth.NewClientCerts(auth.ClientCertsConfig{TrustDomains: []auth.TrustDomain{{Name: "mesh", Roots: ca.Pool}}})
	if err != nil {
		t.Fatal(err)
	}
	config := gateway.Config{Authenticators: []auth.Authenticator{certificates}, TLS: &tls.Config{Certificates: []tls.Certificate{ca.Issue()}}}
	for _, asks := range []tls.ClientAuthType{tls.NoClientCert, tls.RequestClientCert, tls.RequireAnyClientCert} {
		config.TLS.ClientAuth = asks
		if _, err := gateway.New(config); err == nil || !strings.HasPrefix(err.Error(), "gateway: Config.TLS.ClientAuth: ") {
			t.Errorf("%v: %v", asks, err)
		}
	}
	for _, asks := range []tls.ClientAuthType{tls.VerifyClientCertIfGiven, tls.RequireAndVerifyClientCert} {
		config.TLS.ClientAuth = asks
		if _, err := gateway.New(config); err != nil {
			t.Errorf("%v: %v", asks, err)
		}
	}
	config.TLS = nil // another server may have it
	g, err := gateway.New(config)
	if err != nil {
		t.Fatal(err)
	}
	listener := bufconn.Listen(1)
	if err := g.Serve(t.Context(), listener); err == nil || !strings.HasPrefix(err.Error(), "gateway: Config.TLS: ") {
		t.Error(err)
	}
}
