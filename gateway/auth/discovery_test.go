package auth

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// provider is an OpenID provider, without a network.
type provider struct {
	pages   map[string]string // by URL
	fetches []string
}

func (p *provider) RoundTrip(r *http.Request) (*http.Response, error) {
	p.fetches = append(p.fetches, r.URL.String())
	page, ok := p.pages[r.URL.String()]
	if !ok {
		return nil, errors.New("there is nothing")
	}
	return &http.Response{StatusCode: 200, Status: "200 OK", Body: io.NopCloser(bytes.NewReader([]byte(page))), Header: http.Header{}}, nil
}

const oidcURL = testIssuer + "/.well-known/openid-configuration"

func metadataOf(issuer, keys string) string {
	return fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q,"id_token_signing_alg_values_supported":["HS256"]}`, issuer, keys)
}

func withProvider(t *testing.T, p *provider, f func(t *testing.T, j *JWT)) {
	t.Helper()
	signers()
	synctest.Test(t, func(t *testing.T) {
		j, err := NewOIDC(JWTConfig{
			Issuer: testIssuer, Audiences: []string{testAudience}, MaxStale: 100 * time.Hour,
			Client: &http.Client{Transport: p}, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		f(t, j)
	})
}

func holds(t *testing.T, j *JWT, kid string) error {
	t.Helper()
	_, err := j.Verify(t.Context(), sign(t, "ES256", claimsNow("exp", time.Now().Add(200*time.Hour).Unix()), "kid", kid))
	return err
}

func TestAProviderSaysWhereItsKeysAre(t *testing.T) {
	p := &provider{pages: map[string]string{
		oidcURL:                     metadataOf(testIssuer, "https://keys.test/a"),
		"https://keys.test/a":       string(ecKeys("k1")),
		"https://keys.test/b":       string(ecKeys("k2")),
		"https://keys.test/private": "{}",
	}}
	withProvider(t, p, func(t *testing.T, j *JWT) {
		if len(p.fetches) != 0 {
			t.Error("it was asked before it was needed")
		}
		for range 10 {
			if err := holds(t, j, "k1"); err != nil {
				t.Fatal(err)
			}
		}
		if len(p.fetches) != 2 {
			t.Errorf("%v", p.fetches)
		}
		// The keys move, and the old place is gone.
		delete(p.pages, "https://keys.test/a")
		p.pages[oidcURL] = metadataOf(testIssuer, "https://keys.test/b")
		for range 3 {
			time.Sleep(11 * time.Minute)
			_ = holds(t, j, "k2")
			synctest.Wait()
		}
		if err := holds(t, j, "k2"); err != nil {
			t.Error(err)
		}
		// Or it stays, and another is told: that is found out within the hour.
		p.pages["https://keys.test/a"] = string(ecKeys("k3"))
		p.pages[oidcURL] = metadataOf(testIssuer, "https://keys.test/a")
		for range 8 {
			time.Sleep(11 * time.Minute)
			_ = holds(t, j, "k3")
			synctest.Wait()
		}
		if err := holds(t, j, "k3"); err != nil {
			t.Error(err)
		}
	})
}

func TestAProviderThatSpeaksForAnotherIsNotBelieved(t *testing.T) {
	for name, page := range map[string]string{
		"another issuer":       metadataOf("https://evil.test", "https://keys.test/a"),
		"a slash more":         metadataOf(testIssuer+"/", "https://keys.test/a"),
		"no issuer":            `{"jwks_uri":"https://keys.test/a"}`,
		"another spelling":     fmt.Sprintf(`{"ISSUER":%q,"jwks_uri":"https://keys.test/a"}`, testIssuer),
		"no keys":              fmt.Sprintf(`{"issuer":%q}`, testIssuer),
		"keys in the open":     metadataOf(testIssuer, "http://keys.test/a"),
		"keys in a file":       metadataOf(testIssuer, "file:///etc/passwd"),
		"keys with a password": metadataOf(testIssuer, "https://u:p@keys.test/a"),
		"no object":            `[]`,
		"too large":            `{"issuer":"` + strings.Repeat("x", maxJWKSBytes) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			p := &provider{pages: map[string]string{oidcURL: page, "https://keys.test/a": string(ecKeys("k1")), "http://keys.test/a": string(ecKeys("k1"))}}
			withProvider(t, p, func(t *testing.T, j *JWT) {
				var known *Error
				if err := holds(t, j, "k1"); !errors.As(err, &known) || known.Code != CodeUnavailable {
					t.Errorf("%v", err)
				}
				if len(p.fetches) != 1 {
					t.Errorf("%v", p.fetches)
				}
			})
		})
	}
}

func TestAProviderIsRefusedThatCannotBeOne(t *testing.T) {
	for want, config := range map[string]JWTConfig{
		"JWKSURL: must be empty":        {Issuer: testIssuer, Audiences: []string{"a"}, JWKSURL: "https://x.test"},
		"JWKSURL: must be empty, and":   {Issuer: testIssuer, Audiences: []string{"a"}, JWKSFile: "x"},
		"Issuer: \"\" must be":          {Audiences: []string{"a"}},
		"Issuer: \"id\" must be":        {Issuer: "id", Audiences: []string{"a"}},
		"Issuer: \"http://id.test\" mu": {Issuer: "http://id.test", Audiences: []string{"a"}},
		"Issuer: \"https://id.test?x\"": {Issuer: "https://id.test?x", Audiences: []string{"a"}},
		"Audiences: must name":          {Issuer: testIssuer},
	} {
		if _, err := NewOIDC(config); err == nil || !strings.HasPrefix(err.Error(), "auth: JWTConfig."+want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func FuzzMetadata(f *testing.F) {
	f.Add([]byte(metadataOf(testIssuer, "https://keys.test/a")))
	f.Add([]byte(`{"issuer":"https://id.test","jwks_uri":"//x"}`))
	f.Add([]byte(`{"issuer":null,"jwks_uri":["https://x"]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		where, err := parseMetadata(raw, testIssuer, false)
		if err == nil && (checkJWKSURL(where, false) != nil || !bytes.Contains(raw, []byte("issuer")) && !bytes.Contains(raw, []byte(`\u`))) {
			t.Errorf("%q: %q", raw, where)
		}
	})
}
