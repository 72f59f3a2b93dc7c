package ratelimit

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

func TestAHostOfIPv6IsCountedByItsNetwork(t *testing.T) {
	key := func(s string) string {
		k, _ := Address(Request{Address: netip.MustParseAddr(s)})
		return k
	}
	for _, same := range [][2]string{
		{"2001:db8:1:2::1", "2001:db8:1:2:ffff::9"}, {"192.0.2.1", "::ffff:192.0.2.1"}, {"fe80::1%eth0", "fe80::2%eth1"},
	} {
		if key(same[0]) != key(same[1]) {
			t.Errorf("%v are counted apart", same)
		}
	}
	for _, other := range [][2]string{{"2001:db8:1:2::1", "2001:db8:1:3::1"}, {"192.0.2.1", "192.0.2.2"}} {
		if key(other[0]) == key(other[1]) {
			t.Errorf("%v are counted together", other)
		}
	}
}

func TestOnlyTrustedProxiesAreBelieved(t *testing.T) {
	find := ForwardedFor([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")})
	for _, c := range []struct {
		remote string
		header []string
		want   string
	}{
		{"192.0.2.9:1", []string{"198.51.100.1"}, "192.0.2.9"},
		{"10.0.0.1:1", nil, "10.0.0.1"},
		{"10.0.0.1:1", []string{"198.51.100.1"}, "198.51.100.1"},
		{"10.0.0.1:1", []string{"203.0.113.5, 198.51.100.1"}, "198.51.100.1"},
		{"10.0.0.1:1", []string{"203.0.113.5, 10.9.9.9"}, "203.0.113.5"},
		{"10.0.0.1:1", []string{"203.0.113.5", "198.51.100.1,10.9.9.9"}, "198.51.100.1"},
		{"10.0.0.1:1", []string{"198.51.100.1, 10.3.3.3", "10.9.9.9"}, "198.51.100.1"},
		{"10.0.0.1:1", []string{"198.51.100.1, unknown"}, "10.0.0.1"},
		{"10.0.0.1:1", []string{"198.51.100.1,"}, "10.0.0.1"},
		{"10.0.0.1:1", []string{"198.51.100.1:4711"}, "198.51.100.1"},
		{"[2001:db8::1]:1", []string{"[2001:db8::2]:5, [2001:db8::3]"}, "2001:db8::2"},
		{"@", []string{"198.51.100.1"}, "invalid IP"},
	} {
		r := &http.Request{RemoteAddr: c.remote, Header: http.Header{"X-Forwarded-For": c.header}}
		if got := find(r).String(); got != c.want {
			t.Errorf("%s %q: %s, want %s", c.remote, c.header, got, c.want)
		}
	}
}

// Whatever the header says, it is believed only from a trusted hop: with the
// trusted part of the chain kept, what stands before it can only be returned,
// never change what comes behind.
func FuzzForwardedFor(f *testing.F) {
	f.Add("10.0.0.1:1", "203.0.113.5, 10.9.9.9")
	f.Add("192.0.2.9:1", ",,[::1]:x, 10.0.0.0")
	f.Add("@", "%")
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	find := ForwardedFor(trusted)
	f.Fuzz(func(t *testing.T, remote, header string) {
		r := &http.Request{RemoteAddr: remote, Header: http.Header{"X-Forwarded-For": {header}}}
		got := find(r)
		if hop := RemoteAddress(r); !trusted[0].Contains(hop) && got != hop {
			t.Fatalf("%q %q: %v, but %v is not trusted", remote, header, got, hop)
		}
		r.Header = http.Header{"X-Forwarded-For": {"6.6.6.6", header}}
		if forged := find(r); forged != got && (forged != netip.MustParseAddr("6.6.6.6") || !trusted[0].Contains(got)) {
			t.Fatalf("%q %q: a forged hop changed %v to %v", remote, header, got, forged)
		}
		if strings.Contains(got.String(), "%") {
			t.Fatalf("a zone in %v", got)
		}
	})
}
