package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// claims are those that are looked at.
type claims struct {
	jwt.RegisteredClaims
	Scope scopeClaim
	SCP   scopeClaim
	// scopeClaims are those of the config, and More is what they hold.
	scopeClaims []string
	More        []string
}

// registeredClaims are those of RFC 7519, section 4.1.
var registeredClaims = []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti"}

// UnmarshalJSON takes claims by exactly their names (RFC 7519, section 10.1.1).
// encoding/json would also take `SCOPE`, and even `\u017fcope`, for `scope`: a
// claim that an issuer lets its users choose could then say what they may do.
func (c *claims) UnmarshalJSON(raw []byte) error {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil || all == nil {
		return errors.New("the claims are not a JSON object")
	}
	for name, take := range map[string]func(json.RawMessage) error{
		"iss":   into(&c.Issuer),
		"sub":   into(&c.Subject),
		"aud":   into(&c.Audience),
		"scope": into(&c.Scope),
		"scp":   into(&c.SCP),
		"exp":   intoDate(&c.ExpiresAt),
		"nbf":   intoDate(&c.NotBefore),
	} {
		value, there := all[name]
		if !there {
			continue
		}
		if err := take(value); err != nil {
			return fmt.Errorf("claim %s: %w", name, err)
		}
	}
	for _, name := range c.scopeClaims {
		var scopes scopeClaim
		if value, there := lookUp(all, name); there {
			if err := json.Unmarshal(value, &scopes); err != nil {
				return fmt.Errorf("claim %s: %w", name, err)
			}
		}
		c.More = append(c.More, scopes...)
	}
	return nil
}

// lookUp returns a claim, or one within another by a name with dots.
func lookUp(all map[string]json.RawMessage, name string) (json.RawMessage, bool) {
	if value, there := all[name]; there {
		return value, true
	}
	outer, inner, dotted := strings.Cut(name, ".")
	if !dotted {
		return nil, false
	}
	var within map[string]json.RawMessage
	if json.Unmarshal(all[outer], &within) != nil {
		return nil, false // it is no object
	}
	return lookUp(within, inner)
}

func into[T any](field *T) func(json.RawMessage) error {
	return func(raw json.RawMessage) error { return json.Unmarshal(raw, field) }
}

// maxDate is the end of the year 9999.
const maxDate = 253402300799

// intoDate takes a NumericDate. One that no clock shows is refused: turned into
// an integer it could come out as any time, a nbf as one long ago.
func intoDate(field **jwt.NumericDate) func(json.RawMessage) error {
	return func(raw json.RawMessage) error {
		seconds, err := strconv.ParseFloat(string(raw), 64)
		if err != nil || !(seconds >= 0 && seconds <= maxDate) {
			return errors.New("it is not a time in seconds since 1970")
		}
		*field = jwt.NewNumericDate(time.Unix(int64(seconds), 0))
		return nil
	}
}

// scopeClaim is a list of scopes, as one string with spaces (RFC 8693, section
// 4.2) or, as some issuers have it, as an array.
type scopeClaim []string

func (s *scopeClaim) UnmarshalJSON(raw []byte) error {
	var text string
	if err := json.Unmarshal(raw, &text); err == nil {
		*s = strings.Fields(text)
		return nil
	}
	var list []string
	if err := json.Unmarshal(raw, &list); err != nil {
		return errors.New("scope is neither a string nor an array of strings")
	}
	*s = list
	return nil
}
