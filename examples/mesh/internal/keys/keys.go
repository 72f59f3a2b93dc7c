// Package keys makes what callers of a mesh's REST API prove themselves with: a
// bearer token, signed by a key that is made when the mesh starts, and an API
// key.
//
//	k, err := keys.New()
//	token, err := k.Token(time.Now())
//	os.WriteFile(file, k.JWKS(), 0o600) // for those who verify tokens
//
// Tokens are JWTs (RFC 7519) signed with Ed25519 (RFC 8037), with the scopes of
// RFC 8693, section 4.2. The private key never leaves the process.
package keys

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/evenkeel/evenkeel/gateway/auth"
)

const (
	// Issuer is who issues the tokens of every mesh.
	Issuer = "https://evenkeel.mesh"
	// Audience is whom they are for.
	Audience = "https://api.evenkeel.mesh"
	// Subject is who holds the ready-made credentials.
	Subject = "demo"
	// Lifetime is how long a token holds. The mesh makes a new one when half of
	// it is over.
	Lifetime = 24 * time.Hour
)

// Scopes are what the ready-made credentials allow: everything.
func Scopes() []string {
	return []string{
		"movies.read", "movies.write",
		"people.read", "people.write",
		"productions.read", "productions.write",
	}
}

// Keys are the credentials of one mesh. Their methods may be called concurrently.
type Keys struct {
	private ed25519.PrivateKey
	id      string // of the key pair
	api     string
	apiHash string

	mu     sync.Mutex
	token  string
	issued time.Time
}

// New makes a key pair and an API key.
func New() (*Keys, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	k := &Keys{private: private, id: base64.RawURLEncoding.EncodeToString(public[:8])}
	k.api, k.apiHash = auth.GenerateAPIKey()
	return k, nil
}

// APIKey is the key, for its holder.
func (k *Keys) APIKey() string { return k.api }

// APIKeySHA256 is its hash, for those who check it.
func (k *Keys) APIKeySHA256() string { return k.apiHash }

// JWKS is the public key as a JWK set (RFC 7517).
func (k *Keys) JWKS() []byte {
	type jwk struct {
		KeyType   string `json:"kty"`
		Curve     string `json:"crv"`
		X         string `json:"x"`
		ID        string `json:"kid"`
		Algorithm string `json:"alg"`
		Use       string `json:"use"`
	}
	x := base64.RawURLEncoding.EncodeToString(k.private.Public().(ed25519.PublicKey))
	set, err := json.Marshal(map[string][]jwk{"keys": {{"OKP", "Ed25519", x, k.id, "EdDSA", "sig"}}})
	if err != nil {
		panic(err) // strings always marshal
	}
	return set
}

// Token returns a token that holds for at least half of Lifetime from now.
func (k *Keys) Token(now time.Time) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.token != "" && now.Sub(k.issued) < Lifetime/2 {
		return k.token, nil
	}
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{
		"iss":   Issuer,
		"aud":   Audience,
		"sub":   Subject,
		"scope": strings.Join(Scopes(), " "),
		"iat":   now.Unix(),
		"exp":   now.Add(Lifetime).Unix(),
	})
	token.Header["kid"] = k.id
	signed, err := token.SignedString(k.private)
	if err != nil {
		return "", fmt.Errorf("keys: sign a token: %w", err)
	}
	k.token, k.issued = signed, now
	return signed, nil
}
