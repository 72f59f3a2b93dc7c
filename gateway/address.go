package gateway

import (
	"net"
	"net/http"
	"net/netip"
)

// address is where a request comes from, as Config.RateLimit.Address finds it out:
// behind proxies, what those say that are trusted.
func (x *exchange) address() netip.Addr {
	if !x.addressKnown {
		x.addressKnown, x.from = true, x.gateway.config.RateLimit.Address(x.request)
	}
	return x.from
}

// behind returns where a request comes from in words, if that is not the
// connection that it came on; "" otherwise.
func (x *exchange) behind() string {
	if !x.gateway.behindProxies {
		return ""
	}
	from := x.address()
	if !from.IsValid() {
		return ""
	}
	text := from.Unmap().WithZone("").String()
	if text == remoteHost(x.request) {
		return ""
	}
	return text
}

// remoteHost is the address of a request's connection; "" if it has none.
func remoteHost(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return host
}
