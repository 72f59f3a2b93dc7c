package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Authenticate implements [Authenticator]: it judges the bearer token in the
// header Authorization (RFC 6750, section 2.1).
func (j *JWT) Authenticate(ctx context.Context, r *http.Request) (*Principal, error) {
	values := r.Header["Authorization"]
	if len(values) == 0 {
		return nil, nil
	}
	if len(values) > 1 {
		return nil, ErrAmbiguous
	}
	token, isBearer := bearerToken(values[0])
	if !isBearer {
		return nil, nil
	}
	return j.Verify(ctx, token)
}

// bearerToken returns the token of an Authorization header, and whether the
// header's scheme is Bearer.
func bearerToken(header string) (token string, isBearer bool) {
	const scheme = "bearer"
	if len(header) < len(scheme) || !strings.EqualFold(header[:len(scheme)], scheme) {
		return "", false
	}
	rest := header[len(scheme):]
	if rest != "" && rest[0] != ' ' {
		return "", false
	}
	return strings.Trim(rest, " "), true
}

// Verify returns the principal that a token proves, or an [*Error].
func (j *JWT) Verify(ctx context.Context, token string) (*Principal, error) {
	if token == "" || len(token) > j.maxTokenBytes {
		return nil, invalid("the token is not valid", fmt.Errorf("it has %d bytes; at most %d are accepted", len(token), j.maxTokenBytes))
	}
	hash := hashOf(token)
	if p, ok, err := j.remembered(ctx, hash); ok || err != nil {
		return p, err
	}
	v, err := j.parse(ctx, token)
	if err != nil {
		return nil, err
	}
	if j.cache != nil {
		j.cache.put(hash, v)
	}
	return v.principal, nil
}

// hashOf returns the SHA-256 of a token. Most are hashed without being copied to
// memory that is to be collected.
func hashOf(token string) [sha256.Size]byte {
	var room [2 << 10]byte
	return sha256.Sum256(append(room[:0], token...))
}

// remembered returns the principal of a token that was verified before, if its
// key is still there and it has not expired.
func (j *JWT) remembered(ctx context.Context, hash [sha256.Size]byte) (*Principal, bool, error) {
	if j.cache == nil {
		return nil, false, nil
	}
	v, ok := j.cache.get(hash)
	if !ok {
		return nil, false, nil
	}
	if !time.Now().Before(v.expires) {
		j.cache.remove(hash)
		return nil, false, invalid("the token has expired", nil)
	}
	set, err := j.keys.fresh(ctx)
	if err != nil {
		return nil, false, unavailable(err)
	}
	if key, there := set.keys[v.key]; !there || key.fingerprint != v.fingerprint {
		j.cache.remove(hash)
		return nil, false, nil // what it is worth now is found out anew
	}
	return v.principal, true, nil
}

func (j *JWT) parse(ctx context.Context, token string) (verified, error) {
	var (
		c      = claims{scopeClaims: j.scopeClaims}
		v      verified
		keyErr error
	)
	_, err := j.parser.ParseWithClaims(token, &c, func(t *jwt.Token) (any, error) {
		var key verificationKey
		v.key, key, keyErr = j.keyFor(ctx, t, c.Issuer)
		v.fingerprint = key.fingerprint
		return key.public, keyErr
	})
	if err != nil {
		return verified{}, j.explain(err, keyErr)
	}
	if c.Subject == "" {
		return verified{}, invalid("the token is not valid", errors.New("it has no sub"))
	}
	v.principal = &Principal{
		Subject: c.Subject, Issuer: c.Issuer, Method: MethodJWT,
		Scopes: sortedScopes(slices.Concat(c.Scope, c.SCP, c.More)),
	}
	v.expires = c.ExpiresAt.Time.Add(j.clockSkew)
	return v, nil
}

// keyFor returns the key that a token's header names. It is asked before the
// signature is verified: nothing in the token is to be believed yet.
func (j *JWT) keyFor(ctx context.Context, t *jwt.Token, issuer string) (keyID, verificationKey, error) {
	// Another issuer's token is none of ours, and must not make us look for
	// its key.
	if issuer != j.issuer {
		return keyID{}, verificationKey{}, errOtherIssuer
	}
	if err := checkHeader(t.Header); err != nil {
		return keyID{}, verificationKey{}, err
	}
	kid, _ := t.Header["kid"].(string)
	return j.keys.key(ctx, keyID{kid: kid, alg: t.Method.Alg()})
}

var errOtherIssuer = errors.New("its iss is another")

// checkHeader refuses what changes a token's meaning in ways that are not
// understood here (RFC 7515, section 4.1.11; RFC 7797; RFC 8725, section 3.11).
func checkHeader(header map[string]any) error {
	for _, name := range []string{"crit", "b64", "zip", "enc"} {
		if _, there := header[name]; there {
			return fmt.Errorf("its header has %s", name)
		}
	}
	if raw, there := header["kid"]; there {
		if kid, isText := raw.(string); !isText || kid == "" || len(kid) > 256 {
			return errors.New("its kid is not a short text")
		}
	}
	typ := ""
	if raw, there := header["typ"]; there {
		var isText bool
		if typ, isText = raw.(string); !isText {
			return errors.New("its typ is not a text")
		}
	}
	switch strings.TrimPrefix(strings.ToLower(typ), "application/") {
	case "", "jwt", "at+jwt":
		return nil
	default:
		return errors.New("its typ is that of another kind of token")
	}
}

// explain turns what a parser says into what a caller may know.
func (j *JWT) explain(err, keyErr error) error {
	switch {
	case errors.Is(keyErr, errNoKeys), errors.Is(keyErr, errStaleKeys):
		return unavailable(keyErr)
	case errors.Is(keyErr, errOtherIssuer):
		e := invalid("the token is not valid", keyErr)
		e.Pass = true
		return e
	case keyErr != nil:
		return invalid("the token is not valid", keyErr)
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return invalid("the token is not valid", errors.New("its signature does not hold"))
	case errors.Is(err, jwt.ErrTokenExpired):
		return invalid("the token has expired", nil)
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return invalid("the token is not valid yet", nil)
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return invalid("the token is for another audience", nil)
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return invalid("the token is not valid", errors.New("a claim that is required is missing"))
	default:
		// The parser's own text may quote the token.
		return invalid("the token is not valid", errors.New("it cannot be parsed"))
	}
}

func invalid(description string, cause error) *Error {
	return &Error{Code: CodeInvalidCredentials, Description: description, Cause: cause}
}

func unavailable(cause error) *Error {
	return &Error{Code: CodeUnavailable, Description: "tokens cannot be verified at the moment", Cause: cause}
}
