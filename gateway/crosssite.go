package gateway

import (
	"net/http"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/evenkeel/evenkeel/gateway/auth"
	"github.com/evenkeel/evenkeel/gateway/problem"
)

// refuseForms refuses what a page of another site can make a browser send without
// asking first, as by a form: a POST with no body or one of no type that needs to
// be asked for. A browser shows its user's certificate with it, and comes from the
// user's network. What carries a token or a key is none: for those it asks.
//
// Source: the Fetch standard, sections 2.2.2 and 3.2 (CORS-safelisted requests);
// Sec-Fetch-Site of Fetch Metadata, and Origin for browsers without it.
func (x *exchange) refuseForms() *problem.Problem {
	r := x.request
	if r.Method != http.MethodPost || len(r.Header["Authorization"])+len(r.Header[auth.APIKeyHeader]) > 0 ||
		!sentWithoutAsking(r.Header["Content-Type"]) || !fromAnotherSite(r) || x.originMay() {
		return nil
	}
	return problem.New(http.StatusForbidden, codes.PermissionDenied, "a page of another site sent it, without asking; let its origin in by CORS, or send JSON")
}

// sentWithoutAsking reports whether a browser sends a body of a type to another
// site without asking whether it may.
func sentWithoutAsking(contentType []string) bool {
	return !slices.ContainsFunc(contentType, func(value string) bool {
		mediaType, _, _ := strings.Cut(value, ";")
		switch strings.ToLower(strings.TrimSpace(mediaType)) {
		case "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data":
			return false
		default:
			return true
		}
	})
}

// fromAnotherSite reports whether a browser says that a page of another origin
// made it send r. What is no browser says neither.
func fromAnotherSite(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" {
		return site != "same-origin" && site != "none" // none is the user's own doing
	}
	origin := r.Header.Get("Origin")
	_, host, _ := strings.Cut(origin, "://")
	return origin != "" && !strings.EqualFold(host, r.Host)
}

// originMay reports whether the pages of the request's origin are let in. Those of
// every origin are for what nobody in particular may do: who is known here is so by
// what a browser shows to all.
func (x *exchange) originMay() bool {
	policy := x.gateway.config.CORS
	return policy != nil && policy.Allows(x.request.Header.Get("Origin")) &&
		(x.principal == nil || !slices.Contains(policy.Config().Origins, "*"))
}
