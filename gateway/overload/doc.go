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
// load, so that slow methods are not taken for overload. Every [Config.Window],
// or as long as calls take if that is longer, the limit moves a fifth of the way
// to where calls would take [Config.Tolerance] times as long, and all of the way
// if there is no doubt. So many calls keep the workers busy and wait little. It
// grows no further than half beyond what was in flight. Calls that time out
// count with the time they took.
//
// Load is light while at most half as many calls are in flight as can run
// without waiting. If the limit holds calls back for so long that hardly one ran
// at light load, a probe holds back those that are not critical (or all, where
// critical ones are refused, too) until twenty have run: so what is taken for light load cannot creep upward during an overload
// that lasts for hours. A service that becomes slower for another reason than
// load, by more than Tolerance, is taken for overloaded at first; when the limit
// comes down to a quarter and calls do not become faster for it, or by the
// probes, that is found out, within a minute.
//
// Where many backends have one worker each and calls differ much, some workers
// idle while others have a queue, and the limit settles at some eight tenths of
// what all of them could do; a higher Tolerance brings more.
//
// # Sources
//
// Little's law. The gradient is that of Envoy's adaptive concurrency filter and
// of Netflix' concurrency-limits; priorities are as in Uber's Cinnamon and in
// chapter 21 of Site Reliability Engineering. Unlike the first two it compares
// each method with itself, and probes only under load and only as low as it must.
package overload
