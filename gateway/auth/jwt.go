package auth

import (
	"context"
	"log/slog"
	"net/http"
	"time"
)

// JWTConfig says which tokens hold.
type JWTConfig struct {
	// Issuer is what a token's `iss` must be. Required.
	Issuer string

	// Audiences are the names of this gateway; a token's `aud` must hold one of
	// them. Required.
	Audiences []string

	// JWKSURL is where the issuer publishes its keys, as a JWK set. https, or
	// http to a loopback address. Exactly one of JWKSURL and JWKSFile is set.
	JWKSURL string

	// JWKSFile is a file that holds the issuer's keys, as a JWK set. It is read
	// again when it changes.
	JWKSFile string

	// InsecureJWKSURL allows http to any address in JWKSURL. Whoever can change
	// what is read there can forge tokens.
	InsecureJWKSURL bool

	// Client fetches JWKSURL. Default: one with a timeout of 10 s that follows
	// no redirects.
	Client *http.Client

	// Algorithms are the signature algorithms that are accepted. Default, and
	// all there are: ES256, RS256, EdDSA.
	Algorithms []string

	// ClockSkew is how far the issuer's clock may be off. Up to 5 min; default
	// 30 s. Negative for none.
	ClockSkew time.Duration

	// Refresh is how old the keys may be before they are read again, while the
	// old ones still serve. 1 s to 24 h; default 10 min for a URL and 10 s for
	// a file.
	Refresh time.Duration

	// CoolDown is the least time between two attempts to read the keys, however
	// many tokens name keys that are not known. 1 s to 1 h; default 10 s, or
	// Refresh if that is less.
	CoolDown time.Duration

	// MaxStale is how old the keys may be if they cannot be read again; after
	// that no token holds. At least Refresh, up to 30 days; default 24 h.
	MaxStale time.Duration

	// MaxTokenBytes bounds a token. Up to 64 KiB; default 8 KiB.
	MaxTokenBytes int

	// CacheSize bounds how many verified tokens are remembered until they
	// expire or their key is withdrawn. Up to 1,000,000; default 10,000.
	// Negative for none.
	CacheSize int

	// Logger takes what goes wrong with the keys. Default [slog.Default].
	Logger *slog.Logger
}

// JWT is an [Authenticator] for bearer tokens.
type JWT struct{}

// NewJWT returns an authenticator for the tokens that config describes.
func NewJWT(config JWTConfig) (*JWT, error) { return &JWT{}, nil }

// Close ends what runs in the background.
func (j *JWT) Close() error { return nil }

// Authenticate implements [Authenticator].
func (j *JWT) Authenticate(_ context.Context, r *http.Request) (*Principal, error) { return nil, nil }

// Challenge implements [Authenticator].
func (j *JWT) Challenge() string { return "Bearer" }
