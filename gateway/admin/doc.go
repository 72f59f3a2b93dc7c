// Package admin shows a gateway to those who run it: health with reasons, the
// config in force, the routes, what would become of a request, and profiles. It
// is served at an address of its own, never at the public one:
//
//	a, err := admin.New(g, admin.Config{Profiles: true})
//	…
//	inside, err := net.Listen("tcp", "127.0.0.1:9901")
//	…
//	adminCtx, stop := context.WithCancel(context.Background())
//	defer stop() // after the door has drained, so that it can be watched
//	go a.Serve(adminCtx, inside)
//	err = g.Serve(ctx, listener)
//
// # What there is
//
//	/               an overview, for people
//	/livez, /readyz health; the reason is told here
//	/routes         each route: who may call it, limits, timeouts, retries
//	/config         every setting, with its default set and secrets left out
//	/explain        what would become of a request, step by step
//	/debug/pprof/   profiles, if [Config.Profiles] is set
//
// /routes, /config and /explain are pages; with `.json` behind them they are
// JSON, with `.txt` they are text. More can be added, such as metrics:
// [Config.Handlers].
//
//	curl -s localhost:9901/routes.txt
//	curl -sG localhost:9901/explain.txt -d method=GET --data-urlencode 'target=/v1/movies/1?view=VIEW_FULL' -d subject=ann -d scopes=movies.read
//
// A request is explained by doing everything the door would do but the call:
// see [gateway.Gateway.Explain].
//
// # What keeps others out
//
// There is no authentication. Instead, it answers only where it can be reached
// by nobody else: [Admin.Serve] refuses an address that is not loopback, and the
// handler a request that came in at such a one, unless [Config.AllowRemote] is
// set. So that no web page that an operator looks at can read it, the Host must
// be an address, localhost or one of [Config.Hosts] (DNS rebinding), a request
// that a browser makes for another site is refused, and there is no CORS.
// Nothing here changes anything.
//
// What is shown of the config is what is known to be no secret: numbers,
// durations, switches, and those texts that are on a list. Keys, certificates,
// functions and types that are not of this module are shown as set or not.
//
// Package net/http/pprof is not used: importing it adds profiles to
// http.DefaultServeMux, which may be public.
package admin
