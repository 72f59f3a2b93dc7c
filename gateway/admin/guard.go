package admin

import (
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// contentPolicy lets the pages load their style sheet and send their own forms.
const contentPolicy = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// guard keeps out who is not to see anything, before next sees the request.
func (a *Admin) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if why := a.refuses(r); why != "" {
			a.config.Logger.LogAttrs(r.Context(), slog.LevelWarn, "admin: a request was refused",
				slog.String("remote", r.RemoteAddr), slog.String("why", why))
			http.Error(w, why, http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// refuses returns why a request is not answered, "" if it is.
func (a *Admin) refuses(r *http.Request) string {
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && remote(local) && !a.config.AllowRemote {
		return "this can be read on the machine itself only"
	}
	if !a.knownHost(r.Host) {
		return "the host is none that this is called by; use an address or localhost, or name it in admin.Config.Hosts"
	}
	// What browsers say of themselves: pages of other sites have no business
	// here, not even to start a profile. `none` is what a person typed.
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return "a page of another site may not ask here"
	}
	if origin := r.Header.Get("Origin"); origin != "" && !sameOrigin(origin, r.Host) {
		return "a page of another site may not ask here"
	}
	return ""
}

// knownHost reports whether a Host header is none that an attacker can have
// chosen. A page that rebinds its name to this machine sends its own name; an
// address cannot be rebound.
func (a *Admin) knownHost(host string) bool {
	if name, port, err := net.SplitHostPort(host); err == nil && port != "" {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return host == "localhost" || slices.Contains(a.config.Hosts, host)
}

func sameOrigin(origin, host string) bool {
	_, of, ok := strings.Cut(origin, "://")
	return ok && strings.EqualFold(of, host)
}

// remote reports whether other hosts can reach an address.
func remote(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && !tcp.IP.IsLoopback()
}
