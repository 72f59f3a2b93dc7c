package ratelimit

import (
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"github.com/evenkeel/evenkeel/gateway/auth"
)

// A Request is what is known of a call when it is counted.
type Request struct {
	// Method is the full name of the gRPC method, `/package.Service/Method`, or
	// what else tells methods apart.
	Method string
	// Principal is the caller, nil if it is not authenticated.
	Principal *auth.Principal
	// Address is where the call comes from; the zero Addr if that is not known.
	Address netip.Addr
	// HTTP is the request. It may be nil.
	HTTP *http.Request
}

// A Key says who is counted together: all requests that it returns the same
// string for. It returns false if the policy does not apply to a request. It is
// called concurrently.
type Key func(Request) (key string, applies bool)

// Caller counts by principal, and by [Address] those who are not authenticated.
func Caller(r Request) (string, bool) {
	if r.Principal == nil {
		return Address(r)
	}
	// The length keeps two principals apart, whatever their names hold.
	return "p" + strconv.Itoa(len(r.Principal.Issuer)) + ":" + r.Principal.Issuer + r.Principal.Subject, true
}

// Address counts by network address: each of IPv4 by itself, and those of IPv6
// by their /64, since that is what one host is given. Requests whose address is
// not known are counted together.
func Address(r Request) (string, bool) {
	a := r.Address.Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			a = p.Addr()
		}
	}
	return "a" + string(a.AsSlice()), true
}

// Everybody counts all requests together.
func Everybody(Request) (string, bool) { return "", true }

// RemoteAddress returns the address of the connection that r came on. It is the
// address of the last proxy, if there is one: see [ForwardedFor].
func RemoteAddress(r *http.Request) netip.Addr { return parseHost(r.RemoteAddr) }

// ForwardedFor returns a func that finds a request's address behind proxies. It
// goes back through X-Forwarded-For as long as the hop that said so is trusted,
// and so returns the first address that is not a trusted proxy's: what stands
// before it may be made up. What cannot be read ends the search, too.
func ForwardedFor(trusted []netip.Prefix) func(*http.Request) netip.Addr {
	prefixes := make([]netip.Prefix, 0, len(trusted))
	for _, p := range trusted {
		prefixes = append(prefixes, p.Masked())
	}
	isTrusted := func(a netip.Addr) bool {
		for _, p := range prefixes {
			if p.Contains(a) {
				return true
			}
		}
		return false
	}
	return func(r *http.Request) netip.Addr {
		hop := RemoteAddress(r)
		values := r.Header.Values("X-Forwarded-For")
		for i := len(values) - 1; i >= 0; i-- {
			for rest, more := values[i], true; more && isTrusted(hop); {
				var last string
				rest, last, more = cutLast(rest)
				said := parseHost(last)
				if !said.IsValid() {
					return hop
				}
				hop = said
			}
		}
		return hop
	}
}

// cutLast cuts the last element off a list with commas, and says whether there
// are more.
func cutLast(list string) (rest, last string, more bool) {
	at := strings.LastIndexByte(list, ',')
	if at < 0 {
		return "", strings.TrimSpace(list), false
	}
	return list[:at], strings.TrimSpace(list[at+1:]), true
}

// parseHost reads an address with or without a port, an IPv6 address with or
// without brackets.
func parseHost(s string) netip.Addr {
	if host, _, err := net.SplitHostPort(s); err == nil {
		s = host
	} else if len(s) > 1 && s[0] == '[' && s[len(s)-1] == ']' {
		s = s[1 : len(s)-1]
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}
