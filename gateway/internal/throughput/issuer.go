package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// issuer issues tokens of the kind that an identity provider does.
type issuer struct {
	name, audience string
	file           string // with its key
	key            *ecdsa.PrivateKey
}

func newIssuer(folder string) (*issuer, error) {
	i := &issuer{name: "https://id.example.com", audience: "https://api.example.com", file: filepath.Join(folder, "jwks.json")}
	var err error
	if i.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	point, err := i.key.PublicKey.Bytes()
	if err != nil {
		return nil, err
	}
	coding := base64.RawURLEncoding
	set, err := json.Marshal(map[string]any{"keys": []any{map[string]any{
		"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "k1",
		"x": coding.EncodeToString(point[1:33]), "y": coding.EncodeToString(point[33:]),
	}}})
	if err != nil {
		return nil, err
	}
	return i, os.WriteFile(i.file, set, 0o600)
}

// token returns one for a caller that may do all that is measured.
func (i *issuer) token(subject string) (string, error) {
	now := time.Now()
	t := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"iss": i.name, "aud": i.audience, "sub": subject, "iat": now.Unix(), "exp": now.Add(24 * time.Hour).Unix(),
		"scope": "movies.read movies.write", "client_id": "throughput",
	})
	t.Header["kid"] = "k1"
	return t.SignedString(i.key)
}
