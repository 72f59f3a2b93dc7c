package ratelimit

import (
	"net/http"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/evenkeel/evenkeel/gateway/auth"
	"github.com/evenkeel/evenkeel/gateway/problem"
)

// ProblemType is the type of the problem that answers a call over its rate.
const ProblemType = problem.TypeQuotaExceeded

// A Decision is what was found out about a call.
type Decision struct {
	allowed bool
	quiet   bool
	err     error
	applied []applied
	told    []string // the header RateLimit-Policy, if it is known
}

// applied is a policy that applied to the call.
type applied struct {
	name   string
	rate   Rate
	result Result
}

// Allowed reports whether the call may be made.
func (d Decision) Allowed() bool { return d.allowed }

// Err is why nothing could be found out. It is for the log.
func (d Decision) Err() error { return d.err }

// Refused returns the name of the policy that refuses the call for longest, and
// when a call may be made again. The name is empty if none did.
func (d Decision) Refused() (policy string, retryAfter time.Duration) {
	for _, a := range d.applied {
		if !a.result.Allowed && (policy == "" || a.result.RetryAfter > retryAfter) {
			policy, retryAfter = a.name, a.result.RetryAfter
		}
	}
	return policy, retryAfter
}

// violated returns the names of all policies that refuse the call.
func (d Decision) violated() []string {
	var names []string
	for _, a := range d.applied {
		if !a.result.Allowed {
			names = append(names, a.name)
		}
	}
	return names
}

// SetHeaders sets RateLimit-Policy and RateLimit, if a policy applied.
func (d Decision) SetHeaders(h http.Header) {
	if d.quiet || len(d.applied) == 0 {
		return
	}
	told := d.told
	if told == nil {
		told = tell(d.applied)
	}
	var room [128]byte
	states := room[:0]
	for i, a := range d.applied {
		if i > 0 {
			states = append(states, ", "...)
		}
		states = a.appendState(states)
	}
	h["Ratelimit-Policy"] = told
	h["Ratelimit"] = []string{string(states)}
}

// tell returns the header RateLimit-Policy.
func tell(policies []applied) []string {
	var text []byte
	for i, a := range policies {
		if i > 0 {
			text = append(text, ", "...)
		}
		text = a.appendPolicy(text)
	}
	return []string{string(text)}
}

// tellAll returns it of a call that all of some policies apply to. It is shared
// by all such calls, and full: who adds to it gets another.
func tellAll(policies []Policy) []string {
	all := make([]applied, len(policies))
	for i, p := range policies {
		all[i] = applied{name: p.Name, rate: p.Rate}
	}
	return tell(all)
}

func (a applied) appendPolicy(b []byte) []byte {
	b = append(append(append(b, '"'), a.name...), `";q=`...)
	b = strconv.AppendInt(b, a.rate.Requests, 10)
	// The draft has whole seconds only; what is not whole is not told rather
	// than told wrong.
	if a.rate.Period%time.Second == 0 {
		b = strconv.AppendInt(append(b, ";w="...), int64(a.rate.Period/time.Second), 10)
	}
	return b
}

func (a applied) appendState(b []byte) []byte {
	b = append(append(append(b, '"'), a.name...), `";r=`...)
	b = strconv.AppendInt(b, a.result.Remaining, 10)
	return strconv.AppendInt(append(b, ";t="...), seconds(a.result.Reset), 10)
}

// seconds rounds up: earlier would be too early.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// Problem returns the answer to a call that may not be made, nil if it may.
func (d Decision) Problem() *problem.Problem {
	switch {
	case d.allowed:
		return nil
	case d.err != nil:
		p := problem.New(http.StatusServiceUnavailable, codes.Unavailable, "it cannot be found out at the moment whether the call is within its rate")
		p.RetryAfter = time.Second
		return p
	}
	policy, retryAfter := d.Refused()
	p := problem.New(http.StatusTooManyRequests, codes.ResourceExhausted, "more calls were made than the rate `"+policy+"` has room for; Retry-After tells when there is room again")
	p.Type, p.ViolatedPolicies = ProblemType, d.violated()
	p.RetryAfter = retryAfter
	return p
}

// Middleware counts each request before next, and answers those that are over a
// rate. It takes the caller from the context, see [auth.NewContext], so that
// what authenticates comes before it.
func (l *Limiter) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		principal, _ := auth.FromContext(r.Context())
		d := l.Allow(r.Context(), Request{
			Method: l.config.Method(r), Principal: principal, Address: l.config.Address(r), HTTP: r,
		})
		d.SetHeaders(w.Header())
		if p := d.Problem(); p != nil {
			p.Write(w)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func methodOf(r *http.Request) string {
	if r.Pattern != "" {
		return r.Pattern
	}
	return r.Method + " " + r.URL.Path
}
