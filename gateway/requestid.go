package gateway

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
)

const (
	// requestIDHeader carries a request's id in and out.
	requestIDHeader   = "X-Request-Id"
	requestIDMetadata = "x-request-id"
	maxRequestID      = 128
)

// requestID returns the id that the caller gave, if it is one that can be
// logged and used in a URI as it is, or a new one.
func requestID(given []string) string {
	if len(given) == 1 && validRequestID(given[0]) {
		return given[0]
	}
	// It need not be secret, only unlike all others: 128 bits that the operating
	// system has seeded, without asking it each time.
	var raw [16]byte
	binary.NativeEndian.PutUint64(raw[:8], rand.Uint64())
	binary.NativeEndian.PutUint64(raw[8:], rand.Uint64())
	return hex.EncodeToString(raw[:])
}

// validRequestID accepts 1 to 128 characters that RFC 3986 calls unreserved.
func validRequestID(id string) bool {
	if id == "" || len(id) > maxRequestID {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' && c != '~' {
			return false
		}
	}
	return true
}
