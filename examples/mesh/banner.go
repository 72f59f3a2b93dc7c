package mesh

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/evenkeel/evenkeel/examples/mesh/internal/load"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/state"
)

// banner says where to go and what to try. The curl lines stand at the beginning
// of theirs, to be copied as they are.
func banner(f state.Mesh) string {
	var b strings.Builder
	fmt.Fprintf(&b, "The mesh is up: %d replicas, each a process of its own.\n\n", len(f.Replicas))
	fmt.Fprintf(&b, "REST   %s/v1/movies, /v1/productions, /v1/people\n", f.REST)
	for _, r := range f.Replicas {
		if r.REST != "" {
			fmt.Fprintf(&b, "       %s/v1/people, the door that %s keeps for itself\n", r.REST, r.ID)
			break
		}
	}
	fmt.Fprintf(&b, "docs   %s/openapi/, to read and to try it\n", f.REST)
	fmt.Fprintf(&b, "admin  %s/, the front door from inside: routes, settings, explain, metrics\n", f.Inside)
	fmt.Fprintf(&b, "xDS    %s\n", f.XDS)
	fmt.Fprintf(&b, "token  %s\n\n", f.Token)
	key := "-H 'X-API-Key: " + f.APIKey + "'"
	fmt.Fprintf(&b, "curl -s %s '%s/v1/movies?page_size=3&order_by=gross_usd%%20desc'\n", key, f.REST)
	fmt.Fprintf(&b, "curl -s %s '%s/v1/movies/1?view=VIEW_FULL'\n", key, f.REST)
	fmt.Fprintf(&b, "curl -s %s -H 'Content-Type: application/json' -d '{\"stars\": 9}' '%s/v1/movies/1:rate'\n\n", key, f.REST)
	b.WriteString("Break it from another terminal: evenkeel mesh kill|freeze|thaw|slow|drain movie/1. Ctrl-C ends it.\n\n")
	return b.String()
}

// restURL is where the front door is reached from this machine.
func restURL(address net.Addr) string {
	at, err := netip.ParseAddrPort(address.String())
	if err != nil {
		return "http://" + address.String()
	}
	if host := at.Addr().Unmap(); host.IsUnspecified() {
		// All addresses: name one that works. A socket for all IPv6 addresses
		// takes IPv4 as well.
		at = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port())
	}
	return "http://" + at.String()
}

// loadSampler turns what became of the load into a line.
type loadSampler struct {
	at     time.Time
	totals load.Totals
}

func (s *loadSampler) line(now time.Time, m *mesh) string {
	if m.load == nil {
		return "load: none"
	}
	totals, seconds := m.load.Totals(), now.Sub(s.at).Seconds()
	answered, failed := totals.OK-s.totals.OK, totals.Failed+totals.Unsent-s.totals.Failed-s.totals.Unsent
	first := s.at.IsZero()
	*s = loadSampler{now, totals}
	line := fmt.Sprintf("load %.4g/s", m.options.rate)
	if !first {
		line += fmt.Sprintf(": %.0f/s answered, %.0f/s failed", float64(answered)/seconds, float64(failed)/seconds)
	}
	return line + fmt.Sprintf("; %d failed since the start", totals.Failed+totals.Unsent)
}
