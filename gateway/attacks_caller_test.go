package gateway_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/evenkeel/evenkeel/gateway"
	"github.com/evenkeel/evenkeel/gateway/auth"
	testv1 "github.com/evenkeel/evenkeel/gateway/internal/testproto/evenkeel/test/v1"
	"github.com/evenkeel/evenkeel/gateway/ratelimit"
)

// Attacks by who the caller says to be.

// forged is a request with headers that tell a backend who calls, and from
// where.
var forged = []string{
	"Evenkeel-Principal-Bin", "evenkeel-principal-bin", "EVENKEEL-PRINCIPAL-BIN", "Evenkeel-Principal-Subject", "Evenkeel_Principal_Bin",
	"Grpc-Metadata-Evenkeel-Principal-Bin", "Grpcgateway-Evenkeel-Principal-Bin", "Grpc-Metadata-X-User", "Grpc-Metadata-Authorization",
	"Grpc-Tags-Bin", "Grpc-Trace-Bin", "X-User", "X-Forwarded-User", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded",
	"X-Real-Ip", "X-Client-Cert", "X-Forwarded-Client-Cert", "X-Envoy-External-Address", "X-Original-Url", "X-Rewrite-Url", "Cookie",
	"Connection-Evenkeel", "X-Api-Version", "Content-Md5", "User-Agent", "Via", "From", "Referer",
}

func TestAttackForgedIdentity(t *testing.T) {
	tok := token(t, "ann")
	inBubble(t, func(c *gateway.Config) { c.UnencryptedHTTP2 = true }, func(t *testing.T, r *running) {
		const lie = "Zm9yZ2Vk"
		text := "GET /v1/whoami HTTP/1.1\r\nHost: door\r\nConnection: close, Authorization, Evenkeel-Principal-Bin\r\nAuthorization: Bearer " + tok + "\r\n"
		fields := append(pseudo("GET", "/v1/whoami"), field{"authorization", "Bearer " + tok})
		for _, name := range forged {
			text += name + ": " + lie + "\r\n"
			fields = append(fields, field{strings.ToLower(name), lie})
		}
		for protocol, a := range map[string]reply{"HTTP/1.1": r.one(t, text+"\r\n"), "HTTP/2": r.frames(t, fields, "")} {
			var told struct {
				Subject  string
				Metadata map[string]string
			}
			if err := json.Unmarshal([]byte(a.body), &told); err != nil || a.status != 200 || told.Subject != "ann" {
				t.Errorf("%s: %d %v, the backend believes that %q calls", protocol, a.status, err, told.Subject)
			}
			for key, value := range told.Metadata {
				// The address of the connection is the gateway's own word.
				if strings.Contains(value, lie) {
					t.Errorf("%s: metadata %s: %q came from the caller", protocol, key, value)
				}
				if !slices.Contains([]string{":authority", "content-type", "user-agent", "grpc-accept-encoding", "x-request-id", "x-forwarded-for", "x-forwarded-host", "grpc-timeout"}, key) {
					t.Errorf("%s: metadata %s went upstream", protocol, key)
				}
			}
		}
		// None of them is a credential.
		if a := r.one(t, strings.Replace(text, "Authorization: Bearer "+tok+"\r\n", "", 1)+"\r\n"); a.status != 401 {
			t.Errorf("without a token: %d", a.status)
		}
		othersAreServed(t, r)
	})
}

// forgeries are tokens that must not hold.
func forgeries(t *testing.T) map[string]string {
	t.Helper()
	claims := func(change ...any) jwt.MapClaims {
		c := jwt.MapClaims{"iss": issuer, "aud": audience, "sub": "eve", "exp": time.Now().Add(time.Hour).Unix()}
		for i := 0; i < len(change); i += 2 {
			c[change[i].(string)] = change[i+1]
		}
		return c
	}
	sign := func(method jwt.SigningMethod, key any, c jwt.MapClaims, header ...string) string {
		tok := jwt.NewWithClaims(method, c)
		tok.Header["kid"] = "k1"
		for i := 0; i < len(header); i += 2 {
			tok.Header[header[i]] = header[i+1]
		}
		signed, err := tok.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	public, err := signingKey().PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(signingKey().Public())
	if err != nil {
		t.Fatal(err)
	}
	asPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	good := token(t, "ann")
	parts := strings.Split(good, ".")
	jwe := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"dir","enc":"A256GCM"}`))
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	es := jwt.SigningMethodES256
	return map[string]string{
		"alg none":                  sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, claims()),
		"alg None":                  part(`{"alg":"None","kid":"k1"}`) + "." + parts[1] + ".",
		"no alg":                    part(`{"kid":"k1"}`) + "." + parts[1] + "." + parts[2],
		"HS256 of the point":        sign(jwt.SigningMethodHS256, public, claims()),
		"HS256 of the key in DER":   sign(jwt.SigningMethodHS256, der, claims()),
		"HS256 of the key in PEM":   sign(jwt.SigningMethodHS256, asPEM, claims()),
		"HS512 of the key in PEM":   sign(jwt.SigningMethodHS512, asPEM, claims()),
		"HS256 of nothing":          sign(jwt.SigningMethodHS256, []byte{}, claims()),
		"RS256 with the kid":        sign(jwt.SigningMethodRS256, rsaKey, claims()),
		"PS256 with the kid":        sign(jwt.SigningMethodPS256, rsaKey, claims()),
		"another key":               sign(es, other, claims()),
		"another key that it names": sign(es, other, claims(), "jku", "https://evil.test/jwks.json", "jwk", "{}", "x5u", "https://evil.test/"),
		"a kid that is a path":      sign(es, other, claims(), "kid", "../../dev/null"),
		"a kid that is a query":     sign(es, other, claims(), "kid", "k1' OR '1'='1"),
		"a claim that is critical":  sign(es, signingKey(), claims(), "crit", "exp"),
		"another issuer":            sign(es, signingKey(), claims("iss", "https://evil.test")),
		"another audience":          sign(es, signingKey(), claims("aud", "https://other.test")),
		"no expiry":                 sign(es, signingKey(), claims("exp", nil)),
		"expired":                   sign(es, signingKey(), claims("exp", time.Now().Add(-time.Hour).Unix())),
		"not yet valid":             sign(es, signingKey(), claims("nbf", time.Now().Add(time.Hour).Unix())),
		"expiry of another type":    sign(es, signingKey(), claims("exp", "never")),
		"a signature cut short":     good[:len(good)-10],
		"no signature":              parts[0] + "." + parts[1] + ".",
		"another payload":           parts[0] + "." + part(`{"iss":"`+issuer+`","aud":"`+audience+`","sub":"eve","exp":9999999999}`) + "." + parts[2],
		"a signature of zeros":      parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 64)),
		"JWE":                       jwe + "..AAAA.AAAA.AAAA",
		"a token in a token":        part(`{"alg":"ES256","kid":"k1","cty":"JWT"}`) + "." + part(good) + "." + parts[2],
		"nine thousand dots":        strings.Repeat(".", 9_000),
		"larger than any":           parts[0] + "." + strings.Repeat("A", 12_000) + "." + parts[2],
		"a header of 8 KiB":         strings.Repeat("A", 8_192) + "." + parts[1] + "." + parts[2],
		"nothing":                   "",
	}
}

func TestAttackForgedTokens(t *testing.T) {
	forgeries, good := forgeries(t), token(t, "ann")
	d, client := serveTLS(t, nil)
	ask := func(value string) int {
		r, err := http.NewRequestWithContext(t.Context(), "GET", "https://example.com/v1/whoami", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", value)
		resp, err := client.Do(r)
		if err != nil {
			t.Error(err)
			return 0
		}
		defer resp.Body.Close()
		_, _ = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode
	}
	for name, forgery := range forgeries {
		// Whatever is no token at all may be no request, either.
		if status := ask("Bearer " + forgery); status != 401 && status != 400 {
			t.Errorf("%s: %d, want 401", name, status)
		}
	}
	if n := d.books.callCount(); n != 0 {
		t.Errorf("the backend was called %d times", n)
	}
	// Another caller, beside.
	if status := ask("Bearer " + good); status != 200 {
		t.Errorf("a token that holds: %d", status)
	}
}

// TestAttackAnRSAKeyAsASecret: the confusion is as old as tokens with RSA keys,
// whose public half everybody has as PEM.
func TestAttackAnRSAKeyAsASecret(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	keys := fmt.Sprintf(`{"keys":[{"kty":"RSA","kid":"r1","use":"sig","n":%q,"e":%q}]}`, b64(key.N.Bytes()), b64(big.NewInt(int64(key.E)).Bytes()))
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	sign := func(method jwt.SigningMethod, with any) string {
		tok := jwt.NewWithClaims(method, jwt.MapClaims{"iss": issuer, "aud": audience, "sub": "eve", "exp": inBubbles.Unix()})
		tok.Header["kid"] = "r1"
		signed, err := tok.SignedString(with)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	good := sign(jwt.SigningMethodRS256, key)
	bad := map[string]string{
		"PEM":         sign(jwt.SigningMethodHS256, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
		"PKCS 1":      sign(jwt.SigningMethodHS256, pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&key.PublicKey)})),
		"PEM, no end": sign(jwt.SigningMethodHS384, bytes.TrimSpace(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))),
		"DER":         sign(jwt.SigningMethodHS256, der),
		"the modulus": sign(jwt.SigningMethodHS256, key.N.Bytes()),
		"the JWK set": sign(jwt.SigningMethodHS256, []byte(keys)),
	}
	synctest.Test(t, func(t *testing.T) {
		p := &issuerSite{keys: keys}
		r := run(t, p.config(t))
		ask := func(tok string) int {
			return r.one(t, "GET /v1/whoami HTTP/1.1\r\nHost: door\r\nConnection: close\r\nAuthorization: Bearer "+tok+"\r\n\r\n").status
		}
		for name, tok := range bad {
			if status := ask(tok); status != 401 {
				t.Errorf("%s: %d", name, status)
			}
		}
		if status := ask(good); status != 200 {
			t.Errorf("a token that holds: %d", status)
		}
		othersAreServed(t, r)
		if err := r.end(); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second) // net/http lingers; in fake time
	})
}

// inBubbles is a time soon after those at which bubbles begin.
var inBubbles = time.Date(2000, 1, 1, 10, 0, 0, 0, time.UTC)

// issuerSite is where an issuer publishes its keys, without a network.
type issuerSite struct {
	keys    string
	fetches atomic.Int64
}

func (s *issuerSite) RoundTrip(*http.Request) (*http.Response, error) {
	s.fetches.Add(1)
	time.Sleep(100 * time.Millisecond) // in fake time
	return &http.Response{StatusCode: 200, Status: "200 OK", Header: http.Header{}, Body: io.NopCloser(strings.NewReader(s.keys))}, nil
}

// config makes a door take tokens whose keys are there.
func (s *issuerSite) config(t *testing.T) func(*gateway.Config) {
	return func(c *gateway.Config) {
		tokens, err := auth.NewJWT(auth.JWTConfig{
			Issuer: issuer, Audiences: []string{audience}, JWKSURL: "https://id.test/jwks.json",
			Client: &http.Client{Transport: s}, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = tokens.Close() })
		c.Authenticators = []auth.Authenticator{tokens}
	}
}

func TestAttackAFloodOfUnknownKeys(t *testing.T) {
	raw, err := signingKey().PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	keys := fmt.Sprintf(`{"keys":[{"kty":"EC","crv":"P-256","kid":"k1","x":%q,"y":%q}]}`, b64(raw[1:33]), b64(raw[33:]))
	tok := func(kid string) string {
		tok := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"iss": issuer, "aud": audience, "sub": "ann", "exp": inBubbles.Unix()})
		tok.Header["kid"] = kid
		signed, err := tok.SignedString(signingKey())
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	good := tok("k1")
	var unknown []string
	for i := range 200 {
		unknown = append(unknown, tok(fmt.Sprintf("%x", sha256.Sum256([]byte{byte(i)}))))
	}
	synctest.Test(t, func(t *testing.T) {
		site := &issuerSite{keys: keys}
		r := run(t, site.config(t))
		before, start := heap(), time.Now()
		ask := func(tok string) int {
			return r.one(t, "GET /v1/whoami HTTP/1.1\r\nHost: door\r\nConnection: close\r\nAuthorization: Bearer "+tok+"\r\n\r\n").status
		}
		var flood sync.WaitGroup
		for second := range 60 {
			for i := range 20 {
				flood.Go(func() {
					if status := ask(unknown[(second*20+i)%len(unknown)]); status != 401 {
						t.Errorf("an unknown key: %d", status)
					}
				})
			}
			if status := ask(good); status != 200 {
				t.Errorf("second %d: a token that holds: %d", second, status)
			}
			time.Sleep(time.Second)
		}
		flood.Wait()
		if n, most := site.fetches.Load(), int64(time.Since(start)/(10*time.Second))+2; n > most {
			t.Errorf("1,200 tokens made %d requests to the issuer in %v, want %d at most", n, time.Since(start), most)
		}
		othersAreServed(t, r)
		memoryIsBounded(t, before)
		if err := r.end(); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second) // net/http lingers; in fake time
	})
}

func TestAttackGuessedAPIKeys(t *testing.T) {
	inBubble(t, func(c *gateway.Config) {
		c.RateLimit.Policies = []ratelimit.Policy{{Name: "all", Rate: ratelimit.Rate{Requests: 30, Period: time.Hour}}}
	}, func(t *testing.T, r *running) {
		guesses := []string{
			"", r.apiKey[:len(r.apiKey)-1], r.apiKey + "a", r.apiKey[1:], strings.ToUpper(r.apiKey), strings.ToLower(r.apiKey),
			r.apiKey[:len(r.apiKey)/2], "\t" + r.apiKey + "\tx", "'" + r.apiKey + "'", "null", strings.Repeat("A", 10_000),
		}
		ask := func(from, key string) int {
			replies := r.rawFrom(netip.MustParseAddr(from), "GET /v1/shelves/1/books/2 HTTP/1.1\r\nHost: door\r\nConnection: close\r\nX-API-Key: "+key+"\r\n\r\n")
			if len(replies) != 1 {
				t.Fatalf("%d answers", len(replies))
			}
			return replies[0].status
		}
		for _, guess := range guesses {
			if status := ask("198.51.100.66", guess); status != 401 && status != 400 {
				t.Errorf("%q: %d", brief(guess), status)
			}
		}
		// And there are no more than so many guesses.
		for range 30 {
			ask("198.51.100.66", "guess")
		}
		if status := ask("198.51.100.66", "guess"); status != 429 {
			t.Errorf("after 40 guesses: %d", status)
		}
		if status := ask("203.0.113.7", r.apiKey); status != 200 {
			t.Errorf("the key, from elsewhere: %d", status)
		}
		if n := r.books.callCount(); n != 1 {
			t.Errorf("the backend was called %d times", n)
		}
		othersAreServed(t, r)
	})
}

// One who is known may not do what others may, whatever is tried.
func TestAttackMoreThanOnesScopes(t *testing.T) {
	auth := func(scopes ...string) string {
		return " HTTP/1.1\r\nHost: door\r\nConnection: close\r\nAuthorization: Bearer " + token(t, "ann", scopes...) + "\r\n"
	}
	reader, nearly := auth("books.read"), auth("books", "books.write.all", "BOOKS.WRITE", "books.write,books.read", "*")
	admin := auth("books.admin")
	inBubble(t, nil, func(t *testing.T, r *running) {
		for name, c := range map[string]struct {
			request string
			status  int
		}{
			"another scope":                  {"DELETE /v1/shelves/1/books/2" + reader + "\r\n", 403},
			"scopes that look alike":         {"DELETE /v1/shelves/1/books/2" + nearly + "\r\n", 403},
			"scopes in the query":            {"DELETE /v1/shelves/1/books/2?scope=books.write" + reader + "\r\n", 403},
			"scopes in headers":              {"DELETE /v1/shelves/1/books/2" + reader + "X-Scope: books.write\r\nScope: books.write\r\n\r\n", 403},
			"another's key besides":          {"DELETE /v1/shelves/1/books/2" + reader + "X-API-Key: x\r\n\r\n", 400},
			"two tokens":                     {"DELETE /v1/shelves/1/books/2" + reader + "Authorization: Bearer x\r\n\r\n", 400},
			"a body that is never looked at": {"POST /v1/shelves/1/books" + reader + "Content-Length: 99\r\n\r\n", 403},
			"no role":                        {"POST /v1/shelves/ann:guard" + reader + "Content-Length: 0\r\n\r\n", 403},
			"another's shelf":                {"POST /v1/shelves/bob:guard" + admin + "Content-Length: 0\r\n\r\n", 403},
			"another's shelf, escaped":       {"POST /v1/shelves/%62ob:guard" + admin + "Content-Length: 0\r\n\r\n", 403},
			"one's own, by the body":         {"POST /v1/shelves/bob:guard" + admin + "Content-Type: application/json\r\nContent-Length: 22\r\n\r\n{\"name\":\"shelves/ann\"}", 403},
			"one's own":                      {"POST /v1/shelves/ann:guard" + admin + "Content-Length: 0\r\n\r\n", 200},
		} {
			if a := r.one(t, c.request); a.status != c.status {
				t.Errorf("%s: %d, want %d; %s", name, a.status, c.status, a.body)
			}
		}
		if got := r.books.methods(); !slices.Equal(got, []string{"Guard"}) {
			t.Errorf("the backend was called for %v", got)
		}
		othersAreServed(t, r)
	})
}

// A service that declares nothing is not let in while the door serves, either.
func TestAttackAMethodThatNobodyThoughtAbout(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *running) {
		err := gateway.Mount(r.Gateway, gateway.Service[testv1.OpenServiceClient]{
			Desc: &testv1.OpenService_ServiceDesc, Conn: r.conn,
			NewClient: testv1.NewOpenServiceClient, Register: testv1.RegisterOpenServiceHandlerClient,
		})
		if err == nil {
			t.Fatal("it was mounted")
		}
		for _, path := range []string{"/v1/good", "/v1/forgotten", "/v1/undecided", "/evenkeel.test.v1.OpenService/Good"} {
			if a := r.one(t, "GET "+path+" HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n"); a.status != 404 {
				t.Errorf("%s: %d", path, a.status)
			}
		}
		othersAreServed(t, r)
	})
}
