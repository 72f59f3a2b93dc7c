package auth

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func request(headers ...string) *http.Request {
	r := &http.Request{Header: http.Header{}}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

func TestAGeneratedKeyHoldsAndNoOtherDoes(t *testing.T) {
	key, hash := GenerateAPIKey()
	if len(strings.TrimPrefix(key, "ek_")) < 43 {
		t.Errorf("key %q has less than 256 bits", key)
	}
	if other, _ := GenerateAPIKey(); other == key {
		t.Error("two keys are the same")
	}
	keys, err := NewAPIKeys(APIKeysConfig{Keys: []APIKey{{SHA256: strings.ToUpper(hash), Subject: "robot", Scopes: []string{"b", "a", "b"}}}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := keys.Authenticate(t.Context(), request("X-API-Key", key))
	if err != nil || p.Subject != "robot" || p.Method != MethodAPIKey || strings.Join(p.Scopes, ",") != "a,b" {
		t.Fatalf("%+v, %v", p, err)
	}
	if p, err := keys.Authenticate(t.Context(), request()); p != nil || err != nil {
		t.Errorf("without a key: %v, %v", p, err)
	}
	for _, bad := range []string{"", "x", key + "x", key[1:], hash, strings.ToUpper(key), " " + key, strings.Repeat("x", 100_000)} {
		if p, err := keys.Authenticate(t.Context(), request("X-API-Key", bad)); err == nil || p != nil {
			t.Errorf("%.50q: %v, %v", bad, p, err)
		}
	}
	if _, err := keys.Authenticate(t.Context(), request("X-API-Key", key, "X-API-Key", key)); !errors.Is(err, ErrAmbiguous) {
		t.Errorf("two keys: %v", err)
	}
}

func TestKeysCanBeReplacedAndExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, oldHash := GenerateAPIKey()
		fresh, freshHash := GenerateAPIKey()
		keys, err := NewAPIKeys(APIKeysConfig{Keys: []APIKey{{SHA256: oldHash, Subject: "old", NotAfter: time.Now().Add(time.Hour)}}})
		if err != nil {
			t.Fatal(err)
		}
		holds := func(key string) bool {
			p, err := keys.Authenticate(t.Context(), request("X-API-Key", key))
			return p != nil && err == nil
		}
		time.Sleep(time.Hour - time.Second)
		if !holds(old) {
			t.Error("the key does not hold before it expires")
		}
		time.Sleep(time.Second)
		if holds(old) {
			t.Error("the key holds after it expired")
		}
		if err := keys.Replace([]APIKey{{SHA256: freshHash, Subject: "fresh"}, {SHA256: "nonsense", Subject: "x"}}); err == nil {
			t.Error("nonsense is accepted")
		}
		if holds(fresh) {
			t.Error("a replacement that failed changed something")
		}
		if err := keys.Replace([]APIKey{{SHA256: freshHash, Subject: "fresh"}}); err != nil {
			t.Fatal(err)
		}
		if !holds(fresh) || holds(old) {
			t.Error("the keys were not replaced")
		}
	})
}

func TestBadKeysAreRefusedWithTheFieldsPath(t *testing.T) {
	_, hash := GenerateAPIKey()
	for field, keys := range map[string][]APIKey{
		"Keys[0].SHA256":  {{SHA256: "abc", Subject: "x"}},
		"Keys[0].Subject": {{SHA256: hash}},
		"Keys[1].SHA256":  {{SHA256: hash, Subject: "x"}, {SHA256: hash, Subject: "y"}},
	} {
		if _, err := NewAPIKeys(APIKeysConfig{Keys: keys}); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// fixed answers always the same.
type fixed struct {
	p   *Principal
	err error
}

func (f fixed) Authenticate(context.Context, *http.Request) (*Principal, error) { return f.p, f.err }
func (fixed) Challenge() string                                                 { return "Fixed" }

func TestAuthenticatorsAreAskedInTurn(t *testing.T) {
	ann, bob := &Principal{Subject: "ann"}, &Principal{Subject: "bob"}
	pass, stop := &Error{Description: "pass", Pass: true}, &Error{Description: "stop"}
	for name, c := range map[string]struct {
		chain []Authenticator
		want  *Principal
		err   error
	}{
		"none":                      {nil, nil, nil},
		"the first that knows":      {[]Authenticator{fixed{}, fixed{p: ann}, fixed{p: bob}}, ann, nil},
		"an error ends it":          {[]Authenticator{fixed{err: stop}, fixed{p: bob}}, nil, stop},
		"one that passes does not":  {[]Authenticator{fixed{err: pass}, fixed{p: bob}}, bob, nil},
		"unless nobody knows":       {[]Authenticator{fixed{err: pass}, fixed{}}, nil, pass},
		"and a later error goes on": {[]Authenticator{fixed{err: pass}, fixed{err: stop}}, nil, stop},
	} {
		p, err := Authenticate(t.Context(), request(), c.chain)
		if p != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: %v, %v", name, p, err)
		}
	}
	if _, err := Authenticate(t.Context(), request("Authorization", "x", "X-API-Key", "y"), []Authenticator{fixed{p: ann}}); !errors.Is(err, ErrAmbiguous) {
		t.Errorf("two credentials: %v", err)
	}
}

func TestAPrincipalHoldsScopesOnlyInFull(t *testing.T) {
	p := &Principal{Scopes: []string{"a", "b"}}
	for want, scopes := range map[bool][][]string{
		true:  {nil, {"a"}, {"b", "a"}},
		false: {{"c"}, {"a", "c"}, {"ab"}, {""}},
	} {
		for _, s := range scopes {
			if p.HasScopes(s) != want {
				t.Errorf("%v: not %v", s, want)
			}
		}
	}
}

func FuzzAPIKeyHeader(f *testing.F) {
	key, hash := GenerateAPIKey()
	keys, err := NewAPIKeys(APIKeysConfig{Keys: []APIKey{{SHA256: hash, Subject: "robot"}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("ek_")
	f.Add(key[:20])
	f.Add("")
	f.Fuzz(func(t *testing.T, header string) {
		p, err := keys.Authenticate(t.Context(), &http.Request{Header: http.Header{APIKeyHeader: {header}}})
		if (p != nil) != (header == key) || (err == nil) != (header == key) {
			t.Errorf("%q: %v, %v", header, p, err)
		}
	})
}
