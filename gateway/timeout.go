package gateway

import (
	"net/http"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/evenkeel/evenkeel/gateway/problem"
)

// timeoutHeader is gRPC's own, so that gRPC clients, proxies and people write a
// timeout in one way.
const timeoutHeader = "Grpc-Timeout"

// parseTimeout reads a timeout as gRPC writes it on the wire: one to eight
// digits and a unit, H, M, S, m, u or n.
func parseTimeout(s string) (time.Duration, bool) {
	if len(s) < 2 || len(s) > 9 {
		return 0, false
	}
	var unit time.Duration
	switch s[len(s)-1] {
	case 'H':
		unit = time.Hour
	case 'M':
		unit = time.Minute
	case 'S':
		unit = time.Second
	case 'm':
		unit = time.Millisecond
	case 'u':
		unit = time.Microsecond
	case 'n':
		unit = time.Nanosecond
	default:
		return 0, false
	}
	n := int64(0)
	for _, c := range []byte(s[:len(s)-1]) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	// 99,999,999 hours are more than a Duration holds.
	if most := int64(1<<63-1) / int64(unit); n > most {
		n = most
	}
	return time.Duration(n) * unit, true
}

// replyReserve is how much of the time that a caller gives its call does not
// get, so that the caller is still there to be answered; at most a tenth of it.
const replyReserve = 20 * time.Millisecond

// readTimeout finds out how long the call may take. What makes calls again leaves
// a reserve itself.
func (x *exchange) readTimeout() (p *problem.Problem) {
	reserve := replyReserve
	if x.binding.retry != nil {
		reserve = 0
	}
	x.timeout, p = x.gateway.config.Timeouts.timeoutFor(x.request.Header, x.binding.stream(), reserve)
	return p
}

// timeoutFor returns how long a call may take: what the caller asks for less the
// reserve, below the cap.
func (t *Timeouts) timeoutFor(h http.Header, stream bool, reserve time.Duration) (time.Duration, *problem.Problem) {
	fallback, limit := t.Call, t.CallMax
	if stream {
		fallback, limit = t.Stream, t.Stream
	}
	given := h[timeoutHeader]
	if len(given) == 0 {
		return fallback, nil
	}
	asked, ok := parseTimeout(given[0])
	if !ok || len(given) > 1 {
		return 0, problem.New(http.StatusBadRequest, codes.InvalidArgument,
			"the header Grpc-Timeout is not a timeout: up to eight digits and a unit, H, M, S, m, u or n, such as 500m")
	}
	return min(asked-min(reserve, asked/10), limit), nil
}
