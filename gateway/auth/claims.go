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
}

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
	return nil
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
