package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// APIKeyHeader is the header that carries an API key.
const APIKeyHeader = "X-Api-Key"

const (
	apiKeyPrefix = "ek_"
	apiKeyBytes  = 32 // 256 bits
	// maxAPIKeyBytes bounds what is hashed, so that keys made elsewhere fit too.
	maxAPIKeyBytes = 512
)

// GenerateAPIKey returns a new random key of 256 bits, to be given to its
// holder and kept nowhere else, and its SHA-256 in hexadecimal, which is what
// [APIKey] takes. Keys start with `ek_`, so that scanners for leaked secrets
// can find them.
func GenerateAPIKey() (key, sha256hex string) {
	secret := make([]byte, apiKeyBytes)
	_, _ = rand.Read(secret) // never fails, see crypto/rand
	key = apiKeyPrefix + base64.RawURLEncoding.EncodeToString(secret)
	return key, HashAPIKey(key)
}

// HashAPIKey returns the SHA-256 of a key in hexadecimal. A plain hash is
// enough because keys are random: there is no dictionary to try. Keys must have
// at least 128 bits of randomness; [GenerateAPIKey] makes such.
func HashAPIKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// An APIKey is a key that is accepted, and for whom.
type APIKey struct {
	// SHA256 is the key's hash in hexadecimal, from [GenerateAPIKey].
	SHA256 string
	// Subject names the holder.
	Subject string
	// Scopes are what the holder may do.
	Scopes []string
	// NotAfter is when the key stops to hold. Zero for never.
	NotAfter time.Time
}

// APIKeysConfig says which keys hold.
type APIKeysConfig struct {
	// Keys are the keys that are accepted.
	Keys []APIKey
}

// APIKeys is an [Authenticator] for keys in the header X-API-Key.
type APIKeys struct {
	keys atomic.Pointer[map[[sha256.Size]byte]apiKey]
}

type apiKey struct {
	hash      [sha256.Size]byte
	principal *Principal
	notAfter  time.Time
}

// NewAPIKeys returns an authenticator for the keys in config.
func NewAPIKeys(config APIKeysConfig) (*APIKeys, error) {
	a := &APIKeys{}
	if err := a.Replace(config.Keys); err != nil {
		return nil, err
	}
	return a, nil
}

// Replace puts keys in the place of those accepted so far, at once: keys that
// are not among them are withdrawn. On an error nothing changes.
func (a *APIKeys) Replace(keys []APIKey) error {
	next := make(map[[sha256.Size]byte]apiKey, len(keys))
	for i, k := range keys {
		raw, err := hex.DecodeString(k.SHA256)
		if err != nil || len(raw) != sha256.Size {
			return fmt.Errorf("auth: APIKeysConfig.Keys[%d].SHA256: must be 64 hexadecimal digits, as GenerateAPIKey returns them", i)
		}
		if k.Subject == "" {
			return fmt.Errorf("auth: APIKeysConfig.Keys[%d].Subject: must name the holder", i)
		}
		hash := [sha256.Size]byte(raw)
		if _, twice := next[hash]; twice {
			return fmt.Errorf("auth: APIKeysConfig.Keys[%d].SHA256: the key is there twice", i)
		}
		next[hash] = apiKey{
			hash:      hash,
			notAfter:  k.NotAfter,
			principal: &Principal{Subject: k.Subject, Scopes: sortedScopes(k.Scopes), Method: MethodAPIKey},
		}
	}
	a.keys.Store(&next)
	return nil
}

// Authenticate implements [Authenticator].
func (a *APIKeys) Authenticate(_ context.Context, r *http.Request) (*Principal, error) {
	values := r.Header[APIKeyHeader]
	if len(values) == 0 {
		return nil, nil
	}
	if len(values) > 1 {
		return nil, ErrAmbiguous
	}
	key := values[0]
	if key == "" || len(key) > maxAPIKeyBytes {
		return nil, errBadAPIKey
	}
	// Looking the hash up tells by its time at most something of the hash,
	// which does not help to find the key; the comparison tells nothing.
	hash := sha256.Sum256([]byte(key))
	known, ok := (*a.keys.Load())[hash]
	if !ok {
		return nil, errUnknownAPIKey
	}
	if subtle.ConstantTimeCompare(known.hash[:], hash[:]) != 1 {
		return nil, errUnknownAPIKey
	}
	if !known.notAfter.IsZero() && !time.Now().Before(known.notAfter) {
		return nil, errBadAPIKey
	}
	return known.principal, nil
}

// Challenge implements [Authenticator].
func (a *APIKeys) Challenge() string { return `ApiKey header="X-API-Key"` }

var (
	errBadAPIKey = &Error{Code: CodeInvalidCredentials, Description: "the API key is not valid"}
	// The same to the caller; another authenticator may know the key.
	errUnknownAPIKey = &Error{Code: CodeInvalidCredentials, Description: "the API key is not valid", Pass: true}
)

func sortedScopes(scopes []string) []string {
	out := make([]string, 0, len(scopes))
	for _, s := range scopes {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
