package keys

import (
	"context"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/gateway/auth"
)

func TestTheGatewayAcceptsTheToken(t *testing.T) {
	k := newKeys(t)
	principal := authenticate(t, k, func(k *Keys) string { return token(t, k, time.Now()) })
	if principal == nil {
		t.Fatal("the token is not accepted")
	}
	if principal.Subject != Subject || !principal.HasScopes(Scopes()) {
		t.Errorf("got %+v", principal)
	}
}

func TestTokensOfAnotherMeshAreRefused(t *testing.T) {
	other := newKeys(t)
	if p := authenticate(t, newKeys(t), func(*Keys) string { return token(t, other, time.Now()) }); p != nil {
		t.Errorf("got %+v", p)
	}
}

func TestATokenIsRenewedAtHalfItsLife(t *testing.T) {
	k := newKeys(t)
	now := time.Now()
	first := token(t, k, now)
	if token(t, k, now.Add(Lifetime/2-time.Second)) != first {
		t.Error("renewed too early")
	}
	if token(t, k, now.Add(Lifetime/2)) == first {
		t.Error("not renewed")
	}
}

func TestTheAPIKeyHasTheHashThatIsTold(t *testing.T) {
	k := newKeys(t)
	if auth.HashAPIKey(k.APIKey()) != k.APIKeySHA256() {
		t.Error("they do not belong together")
	}
}

func newKeys(t *testing.T) *Keys {
	t.Helper()
	k, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func token(t *testing.T, k *Keys, now time.Time) string {
	t.Helper()
	s, err := k.Token(now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// authenticate shows a token to a gateway's authenticator that knows k's JWK set
// and returns nil if it is refused.
func authenticate(t *testing.T, k *Keys, token func(*Keys) string) *auth.Principal {
	t.Helper()
	file := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(file, k.JWKS(), 0o600); err != nil {
		t.Fatal(err)
	}
	tokens, err := auth.NewJWT(auth.JWTConfig{Issuer: Issuer, Audiences: []string{Audience}, JWKSFile: file})
	if err != nil {
		t.Fatal(err)
	}
	defer tokens.Close()
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer "+token(k))
	principal, err := tokens.Authenticate(context.Background(), r)
	if err != nil {
		return nil
	}
	return principal
}
