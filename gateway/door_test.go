package gateway_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/evenkeel/evenkeel/gateway"
	"github.com/evenkeel/evenkeel/gateway/auth"
	"github.com/evenkeel/evenkeel/gateway/inprocess"
	testv1 "github.com/evenkeel/evenkeel/gateway/internal/testproto/evenkeel/test/v1"
	"github.com/evenkeel/evenkeel/gateway/policy"
)

// Credentials of these tests.
const (
	issuer   = "https://id.test"
	audience = "https://api.test"
)

var signingKey = sync.OnceValue(func() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
})

// writeJWKS writes the public half of signingKey to a file.
func writeJWKS(t testing.TB) string {
	t.Helper()
	public := signingKey().PublicKey
	x, y := make([]byte, 32), make([]byte, 32)
	raw, err := public.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	copy(x, raw[1:33])
	copy(y, raw[33:])
	set, err := json.Marshal(map[string]any{"keys": []any{map[string]any{
		"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "k1",
		"x": base64.RawURLEncoding.EncodeToString(x), "y": base64.RawURLEncoding.EncodeToString(y),
	}}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(path, set, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// token returns a bearer token for a subject with scopes.
func token(t testing.TB, subject string, scopes ...string) string {
	t.Helper()
	tok := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"iss": issuer, "aud": audience, "sub": subject, "exp": time.Now().Add(time.Hour).Unix(),
		"scope": strings.Join(scopes, " "),
	})
	tok.Header["kid"] = "k1"
	signed, err := tok.SignedString(signingKey())
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// librarians are the roles that the library's protos name.
var librarians = policy.Config{Roles: []policy.Role{{Name: "librarian", Scopes: []string{"books.admin"}}}}

// door is a gateway with a library behind it.
type door struct {
	*gateway.Gateway
	t      testing.TB
	books  *library
	conn   closer
	apiKey string
	logs   *logBuffer
}

type logBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// newDoor returns a gateway in front of a library over bufconn. change may
// adapt its config, and serve how the library is mounted.
func newDoor(t testing.TB, change func(*gateway.Config), serve ...func(*libraryService)) *door {
	t.Helper()
	d := &door{t: t, books: &library{gone: make(chan struct{})}, logs: &logBuffer{}}
	d.conn = dialLibrary(t, d.books)
	tokens, err := auth.NewJWT(auth.JWTConfig{Issuer: issuer, Audiences: []string{audience}, JWKSFile: writeJWKS(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tokens.Close() })
	key, hash := auth.GenerateAPIKey()
	d.apiKey = key
	keys, err := auth.NewAPIKeys(auth.APIKeysConfig{Keys: []auth.APIKey{{SHA256: hash, Subject: "robot", Scopes: []string{"books.read"}}}})
	if err != nil {
		t.Fatal(err)
	}
	config := gateway.Config{
		Drain:          gateway.Drain{Delay: -1},
		Authenticators: []auth.Authenticator{tokens, keys},
		Policy:         librarians,
		Logger:         slog.New(slog.NewJSONHandler(d.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&config)
	}
	if d.Gateway, err = gateway.New(config); err != nil {
		t.Fatal(err)
	}
	if err := mountLibrary(d.Gateway, d.conn, serve...); err != nil {
		t.Fatal(err)
	}
	return d
}

type libraryService = gateway.Service[testv1.LibraryServiceClient]

func mountLibrary(g *gateway.Gateway, conn grpc.ClientConnInterface, change ...func(*libraryService)) error {
	service := libraryService{
		Desc: &testv1.LibraryService_ServiceDesc, Conn: conn,
		NewClient: testv1.NewLibraryServiceClient, Register: testv1.RegisterLibraryServiceHandlerClient,
	}
	for _, c := range change {
		c(&service)
	}
	return gateway.Mount(g, service)
}

// over says how the gateway reaches the library: `go test -over inprocess` runs
// the whole suite over package inprocess.
var over = flag.String("over", "grpc", "grpc or inprocess")

// needsNetwork leaves a test out where there is no connection to lose.
func needsNetwork(t *testing.T) {
	t.Helper()
	if *over == "inprocess" {
		t.Skip("there is no connection")
	}
}

// closer is a connection that can be closed.
type closer interface {
	grpc.ClientConnInterface
	io.Closer
}

func dialLibrary(t testing.TB, l *library) closer {
	t.Helper()
	if *over == "inprocess" {
		server, err := inprocess.New(inprocess.Config{})
		if err != nil {
			t.Fatal(err)
		}
		testv1.RegisterLibraryServiceServer(server, l)
		t.Cleanup(func() { _ = server.Close() })
		return server
	}
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer()
	testv1.RegisterLibraryServiceServer(server, l)
	go func() { _ = server.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:///library", append(gateway.DialOptions(),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
	})
	return conn
}

// answer is what came back.
type answer struct {
	t      testing.TB
	page   string // where problems are explained, "" if nowhere
	status int
	header http.Header
	body   string
}

// exchange asks a door that listens, and returns the status and all of the answer.
func exchange(t *testing.T, client *http.Client, method, url, body string, change ...with) (status int, answer string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range change {
		c(r)
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// with changes a request before it is sent.
type with func(*http.Request)

func header(name, value string) with {
	return func(r *http.Request) { r.Header.Add(name, value) }
}

func bearer(token string) with { return header("Authorization", "Bearer "+token) }

// do sends a request straight to the handler. A body is JSON unless a header
// says something else.
func (d *door) do(method, target, body string, changes ...with) *answer {
	d.t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, target, reader)
	for _, change := range changes {
		change(r)
	}
	if body != "" && r.Header["Content-Type"] == nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "none") {
		r.Header.Del("Content-Type")
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	// The headers as they were when they were sent.
	a := &answer{t: d.t, status: w.Code, header: w.Result().Header, body: w.Body.String()}
	if document := d.OpenAPI(); document != nil {
		a.page = document.Problems()
	}
	return a
}

func (a *answer) want(status int) *answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("status %d, want %d; body %s", a.status, status, a.body)
	}
	return a
}

// problem is a problem as a caller reads it.
type problem struct {
	Type, Title, Detail, Instance, Code string
	Status                              int
	Errors                              []struct{ Field, Detail, Reason string }
	Details                             []map[string]any
	ViolatedPolicies                    []string `json:"violated-policies"`
}

// wantProblem checks that the answer is a well-formed problem.
func (a *answer) wantProblem(status int, code string) problem {
	a.t.Helper()
	a.want(status)
	if got := a.header.Get("Content-Type"); got != "application/problem+json" {
		a.t.Fatalf("Content-Type %q, want a problem; body %s", got, a.body)
	}
	var p problem
	dec := json.NewDecoder(strings.NewReader(a.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		a.t.Fatalf("%v in %s", err, a.body)
	}
	kind := "about:blank"
	if a.page != "" {
		kind = fmt.Sprintf("%s#%d-%s", a.page, status, strings.ToLower(strings.ReplaceAll(code, "_", "-")))
	}
	if p.Status != status || p.Code != code || p.Type != kind || p.Title == "" || p.Detail == "" {
		a.t.Fatalf("problem %+v, want status %d, code %s and type %s", p, status, code, kind)
	}
	if p.Instance == "" || p.Instance != a.header.Get("X-Request-Id") {
		a.t.Fatalf("instance %q, request id %q: want the same", p.Instance, a.header.Get("X-Request-Id"))
	}
	return p
}

// wantField checks that the problem names a field.
func (a *answer) wantField(field string) *answer {
	a.t.Helper()
	p := a.wantProblem(http.StatusBadRequest, "INVALID_ARGUMENT")
	for _, e := range p.Errors {
		if e.Field == field && e.Detail != "" {
			return a
		}
	}
	a.t.Fatalf("errors %+v name no field %q; body %s", p.Errors, field, a.body)
	return a
}

// decode reads the answer's JSON.
func (a *answer) decode() map[string]any {
	a.t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		a.t.Fatalf("%v in %s", err, a.body)
	}
	return v
}
