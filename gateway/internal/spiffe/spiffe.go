// Package spiffe reads SPIFFE ids.
package spiffe

import (
	"errors"
	"fmt"
	"strings"
)

// maxBytes bounds an id, as the standard wants it to be accepted.
const maxBytes = 2048

// TrustDomain checks a SPIFFE id to the letter of the standard (SPIFFE-ID,
// section 2) and returns its trust domain. There is one way to write an id, so
// that two that are equal are the same.
func TrustDomain(id string) (domain string, err error) {
	rest, ok := strings.CutPrefix(id, "spiffe://")
	if !ok || len(id) > maxBytes {
		return "", errors.New("it is not a SPIFFE id, spiffe://trust-domain/path")
	}
	domain, path, hasPath := strings.Cut(rest, "/")
	if !ValidDomain(domain) {
		return "", fmt.Errorf("%.200q is not a trust domain: lower-case letters, digits, `.`, `-` and `_`, at most 255", domain)
	}
	if !hasPath {
		return "", errors.New("it names a trust domain and nobody in it")
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "" || segment == "." || segment == ".." || !only(segment, true) {
			return "", errors.New("its path must be of letters, digits, `.`, `-` and `_`, with nothing empty between slashes")
		}
	}
	return domain, nil
}

// ValidDomain reports whether s can be a trust domain.
func ValidDomain(s string) bool { return s != "" && len(s) <= 255 && only(s, false) }

func only(s string, upper bool) bool {
	return strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (!upper || r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '-' && r != '_'
	}) < 0
}
