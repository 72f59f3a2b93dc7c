package auth

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
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
	hangs   string // the URL that it does not answer
}

func (p *provider) RoundTrip(r *http.Request) (*http.Response, error) {
	p.fetches = append(p.fetches, r.URL.String())
	if r.URL.String() == p.hangs {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
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

// TestKeysServeOnWhileTheirProviderIsAway loses the provider, or its mind: what
// it answers is no reason to forget the keys at hand, until they are too old.
func TestKeysServeOnWhileTheirProviderIsAway(t *testing.T) {
	const keys = "https://keys.test/a"
	for name, lose := range map[string]func(p *provider){
		"gone":            func(p *provider) { p.pages = nil },
		"hanging":         func(p *provider) { p.hangs = oidcURL },
		"its keys gone":   func(p *provider) { delete(p.pages, keys) },
		"its keys hang":   func(p *provider) { p.hangs = keys },
		"another's":       func(p *provider) { p.pages[oidcURL] = metadataOf("https://evil.test", keys) },
		"keys of no use":  func(p *provider) { p.pages[keys] = `{"keys":[]}` },
		"too large a set": func(p *provider) { p.pages[keys] = strings.Repeat(" ", maxJWKSBytes+1) },
	} {
		t.Run(name, func(t *testing.T) {
			good := map[string]string{oidcURL: metadataOf(testIssuer, keys), keys: string(ecKeys("k1"))}
			p := &provider{pages: maps.Clone(good)}
			withProvider(t, p, func(t *testing.T, j *JWT) {
				if err := holds(t, j, "k1"); err != nil {
					t.Fatal(err)
				}
				lose(p)
				start := time.Now()
				for time.Since(start) < 99*time.Hour {
					time.Sleep(30 * time.Minute)
					if err := holds(t, j, "k1"); err != nil {
						t.Fatalf("after %v: %v", time.Since(start), err)
					}
				}
				time.Sleep(2 * time.Hour)
				var known *Error
				if err := holds(t, j, "k1"); !errors.As(err, &known) || known.Code != CodeUnavailable {
					t.Errorf("after %v: %v, want that tokens cannot be judged", time.Since(start), err)
				}
				if j.Ready(t.Context()) == nil {
					t.Error("it is ready")
				}
				p.pages, p.hangs = good, ""
				time.Sleep(21 * time.Second) // an attempt that hangs, and the pause behind it
				if err := holds(t, j, "k1"); err != nil {
					t.Errorf("when the provider is back: %v", err)
				}
			})
		})
	}
}

// TestAFloodOfUnknownKeysAsksAProviderOncePerCoolDown counts both of its pages.
func TestAFloodOfUnknownKeysAsksAProviderOncePerCoolDown(t *testing.T) {
	for name, there := range map[string]bool{"a provider that answers": true, "one without its keys": false} {
		t.Run(name, func(t *testing.T) {
			p := &provider{pages: map[string]string{oidcURL: metadataOf(testIssuer, "https://keys.test/a"), "https://keys.test/a": string(ecKeys("k1"))}}
			withProvider(t, p, func(t *testing.T, j *JWT) {
				if err := holds(t, j, "k1"); err != nil {
					t.Fatal(err)
				}
				if !there {
					delete(p.pages, "https://keys.test/a")
				}
				before := len(p.fetches)
				for range 100 {
					for range 20 {
						if holds(t, j, "unknown") == nil {
							t.Fatal("an unknown key holds")
						}
					}
					if err := holds(t, j, "k1"); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Second)
				}
				// Ten pauses; the provider is asked where the keys are, too, once
				// they could not be read there.
				if n, most := len(p.fetches)-before, map[bool]int{true: 10, false: 20}[there]; n > most {
					t.Errorf("%d requests for 2,000 tokens in 100 s, want at most %d", n, most)
				}
			})
		})
	}
}

func TestAProviderIsAskedBelowItsIssuer(t *testing.T) {
	for issuer, at := range map[string]string{
		"https://id.test":           "https://id.test/.well-known/openid-configuration",
		"https://id.test/":          "https://id.test/.well-known/openid-configuration",
		"https://id.test/tenant/v2": "https://id.test/tenant/v2/.well-known/openid-configuration",
	} {
		p := &provider{pages: map[string]string{at: metadataOf(issuer, "https://keys.test/a"), "https://keys.test/a": string(ecKeys("k1"))}}
		j, err := NewOIDC(JWTConfig{Issuer: issuer, Audiences: []string{testAudience}, Client: &http.Client{Transport: p}, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		token := sign(t, "ES256", claimsNow("iss", issuer), "kid", "k1")
		if _, err := j.Verify(t.Context(), token); err != nil || p.fetches[0] != at {
			t.Errorf("%s: %v, asked %v", issuer, err, p.fetches)
		}
		_ = j.Close()
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
