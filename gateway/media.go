package gateway

import (
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/evenkeel/evenkeel/gateway/problem"
)

const (
	typeJSON   = "application/json"
	typeNDJSON = "application/x-ndjson"
	typeSSE    = "text/event-stream"
	typeBytes  = "application/octet-stream"
)

// checkContentType refuses a body that is not JSON. A body without a type is
// refused, too: what it is would be a guess, and a page of another site can
// make a browser send such.
func checkContentType(h http.Header, accepted ...string) *problem.Problem {
	values := h["Content-Type"]
	if len(values) == 1 {
		if slices.Contains(accepted, values[0]) {
			return nil // as most write it
		}
		mediaType, params, err := mime.ParseMediaType(values[0])
		if err == nil && knownParams(params) {
			for _, a := range accepted {
				if mediaType == a {
					return nil
				}
			}
		}
	}
	return problem.New(http.StatusUnsupportedMediaType, codes.InvalidArgument,
		"the body's Content-Type must be "+strings.Join(accepted, " or "))
}

// knownParams accepts a charset that says what JSON is anyway.
func knownParams(params map[string]string) bool {
	for name, value := range params {
		if name == "charset" && !strings.EqualFold(value, "utf-8") {
			return false
		}
	}
	return true
}

// negotiate returns the offer that an Accept header likes best, the first of
// several that it likes as well, or "" if it takes none (RFC 9110, section
// 12.5.1). Without the header, anything goes.
func negotiate(accept []string, offers ...string) string {
	if len(accept) == 0 || len(accept) == 1 && accept[0] == offers[0] {
		return offers[0]
	}
	best, bestQ := "", 0
	for _, offer := range offers {
		if q := quality(accept, offer); q > bestQ {
			best, bestQ = offer, q
		}
	}
	return best
}

// quality returns the weight, in thousandths, that the most specific range
// which covers an offer gives it; 0 if none does.
func quality(accept []string, offer string) int {
	q, specific := 0, -1
	for _, line := range accept {
		for line != "" {
			var item string
			item, line, _ = strings.Cut(line, ",")
			mediaRange, params, _ := strings.Cut(item, ";")
			s := covers(strings.ToLower(strings.TrimSpace(mediaRange)), offer)
			if s > specific {
				q, specific = weight(params), s
			}
		}
	}
	return q
}

// covers returns how specific a range is if it covers an offer, or -1.
func covers(mediaRange, offer string) int {
	kind, _, _ := strings.Cut(offer, "/")
	switch mediaRange {
	case offer:
		return 2
	case kind + "/*":
		return 1
	case "*/*":
		return 0
	default:
		return -1
	}
}

// weight reads q from a range's parameters: 1 without one, 0 if it is broken.
func weight(params string) int {
	for params != "" {
		var param string
		param, params, _ = strings.Cut(params, ";")
		name, value, _ := strings.Cut(strings.TrimSpace(param), "=")
		if !strings.EqualFold(name, "q") {
			continue
		}
		q, err := strconv.ParseFloat(value, 64)
		if err != nil || !(q >= 0 && q <= 1) {
			return 0
		}
		return int(q * 1000)
	}
	return 1000
}
