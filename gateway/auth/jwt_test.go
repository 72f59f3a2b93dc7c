package auth

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	testIssuer   = "https://id.test"
	testAudience = "https://api.test"
)

// signers are one private key for each algorithm, made once: RSA takes long.
var signers = sync.OnceValue(func() map[string]crypto.Signer {
	ec, err1 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	rs, err2 := rsa.GenerateKey(rand.Reader, 2048)
	_, ed, err3 := ed25519.GenerateKey(rand.Reader)
	if err := errors.Join(err1, err2, err3); err != nil {
		panic(err)
	}
	return map[string]crypto.Signer{"ES256": ec, "RS256": rs, "EdDSA": ed}
})

var b64 = base64.RawURLEncoding.EncodeToString

// jwk returns the JWK of a public key.
func jwk(public crypto.PublicKey, kid string, more ...string) map[string]any {
	m := map[string]any{"kid": kid, "use": "sig"}
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		raw, err := k.Bytes()
		if err != nil {
			panic(err)
		}
		half := (len(raw) - 1) / 2
		m["kty"], m["crv"], m["x"], m["y"] = "EC", k.Params().Name, b64(raw[1:1+half]), b64(raw[1+half:])
	case *rsa.PublicKey:
		m["kty"], m["n"], m["e"] = "RSA", b64(k.N.Bytes()), b64(big.NewInt(int64(k.E)).Bytes())
	case ed25519.PublicKey:
		m["kty"], m["crv"], m["x"] = "OKP", "Ed25519", b64(k)
	}
	for i := 0; i < len(more); i += 2 {
		m[more[i]] = more[i+1]
	}
	return m
}

func jwks(keys ...map[string]any) []byte {
	raw, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		panic(err)
	}
	return raw
}

// allKeys is a set of the three keys, each named as its algorithm.
func allKeys() []byte {
	var keys []map[string]any
	for alg, signer := range signers() {
		keys = append(keys, jwk(signer.Public(), alg, "alg", alg))
	}
	return jwks(keys...)
}

func writeFile(t testing.TB, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func newJWT(t testing.TB, change func(*JWTConfig)) *JWT {
	t.Helper()
	config := JWTConfig{Issuer: testIssuer, Audiences: []string{"https://other.test", testAudience}, Logger: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&config)
	}
	if config.JWKSURL == "" && config.JWKSFile == "" {
		config.JWKSFile = writeFile(t, allKeys())
	}
	j, err := NewJWT(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

// claimsNow returns claims that hold, with changes: a nil value deletes one.
func claimsNow(changes ...any) jwt.MapClaims {
	c := jwt.MapClaims{
		"iss": testIssuer, "aud": testAudience, "sub": "ann", "scope": "b a",
		"exp": time.Now().Add(time.Hour).Unix(), "nbf": time.Now().Add(-time.Minute).Unix(), "iat": time.Now().Unix(),
	}
	for i := 0; i < len(changes); i += 2 {
		name, _ := changes[i].(string)
		if changes[i+1] == nil {
			delete(c, name)
		} else {
			c[name] = changes[i+1]
		}
	}
	return c
}

// sign returns a token that is signed by the algorithm's key, with headers
// changed.
func sign(t testing.TB, alg string, c jwt.MapClaims, headers ...any) string {
	t.Helper()
	tok := jwt.NewWithClaims(jwt.GetSigningMethod(alg), c)
	tok.Header["kid"] = alg
	for i := 0; i < len(headers); i += 2 {
		name, _ := headers[i].(string)
		if headers[i+1] == nil {
			delete(tok.Header, name)
		} else {
			tok.Header[name] = headers[i+1]
		}
	}
	signed, err := tok.SignedString(signers()[alg])
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func TestTokensOfEachAlgorithmHold(t *testing.T) {
	j := newJWT(t, nil)
	for alg := range signers() {
		for range 2 { // the second from the cache
			p, err := j.Verify(t.Context(), sign(t, alg, claimsNow()))
			if err != nil {
				t.Fatalf("%s: %v", alg, err)
			}
			if p.Subject != "ann" || p.Issuer != testIssuer || p.Method != MethodJWT || strings.Join(p.Scopes, ",") != "a,b" {
				t.Errorf("%s: %+v", alg, p)
			}
		}
	}
}

// raw puts a token together by hand.
func raw(header, claims string, signature []byte) string {
	return b64([]byte(header)) + "." + b64([]byte(claims)) + "." + b64(signature)
}

func hs256(secret []byte, header string, c jwt.MapClaims) string {
	encoded, err := json.Marshal(c)
	if err != nil {
		panic(err)
	}
	signed := b64([]byte(header)) + "." + b64(encoded)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(signed))
	return signed + "." + b64(mac.Sum(nil))
}

// badTokens are tokens that must not hold, by what is wrong with them.
func badTokens(t testing.TB) map[string]string {
	t.Helper()
	good := sign(t, "ES256", claimsNow())
	parts := strings.Split(good, ".")
	claimsJSON, err := json.Marshal(claimsNow())
	if err != nil {
		t.Fatal(err)
	}
	otherEC, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	wrongKey := jwt.NewWithClaims(jwt.SigningMethodES256, claimsNow())
	wrongKey.Header["kid"] = "ES256"
	byOther, err := wrongKey.SignedString(otherEC)
	if err != nil {
		t.Fatal(err)
	}
	embedded := jwt.NewWithClaims(jwt.SigningMethodES256, claimsNow())
	embedded.Header["kid"], embedded.Header["jwk"] = "new", jwk(&otherEC.PublicKey, "new")
	byEmbedded, err := embedded.SignedString(otherEC)
	if err != nil {
		t.Fatal(err)
	}
	rsaPublic, err := x509.MarshalPKIXPublicKey(signers()["RS256"].Public())
	if err != nil {
		t.Fatal(err)
	}
	rsaPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: rsaPublic})
	rs512 := jwt.NewWithClaims(jwt.SigningMethodRS512, claimsNow())
	rs512.Header["kid"] = "RS256"
	byRS512, err := rs512.SignedString(signers()["RS256"])
	if err != nil {
		t.Fatal(err)
	}
	ps256 := jwt.NewWithClaims(jwt.SigningMethodPS256, claimsNow())
	ps256.Header["kid"] = "RS256"
	byPS256, err := ps256.SignedString(signers()["RS256"])
	if err != nil {
		t.Fatal(err)
	}
	flipped := []byte(parts[1])
	flipped[len(flipped)/2] ^= 1
	deep := strings.Repeat(`{"a":`, 1000) + "1" + strings.Repeat("}", 1000)
	return map[string]string{
		"none":                       raw(`{"alg":"none","typ":"JWT"}`, string(claimsJSON), nil),
		"None":                       raw(`{"alg":"None"}`, string(claimsJSON), nil),
		"none with a kid":            raw(`{"alg":"none","kid":"ES256"}`, string(claimsJSON), nil),
		"none with a signature":      raw(`{"alg":"none","kid":"ES256"}`, string(claimsJSON), []byte("x")),
		"no alg":                     raw(`{"kid":"ES256"}`, string(claimsJSON), []byte("x")),
		"alg is no string":           raw(`{"alg":5,"kid":"ES256"}`, string(claimsJSON), []byte("x")),
		"stripped signature":         parts[0] + "." + parts[1] + ".",
		"wrong key":                  byOther,
		"embedded key":               byEmbedded,
		"HMAC with the PEM":          hs256(rsaPEM, `{"alg":"HS256","kid":"RS256"}`, claimsNow()),
		"HMAC with the DER":          hs256(rsaPublic, `{"alg":"HS256","kid":"RS256"}`, claimsNow()),
		"HMAC with nothing":          hs256(nil, `{"alg":"HS256","kid":"RS256"}`, claimsNow()),
		"wrong alg of the same key":  byRS512,
		"PS256 of the same key":      byPS256,
		"alg of another key":         sign(t, "ES256", claimsNow(), "kid", "RS256"),
		"unknown kid":                sign(t, "ES256", claimsNow(), "kid", "nobody"),
		"no kid among several keys":  sign(t, "ES256", claimsNow(), "kid", nil),
		"kid is no string":           sign(t, "ES256", claimsNow(), "kid", 5),
		"kid is a path":              sign(t, "ES256", claimsNow(), "kid", "../../etc/passwd"),
		"huge kid":                   sign(t, "ES256", claimsNow(), "kid", strings.Repeat("k", 1000)),
		"expired":                    sign(t, "ES256", claimsNow("exp", time.Now().Add(-time.Minute).Unix())),
		"never expires":              sign(t, "ES256", claimsNow("exp", nil)),
		"exp is no number":           sign(t, "ES256", claimsNow("exp", "tomorrow")),
		"exp is a number in quotes":  sign(t, "ES256", claimsNow("exp", strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10))),
		"exp is too far for a clock": sign(t, "ES256", claimsNow("exp", 1e18)),
		"exp is negative":            sign(t, "ES256", claimsNow("exp", -1e300)),
		"exp is null":                sign(t, "ES256", claimsNow("exp", json.RawMessage("null"))),
		"nbf is too far for a clock": sign(t, "ES256", claimsNow("nbf", 1e300)),
		"claims in capitals": sign(t, "ES256", jwt.MapClaims{
			"ISS": testIssuer, "AUD": testAudience, "SUB": "ann", "EXP": time.Now().Add(time.Hour).Unix(),
		}),
		"only the subject in capitals":  sign(t, "ES256", claimsNow("sub", nil, "Sub", "ann")),
		"only the audience in capitals": sign(t, "ES256", claimsNow("aud", nil, "AUD", testAudience)),
		"typ is no string":              sign(t, "ES256", claimsNow(), "typ", 5),
		"exp is huge":                   raw(`{"alg":"ES256","kid":"ES256"}`, `{"exp":1e400}`, []byte("x")),
		"not yet valid":                 sign(t, "ES256", claimsNow("nbf", time.Now().Add(time.Minute).Unix())),
		"wrong audience":                sign(t, "ES256", claimsNow("aud", "https://api.test.evil")),
		"wrong audiences":               sign(t, "ES256", claimsNow("aud", []string{"a", "b"})),
		"no audience":                   sign(t, "ES256", claimsNow("aud", nil)),
		"empty audience":                sign(t, "ES256", claimsNow("aud", "")),
		"wrong issuer":                  sign(t, "ES256", claimsNow("iss", "https://id.test/")),
		"no issuer":                     sign(t, "ES256", claimsNow("iss", nil)),
		"no subject":                    sign(t, "ES256", claimsNow("sub", nil)),
		"empty subject":                 sign(t, "ES256", claimsNow("sub", "")),
		"subject is no string":          sign(t, "ES256", claimsNow("sub", 5)),
		"scope is an object":            sign(t, "ES256", claimsNow("scope", map[string]any{"a": 1})),
		"tampered claims":               parts[0] + "." + string(flipped) + "." + parts[2],
		"claims of another token":       parts[0] + "." + b64([]byte(strings.Replace(string(claimsJSON), "ann", "root", 1))) + "." + parts[2],
		"tampered header":               raw(`{"alg":"ES256","kid":"ES256","x":1}`, string(claimsJSON), []byte(parts[2])),
		"signature with a bit more":     parts[0] + "." + parts[1] + "." + parts[2] + "A",
		"padding":                       good + "==",
		"oversize":                      sign(t, "ES256", claimsNow("x", strings.Repeat("x", 9000))),
		"dots only":                     strings.Repeat(".", 8000),
		"two parts":                     parts[0] + "." + parts[1],
		"four parts":                    good + "." + parts[2],
		"five parts, as JWE":            good + ".." + parts[2],
		"empty":                         "",
		"spaces":                        "   ",
		"not base64":                    "a.b.c",
		"newline within":                parts[0] + ".\n" + parts[1] + "." + parts[2],
		"nested junk":                   raw(`{"alg":"ES256","kid":"ES256"}`, deep, []byte("x")),
		"nested junk in the header":     raw(`{"alg":"ES256","kid":`+deep+`}`, string(claimsJSON), []byte("x")),
		"arrays for objects":            raw(`[]`, `[]`, []byte("x")),
		"null":                          raw(`null`, `null`, []byte("x")),
		"critical extension":            sign(t, "ES256", claimsNow(), "crit", []string{"exp"}),
		"unencoded payload":             sign(t, "ES256", claimsNow(), "b64", false),
		"compressed":                    sign(t, "ES256", claimsNow(), "zip", "DEF"),
		"another kind of token":         sign(t, "ES256", claimsNow(), "typ", "logout+jwt"),
		"a nested token":                raw(`{"alg":"ES256","kid":"ES256","cty":"JWT"}`, `"`+good+`"`, []byte("x")),
	}
}

func TestTokensThatAreNotRightDoNotHold(t *testing.T) {
	j := newJWT(t, nil)
	for name, token := range badTokens(t) {
		p, err := j.Verify(t.Context(), token)
		var known *Error
		if p != nil || !errors.As(err, &known) || known.Code != CodeInvalidCredentials {
			t.Errorf("%s: %+v, %v", name, p, err)
			continue
		}
		if token != "" && len(token) > 20 && strings.Contains(err.Error(), token[:20]) {
			t.Errorf("%s: the error quotes the token", name)
		}
		// Twice, in case a failure was remembered as a success.
		if p, err := j.Verify(t.Context(), token); p != nil || err == nil {
			t.Errorf("%s: holds the second time", name)
		}
	}
}

func TestClockSkewIsAllowedWithinBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJWT(t, func(c *JWTConfig) { c.ClockSkew = 10 * time.Second; c.JWKSFile = writeFile(t, allKeys()) })
		holds := func(changes ...any) bool {
			_, err := j.Verify(t.Context(), sign(t, "ES256", claimsNow(changes...)))
			return err == nil
		}
		if !holds("exp", time.Now().Add(-9*time.Second).Unix()) || holds("exp", time.Now().Add(-10*time.Second).Unix()) {
			t.Error("exp is not judged within the skew")
		}
		if !holds("nbf", time.Now().Add(10*time.Second).Unix()) || holds("nbf", time.Now().Add(11*time.Second).Unix()) {
			t.Error("nbf is not judged within the skew")
		}
	})
}

func TestARememberedTokenExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJWT(t, func(c *JWTConfig) { c.ClockSkew = -1; c.Refresh = time.Hour; c.JWKSFile = writeFile(t, allKeys()) })
		token := sign(t, "EdDSA", claimsNow("exp", time.Now().Add(time.Minute).Unix()))
		for range 3 {
			if _, err := j.Verify(t.Context(), token); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		_, err := j.Verify(t.Context(), token)
		if err == nil || !strings.Contains(err.Error(), "expired") {
			t.Errorf("error %v", err)
		}
	})
}

func TestTheCacheIsBounded(t *testing.T) {
	c := newTokenCache(10)
	var hash [32]byte
	for i := range 1000 {
		hash[0], hash[1] = byte(i), byte(i>>8)
		c.put(hash, verified{})
		if n := len(c.young) + len(c.older); n > 10 {
			t.Fatalf("%d entries", n)
		}
	}
	if _, ok := c.get(hash); !ok {
		t.Error("the last is not there")
	}
	// What is asked for stays.
	kept := [32]byte{9: 1}
	c.put(kept, verified{})
	for i := range 1000 {
		hash[0], hash[1] = byte(i), byte(i>>8)
		c.put(hash, verified{})
		if _, ok := c.get(kept); !ok {
			t.Fatalf("it is gone after %d", i)
		}
	}
}

func TestAConfigThatIsNotSafeIsRefused(t *testing.T) {
	file := writeFile(t, allKeys())
	for field, c := range map[string]JWTConfig{
		"Issuer":        {Audiences: []string{"a"}, JWKSFile: file},
		"Audiences":     {Issuer: "i", JWKSFile: file},
		"JWKSURL":       {Issuer: "i", Audiences: []string{"a"}},
		"JWKSFile":      {Issuer: "i", Audiences: []string{"a"}, JWKSFile: file + "x"},
		"Algorithms[0]": {Issuer: "i", Audiences: []string{"a"}, JWKSFile: file, Algorithms: []string{"HS256"}},
		"ClockSkew":     {Issuer: "i", Audiences: []string{"a"}, JWKSFile: file, ClockSkew: time.Hour},
		"Refresh":       {Issuer: "i", Audiences: []string{"a"}, JWKSFile: file, Refresh: 1},
		"CoolDown":      {Issuer: "i", Audiences: []string{"a"}, JWKSFile: file, CoolDown: 1},
		"MaxStale":      {Issuer: "i", Audiences: []string{"a"}, JWKSFile: file, MaxStale: 1},
		"MaxTokenBytes": {Issuer: "i", Audiences: []string{"a"}, JWKSFile: file, MaxTokenBytes: 1 << 20},
		"CacheSize":     {Issuer: "i", Audiences: []string{"a"}, JWKSFile: file, CacheSize: 1 << 30},
	} {
		if _, err := NewJWT(c); err == nil || !strings.Contains(err.Error(), "JWTConfig."+field+":") {
			t.Errorf("%s: %v", field, err)
		}
	}
	for _, url := range []string{"http://id.test/jwks", "http://10.0.0.1/", "ftp://x/y", "jwks.json", "https://", "https://user:pw@host/", "http://localhost.evil.test/", "http://127.0.0.1.evil.test/", "://"} {
		if _, err := NewJWT(JWTConfig{Issuer: "i", Audiences: []string{"a"}, JWKSURL: url}); err == nil {
			t.Errorf("%s is accepted", url)
		}
	}
	for _, url := range []string{"https://id.test/jwks", "http://127.0.0.1:8080/", "http://[::1]/", "http://localhost/"} {
		j, err := NewJWT(JWTConfig{Issuer: "i", Audiences: []string{"a"}, JWKSURL: url})
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		_ = j.Close()
	}
}

func TestKeysThatMustNotVerifyAreLeftOut(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := jwk(signers()["ES256"].Public(), "good")
	short := jwk(signers()["RS256"].Public(), "short")
	short["n"] = b64(bytes.Repeat([]byte{0xc1}, 128))
	huge := jwk(signers()["RS256"].Public(), "huge")
	huge["n"] = b64(bytes.Repeat([]byte{0xc1}, 4096))
	off := jwk(signers()["ES256"].Public(), "off")
	off["y"] = off["x"]
	for name, key := range map[string]map[string]any{
		"symmetric":        {"kty": "oct", "kid": "a", "k": b64([]byte("secret secret secret secret secr"))},
		"for encryption":   jwk(signers()["RS256"].Public(), "a", "use", "enc"),
		"wrong curve":      jwk(&ec.PublicKey, "a"),
		"wrong alg":        jwk(signers()["RS256"].Public(), "a", "alg", "RS512"),
		"alg of another":   jwk(signers()["RS256"].Public(), "a", "alg", "ES256"),
		"symmetric alg":    jwk(signers()["RS256"].Public(), "a", "alg", "HS256"),
		"short":            short,
		"huge":             huge,
		"not on the curve": off,
		"unknown type":     {"kty": "XYZ", "kid": "a"},
		"for signing only": func() map[string]any {
			k := jwk(signers()["ES256"].Public(), "a")
			k["key_ops"] = []string{"sign"}
			return k
		}(),
		"nothing": {},
	} {
		if set, err := parseKeySet(jwks(key), allAlgorithms, time.Now()); err == nil {
			t.Errorf("%s: accepted as %v", name, set.keys)
		}
		set, err := parseKeySet(jwks(key, good), allAlgorithms, time.Now())
		if err != nil || len(set.keys) != 1 {
			t.Errorf("%s: takes the good one away: %v", name, err)
		}
	}
	for _, junk := range []string{"", "null", "[]", "{}", `{"keys":5}`, `{"keys":[5]}`, `{"keys":[]}`, "<html>"} {
		if _, err := parseKeySet([]byte(junk), allAlgorithms, time.Now()); err == nil {
			t.Errorf("%s is accepted", junk)
		}
	}
	if _, err := parseKeySet(jwks(good, good), allAlgorithms, time.Now()); err == nil {
		t.Error("two keys of the same name are accepted")
	}
}

func TestATokenWithoutKidHoldsIfThereIsOneKey(t *testing.T) {
	j := newJWT(t, func(c *JWTConfig) {
		c.JWKSFile = writeFile(t, jwks(jwk(signers()["EdDSA"].Public(), "only")))
	})
	if _, err := j.Verify(t.Context(), sign(t, "EdDSA", claimsNow(), "kid", nil)); err != nil {
		t.Error(err)
	}
	if _, err := j.Verify(t.Context(), sign(t, "ES256", claimsNow(), "kid", nil)); err == nil {
		t.Error("a token of another algorithm holds")
	}
}

func TestBearerIsReadAsInRFC6750(t *testing.T) {
	for header, want := range map[string]string{
		"Bearer abc": "abc", "bearer abc": "abc", "BEARER   abc ": "abc", "Bearer": "", "Bearer ": "", "Bearer a b": "a b",
	} {
		if token, ok := bearerToken(header); !ok || token != want {
			t.Errorf("%q: %q %v", header, token, ok)
		}
	}
	for _, header := range []string{"", "Bear abc", "Bearerabc", "Basic abc", "Bearer\tabc", " Bearer abc"} {
		if token, ok := bearerToken(header); ok {
			t.Errorf("%q is a bearer token %q", header, token)
		}
	}
}

func FuzzToken(f *testing.F) {
	for _, token := range badTokens(f) {
		if len(token) < 2000 {
			f.Add(token)
		}
	}
	j := newJWT(f, func(c *JWTConfig) { c.CoolDown = time.Hour; c.Refresh = 2 * time.Hour })
	f.Fuzz(func(t *testing.T, token string) {
		p, err := j.Verify(t.Context(), token)
		if p != nil || err == nil {
			t.Errorf("%q holds", token)
		}
		var known *Error
		if !errors.As(err, &known) {
			t.Errorf("error %T", err)
		}
		_, _ = bearerToken(token)
	})
}

func FuzzKeySet(f *testing.F) {
	f.Add(allKeys())
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"AQ","e":"AQAB"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"","y":""}]}`))
	f.Add([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AA"}]}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		set, err := parseKeySet(content, allAlgorithms, time.Now())
		if err != nil {
			return
		}
		for id, key := range set.keys {
			if alg, err := algorithmOf(key.public); err != nil || alg != id.alg {
				t.Errorf("%v: %v %v", id, alg, err)
			}
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	for alg := range signers() {
		for _, cached := range []int{-1, 0} {
			name := fmt.Sprintf("%s/cached=%v", alg, cached == 0)
			b.Run(name, func(b *testing.B) {
				j := newJWT(b, func(c *JWTConfig) { c.CacheSize = cached })
				token := sign(b, alg, claimsNow())
				b.ReportAllocs()
				for b.Loop() {
					if _, err := j.Verify(b.Context(), token); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
