// Package ratelimit bounds how many calls a caller may make in a time.
//
//	limiter, err := ratelimit.New(ratelimit.Config{
//		Policies: []ratelimit.Policy{{
//			Name: "caller",
//			Rate: ratelimit.Rate{Requests: 100, Period: time.Minute},
//		}},
//	})
//	…
//	http.ListenAndServe(address, limiter.Middleware(handler))
//
// A [Policy] has a rate and a [Key] that says who is counted together: [Caller],
// the default, [Address], [Everybody], or a func of one's own. A method may
// declare policies in its option evenkeel.gateway.v1.limits, see [Declared]. A
// request must be within all policies that apply to it, and is counted by all
// or by none: one that is refused costs nothing.
//
// Rates are kept by the generic cell rate algorithm. It holds one time for each
// key, has no windows at whose edges twice the rate could pass, and lets a
// caller go on as soon as there is room for one more call.
//
// # What is told
//
// An answer carries RateLimit-Policy and RateLimit for each policy that applied:
//
//	RateLimit-Policy: "caller";q=100;w=60
//	RateLimit: "caller";r=99;t=1
//
// q calls in w seconds; r may come now, and in t seconds all is as new. (w is
// left out if the period is not in whole seconds.) A call that is refused is
// answered 429 with a problem of type [ProblemType] and Retry-After.
//
// # Where counts are kept
//
// In a [Store]; by default in this process, see [NewLocal], in memory that is
// bounded whatever the callers do. Each process then has counts of its own.
//
// # Sources
//
// ITU-T I.371, annex A, for the algorithm; draft-ietf-httpapi-ratelimit-headers
// for the headers and the problem type; RFC 9110, section 10.2.3, for
// Retry-After; RFC 6585 for 429; RFC 7239, section 8.1, for whom to believe an
// address.
package ratelimit
