package cors

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// origins are those that may call.
type origins struct {
	exact map[string]bool
	below []below
}

// below stands for all hosts below one, any number of labels.
type below struct{ prefix, suffix string } // "https://" and ".example.com:8443"

// match reports whether an origin, as a browser sends it, is among them.
func (o *origins) match(origin string) bool {
	if o.exact[origin] {
		return true
	}
	for _, b := range o.below {
		rest, ok := strings.CutPrefix(origin, b.prefix)
		if !ok {
			continue
		}
		if host, ok := strings.CutSuffix(rest, b.suffix); ok && hostLabels(host) {
			return true
		}
	}
	return false
}

// add reads an origin of a config.
func (o *origins) add(raw string, insecure bool) error {
	if raw == "null" {
		return fmt.Errorf("%q can be any page; serve it from an origin of its own", raw)
	}
	plain, wild := strings.CutPrefix(raw, "https://*.")
	if wild {
		plain = "https://" + plain
	} else if plain, wild = strings.CutPrefix(raw, "http://*."); wild {
		plain = "http://" + plain
	} else {
		plain = raw
	}
	u, err := url.Parse(plain)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme+"://"+u.Host != plain {
		return fmt.Errorf("%q is not an origin: scheme://host or scheme://host:port, in lower case and with nothing behind it", raw)
	}
	host := u.Hostname()
	if host != strings.ToLower(host) || strings.Contains(host, "*") || u.Scheme != "https" && u.Scheme != "http" || u.Port() == "" && strings.HasSuffix(u.Host, ":") {
		return fmt.Errorf("%q is not an origin that a browser sends: http or https, in lower case, with a `*` for the first label only", raw)
	}
	if u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80" {
		return fmt.Errorf("%q: browsers leave the default port out; leave it out, too", raw)
	}
	if u.Scheme == "http" && !insecure && !loopback(host) {
		return fmt.Errorf("%q: whoever is on the way could act as it; use https, or set InsecureOrigins", raw)
	}
	if !wild {
		o.exact[raw] = true
		return nil
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return fmt.Errorf("%q: there are no hosts below an address", raw)
	}
	if suffix, _ := publicsuffix.PublicSuffix(host); suffix == host {
		return fmt.Errorf("%q: anybody can have a host below %s; name the one that is meant", raw, host)
	}
	o.below = append(o.below, below{prefix: u.Scheme + "://", suffix: "." + u.Host})
	return nil
}

func loopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// hostLabels reports whether s is one or more labels of a host name.
func hostLabels(s string) bool {
	if s == "" || s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.' && r != '_'
	}) < 0
}
