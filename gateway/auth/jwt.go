package auth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/evenkeel/evenkeel/gateway/internal/setting"
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

	// ScopeClaims are claims whose values count as scopes, besides `scope` and
	// `scp`: such as `permissions`, `roles`, or `realm_access.roles`, which is
	// looked for by this name first and then within the object `realm_access`.
	// Each is a list of strings or a string with spaces between them. A token's
	// holder must not be able to choose them. Default none.
	ScopeClaims []string

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

// JWT is an [Authenticator] for bearer tokens. Every token must name its issuer,
// its audience, its subject and when it expires.
type JWT struct {
	issuer        string
	scopeClaims   []string
	clockSkew     time.Duration
	maxTokenBytes int
	parser        *jwt.Parser
	keys          *keySource
	cache         *tokenCache // nil for none
}

// NewJWT returns an authenticator for the tokens that config describes. Keys in
// a file are read at once; those behind a URL when the first token comes or
// [JWT.Ready] is asked, so that a gateway starts while its issuer is away.
// Close it when it is not needed any more.
func NewJWT(config JWTConfig) (*JWT, error) {
	if err := config.complete(); err != nil {
		return nil, fmt.Errorf("auth: JWTConfig.%w", err)
	}
	source := &keySource{
		refresh: config.Refresh, coolDown: config.CoolDown, maxStale: config.MaxStale, logger: config.Logger,
		load: fromURL(config.JWKSURL, config.Client, config.Algorithms),
	}
	if config.JWKSFile != "" {
		source.load = fromFile(config.JWKSFile, config.Algorithms)
		set, err := source.load(context.Background())
		if err != nil {
			return nil, fmt.Errorf("auth: JWTConfig.JWKSFile: %w", err)
		}
		source.current.Store(set)
	}
	j := &JWT{
		issuer: config.Issuer, scopeClaims: slices.Clone(config.ScopeClaims), clockSkew: config.ClockSkew, maxTokenBytes: config.MaxTokenBytes,
		keys: newKeySource(source),
		parser: jwt.NewParser(
			jwt.WithValidMethods(config.Algorithms),
			jwt.WithIssuer(config.Issuer),
			jwt.WithAudience(config.Audiences...),
			jwt.WithExpirationRequired(),
			jwt.WithLeeway(config.ClockSkew),
			jwt.WithStrictDecoding(),
		),
	}
	if config.CacheSize > 0 {
		j.cache = newTokenCache(config.CacheSize)
	}
	return j, nil
}

// Ready reports an error while there are no keys to verify a token with.
func (j *JWT) Ready(ctx context.Context) error {
	_, err := j.keys.fresh(ctx)
	return err
}

// Close ends what runs in the background. Tokens of keys that are at hand are
// still verified.
func (j *JWT) Close() error {
	j.keys.close()
	return nil
}

// Challenge implements [Authenticator].
func (j *JWT) Challenge() string { return "Bearer" }

// complete checks a config and sets its defaults. Errors start with the field.
func (c *JWTConfig) complete() error {
	if c.Issuer == "" {
		return errors.New("Issuer: must be set to what a token's iss is to be")
	}
	if len(c.Audiences) == 0 || slices.Contains(c.Audiences, "") {
		return errors.New("Audiences: must name this gateway as tokens do in aud; without it, tokens meant for others would hold")
	}
	if (c.JWKSURL == "") == (c.JWKSFile == "") {
		return errors.New("JWKSURL: exactly one of JWKSURL and JWKSFile must be set")
	}
	if c.JWKSURL != "" {
		if err := checkJWKSURL(c.JWKSURL, c.InsecureJWKSURL); err != nil {
			return fmt.Errorf("JWKSURL: %w", err)
		}
	}
	if len(c.Algorithms) == 0 {
		c.Algorithms = allAlgorithms
	}
	for i, alg := range c.Algorithms {
		if !slices.Contains(allAlgorithms, alg) {
			return fmt.Errorf("Algorithms[%d]: %q is not accepted; choose from %v", i, alg, allAlgorithms)
		}
	}
	for i, name := range c.ScopeClaims {
		if name == "" || slices.Contains(registeredClaims, name) {
			return fmt.Errorf("ScopeClaims[%d]: %q says something else of every token; name a claim that holds scopes", i, name)
		}
	}
	if c.Client == nil {
		c.Client = defaultJWKSClient()
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c.completeBounds()
}

func (c *JWTConfig) completeBounds() error {
	if c.ClockSkew < 0 {
		c.ClockSkew = 0
	} else if c.ClockSkew == 0 {
		c.ClockSkew = 30 * time.Second
	}
	refresh := 10 * time.Minute
	if c.JWKSFile != "" {
		refresh = 10 * time.Second
	}
	setting.Default(&c.Refresh, refresh)
	setting.Default(&c.CoolDown, min(10*time.Second, c.Refresh))
	setting.Default(&c.MaxStale, max(24*time.Hour, c.Refresh))
	setting.Default(&c.MaxTokenBytes, 8<<10)
	setting.Default(&c.CacheSize, 10_000)
	return cmp.Or(
		setting.InRange("ClockSkew", c.ClockSkew, 0, 5*time.Minute),
		setting.InRange("Refresh", c.Refresh, time.Second, 24*time.Hour),
		setting.InRange("CoolDown", c.CoolDown, time.Second, time.Hour),
		setting.InRange("MaxStale", c.MaxStale, c.Refresh, 30*24*time.Hour),
		setting.InRange("MaxTokenBytes", c.MaxTokenBytes, 1, 64<<10),
		setting.InRange("CacheSize", max(c.CacheSize, 0), 0, 1_000_000),
	)
}
