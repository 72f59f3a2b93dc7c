package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/MicahParks/jwkset"
)

// The algorithms that a token may be signed with. There is deliberately no
// symmetric one and no `none`.
const (
	algES256 = "ES256"
	algRS256 = "RS256"
	algEdDSA = "EdDSA"
)

var allAlgorithms = []string{algES256, algRS256, algEdDSA}

const (
	maxJWKSBytes = 1 << 20
	minRSABits   = 2048
	maxRSABits   = 8192 // more only costs the verifier
)

// keyID names a key together with the one algorithm that it is good for, so
// that no other can be used with it.
type keyID struct{ kid, alg string }

type verificationKey struct {
	public crypto.PublicKey
	// fingerprint tells whether a key read later is the same one.
	fingerprint [sha256.Size]byte
}

// keySet is what a JWK set held that can verify a token.
type keySet struct {
	keys     map[keyID]verificationKey
	loadedAt time.Time
}

// parseKeySet reads a JWK set (RFC 7517). Keys that are of no use here, such as
// those for encryption and of other types, are left out; a set without any
// that is of use is an error.
func parseKeySet(raw []byte, algorithms []string, now time.Time) (*keySet, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(raw, &set); err != nil {
		return nil, errors.New("it is not a JWK set: it must be a JSON object with an array `keys`")
	}
	parsed := &keySet{keys: make(map[keyID]verificationKey, len(set.Keys)), loadedAt: now}
	var firstErr error
	for i, rawKey := range set.Keys {
		id, key, err := parseKey(rawKey)
		switch {
		case err != nil:
			if firstErr == nil {
				firstErr = fmt.Errorf("keys[%d]: %w", i, err)
			}
			continue
		case !slices.Contains(algorithms, id.alg):
			continue
		}
		if _, twice := parsed.keys[id]; twice {
			return nil, fmt.Errorf("keys[%d]: there are two keys %q for %s", i, id.kid, id.alg)
		}
		parsed.keys[id] = key
	}
	if len(parsed.keys) == 0 {
		if firstErr != nil {
			return nil, fmt.Errorf("it holds no key that can verify a signature: %w", firstErr)
		}
		return nil, fmt.Errorf("it holds no key that can verify a signature by %v", algorithms)
	}
	return parsed, nil
}

func parseKey(raw []byte) (keyID, verificationKey, error) {
	var m jwkset.JWKMarshal
	if err := json.Unmarshal(raw, &m); err != nil {
		return keyID{}, verificationKey{}, errors.New("it is not a JWK")
	}
	if m.USE != "" && m.USE != jwkset.UseSig {
		return keyID{}, verificationKey{}, fmt.Errorf("its use is %q, not sig", m.USE)
	}
	if len(m.KEYOPS) > 0 && !slices.Contains(m.KEYOPS, jwkset.KeyOpsVerify) {
		return keyID{}, verificationKey{}, errors.New("its key_ops have no verify")
	}
	// Certificates would not be checked, only cost time; the key itself is what
	// the issuer vouches for by publishing it.
	m.X5U, m.X5C, m.X5T, m.X5TS256 = "", nil, "", ""
	// Private parts and symmetric keys are not even read.
	jwk, err := jwkset.NewJWKFromMarshal(m, jwkset.JWKMarshalOptions{Private: false}, jwkset.JWKValidateOptions{SkipAll: true})
	if err != nil {
		return keyID{}, verificationKey{}, fmt.Errorf("its type %q cannot be used: %w", m.KTY, err)
	}
	alg, err := algorithmOf(jwk.Key())
	if err != nil {
		return keyID{}, verificationKey{}, err
	}
	if m.ALG != "" && m.ALG.String() != alg {
		return keyID{}, verificationKey{}, fmt.Errorf("its alg is %q, but such a key is used with %s here", m.ALG, alg)
	}
	encoded, err := x509.MarshalPKIXPublicKey(jwk.Key())
	if err != nil {
		return keyID{}, verificationKey{}, err
	}
	return keyID{kid: m.KID, alg: alg}, verificationKey{public: jwk.Key(), fingerprint: sha256.Sum256(encoded)}, nil
}

// algorithmOf returns the one algorithm that a key is used with.
func algorithmOf(key any) (string, error) {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return "", fmt.Errorf("its curve is %s; ES256 needs P-256", k.Curve.Params().Name)
		}
		// Refuses a point that is not on the curve.
		if _, err := k.ECDH(); err != nil {
			return "", err
		}
		return algES256, nil
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return "", fmt.Errorf("it has %d bits; %d to %d are accepted", bits, minRSABits, maxRSABits)
		}
		if k.E < 3 || k.E%2 == 0 {
			return "", fmt.Errorf("its exponent is %d", k.E)
		}
		return algRS256, nil
	case ed25519.PublicKey:
		if len(k) != ed25519.PublicKeySize {
			return "", fmt.Errorf("it has %d bytes; Ed25519 has %d", len(k), ed25519.PublicKeySize)
		}
		return algEdDSA, nil
	default:
		return "", fmt.Errorf("keys of type %T are not used", key)
	}
}

// find returns the key for a token. A token without a kid is only matched if
// there is but one key that it can mean.
func (s *keySet) find(id keyID) (keyID, verificationKey, bool) {
	if key, ok := s.keys[id]; ok {
		return id, key, true
	}
	if id.kid != "" || len(s.keys) != 1 {
		return keyID{}, verificationKey{}, false
	}
	for only, key := range s.keys {
		if only.alg == id.alg {
			return only, key, true
		}
	}
	return keyID{}, verificationKey{}, false
}
