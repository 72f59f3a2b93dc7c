// Package challenge says in an answer which credentials are taken, by the header
// WWW-Authenticate (RFC 9110, section 11.6.1).
package challenge

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// A Challenger is what judges one kind of credentials.
type Challenger interface {
	// Challenge returns a scheme and its parameters, without the realm.
	Challenge() string
}

// CheckRealm refuses a realm that cannot stand in a quoted string.
func CheckRealm(realm string) error {
	if quotable(realm) != realm {
		return errors.New("must be printable ASCII without quotes and backslashes")
	}
	return nil
}

// Set adds a challenge for each kind of credentials. bearerError is one of bearer
// tokens, such as [InvalidToken], and said of those only, if r brought credentials.
func Set[C Challenger](h http.Header, r *http.Request, kinds []C, realm, bearerError string) {
	for _, kind := range kinds {
		scheme, params, _ := strings.Cut(kind.Challenge(), " ")
		value := fmt.Sprintf(`%s realm="%s"`, scheme, realm)
		if params != "" {
			value += ", " + params
		}
		if scheme == "Bearer" && len(r.Header["Authorization"]) > 0 {
			value += bearerError
		}
		h.Add("WWW-Authenticate", value)
	}
}

// InvalidToken is the error of a bearer token that does not hold (RFC 6750,
// section 3).
func InvalidToken(description string) string {
	return fmt.Sprintf(`, error="invalid_token", error_description="%s"`, quotable(description))
}

// InsufficientScope is that of one which lacks a scope.
func InsufficientScope(scopes string) string {
	return fmt.Sprintf(`, error="insufficient_scope", scope="%s"`, scopes)
}

// quotable leaves out what would end a quoted string.
func quotable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return -1
		}
		return r
	}, s)
}
