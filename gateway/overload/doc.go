// Package overload keeps a service working when more is asked of it than it can
// do: it bounds how many calls are in flight, finds the bound by itself from how
// long calls take, and refuses first what matters least.
//
//	limiter, err := overload.New(overload.Config{})
//	…
//	client := moviev1.NewMovieServiceClient(limiter.Wrap(conn, overload.ConnConfig{}))
//
// A call that is refused fails at once, with UNAVAILABLE and a RetryInfo, which
// a gateway answers as 503 with Retry-After. [Limiter.Middleware] does the same
// before an [http.Handler]. Use one limiter for each set of backends that share
// their load: what one of them can do says nothing about another.
//
// # Priorities
//
// [Critical] calls may fill the limit. [Default] ones leave some room to them,
// [Sheddable] ones to both. A method declares its priority in its option
// evenkeel.gateway.v1.limits, or a func says it of each call.
//
// # How the limit is found
//
// The time of each call is compared with how long its method takes at light
// load, so that slow methods are not taken for overload. Every [Config.Window]
// the limit moves, by a fifth of the way at a time, to where calls would take
// [Config.Tolerance] times as long: that many calls keep the workers busy and
// wait little. It moves only if it was put to the test. Calls that time out
// count with the time they took.
//
// Load is light while at most a quarter or so of what the limit allows is in
// flight. If the limit holds calls back for so long that none ran at light load,
// a probe holds back those that are not critical for some ten calls' time: so
// what is taken for light load cannot creep upward during an overload that lasts
// for hours, and follows a service that became slower for another reason.
// Until that is known, a service whose calls take more than Tolerance times as
// long is taken for overloaded, whatever the reason.
//
// # Sources
//
// Little's law. The gradient is that of Envoy's adaptive concurrency filter and
// of Netflix' concurrency-limits; priorities are as in Uber's Cinnamon and in
// chapter 21 of Site Reliability Engineering. Unlike those it compares each
// method with itself, and probes only under load and only as low as it must.
package overload
