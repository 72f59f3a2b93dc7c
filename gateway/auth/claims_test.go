package auth

import (
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func TestScopesAreReadInEveryForm(t *testing.T) {
	j := newJWT(t, nil)
	for name, c := range map[string]jwt.MapClaims{
		"scope, string": claimsNow("scope", " a  b "),
		"scope, array":  claimsNow("scope", []string{"a", "b"}),
		"scp, array":    claimsNow("scope", nil, "scp", []string{"b", "a"}),
		"both":          claimsNow("scope", "a", "scp", []string{"b", "a"}),
	} {
		p, err := j.Verify(t.Context(), sign(t, "ES256", c))
		if err != nil || strings.Join(p.Scopes, ",") != "a,b" {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	if p, err := j.Verify(t.Context(), sign(t, "ES256", claimsNow("scope", nil))); err != nil || len(p.Scopes) != 0 {
		t.Errorf("none: %+v, %v", p, err)
	}
}

func TestOtherClaimsCountAsScopesIfTheyAreNamed(t *testing.T) {
	j := newJWT(t, func(c *JWTConfig) {
		c.ScopeClaims = []string{"permissions", "realm_access.roles", "https://app.test/roles"}
	})
	for name, c := range map[string]struct {
		claims jwt.MapClaims
		scopes string
	}{
		"none of them":           {claimsNow(), "a,b"},
		"a list":                 {claimsNow("permissions", []string{"c", "b"}), "a,b,c"},
		"a string":               {claimsNow("scope", nil, "permissions", "d c"), "c,d"},
		"within another":         {claimsNow("realm_access", map[string]any{"roles": []string{"e"}, "else": []string{"x"}}), "a,b,e"},
		"with dots in its name":  {claimsNow("https://app.test/roles", []string{"f"}), "a,b,f"},
		"the whole name first":   {claimsNow("realm_access.roles", "g", "realm_access", map[string]any{"roles": "x"}), "a,b,g"},
		"within what holds none": {claimsNow("realm_access", "roles"), "a,b"},
		"those that are not":     {claimsNow("roles", []string{"x"}, "Permissions", []string{"x"}, "groups", []string{"x"}), "a,b"},
	} {
		p, err := j.Verify(t.Context(), sign(t, "ES256", c.claims))
		if err != nil || strings.Join(p.Scopes, ",") != c.scopes {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	for _, value := range []any{5, true, []int{1}, map[string]any{"a": "b"}} {
		if p, err := j.Verify(t.Context(), sign(t, "ES256", claimsNow("permissions", value))); err == nil {
			t.Errorf("%v was taken: %+v", value, p)
		}
	}
	for _, name := range []string{"", "sub", "iss"} {
		_, err := NewJWT(JWTConfig{Issuer: "i", Audiences: []string{"a"}, JWKSFile: writeFile(t, allKeys()), ScopeClaims: []string{"roles", name}})
		if err == nil || !strings.Contains(err.Error(), "JWTConfig.ScopeClaims[1]") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestClaimsAreTakenByExactlyTheirNames: what an issuer lets its users put into
// a token under other names says nothing.
func TestClaimsAreTakenByExactlyTheirNames(t *testing.T) {
	j := newJWT(t, nil)
	p, err := j.Verify(t.Context(), sign(t, "ES256", claimsNow(
		"Sub", "root", "SUB", "root", "\u017fub", "root",
		"Scope", "admin", "\u017fcope", "admin", "zz_scope", "admin", "SCP", []string{"admin"},
		"ISS", "https://evil.test", "EXP", 1, "Nbf", 1e12, "Aud", "x",
	)))
	if err != nil || p.Subject != "ann" || strings.Join(p.Scopes, ",") != "a,b" {
		t.Errorf("%+v, %v", p, err)
	}
	// A fraction of a second and one of several audiences are as in RFC 7519.
	p, err = j.Verify(t.Context(), sign(t, "ES256", claimsNow(
		"exp", float64(time.Now().Add(time.Hour).Unix())+0.5, "aud", []string{"x", testAudience})))
	if err != nil || p.Subject != "ann" {
		t.Errorf("%+v, %v", p, err)
	}
}
