// Package telemetry makes OpenTelemetry traces and metrics of what an HTTP
// server does, and of the gRPC calls that it makes for it.
//
//	t, err := telemetry.New(telemetry.Config{TracerProvider: traces, MeterProvider: metrics})
//	…
//	g, err := gateway.New(gateway.Config{Telemetry: t})
//	conn, err := grpc.NewClient(target, append(t.DialOptions(), creds)...)
//
// Alone, it goes around an [http.ServeMux]: [Telemetry.Middleware].
//
// It depends on OpenTelemetry's API only. Where traces and metrics go is up to
// the providers; package otelsetup, below this one, makes ready ones. A nil
// *Telemetry is valid: it does nothing and costs nothing.
//
// # Traces
//
// Each request is a span of kind server, named by its method and its route, such
// as `GET /v1/{name=shelves/*/books/*}`, never by its path. The trace context
// (W3C, by default) goes upstream in the metadata of each call. Connections made
// with [Telemetry.DialOptions] make gRPC's own spans: one for the call and one
// for each attempt; one that has no dial options, such as a service in the same
// process, is given a span for each call by [Telemetry.WrapConn].
//
// Who sends a traceparent asks for its trace to be recorded, and says which
// trace it is. From callers that anybody can be, neither is taken: by default a
// request begins a trace of its own, which the sampler of the TracerProvider
// decides about, and which links to what the caller sent.
// Config.TrustTraceContext says whose traces are continued.
//
// A path and a query may hold anything, so they are in no span, although the
// conventions ask for url.path; Config.RecordPath records it. Queries, headers
// other than User-Agent, and bodies are recorded by nothing here.
//
// # Metrics
//
// Those of OpenTelemetry's semantic conventions, of which the first is stable:
//
//	http.server.request.duration     s        http.request.method, url.scheme, http.route,
//	                                          http.response.status_code,
//	                                          network.protocol.version, error.type
//	http.server.active_requests      {request} http.request.method, url.scheme
//	http.server.request.body.size    By       as the duration
//	http.server.response.body.size   By       as the duration
//	rpc.client.call.duration         s        rpc.system.name, rpc.method,
//	                                          rpc.response.status_code, error.type;
//	                                          of WrapConn only
//
// Those of gRPC (grpc.client.*, and of its balancers grpc.lb.*), of DialOptions.
// And what a front door decides:
//
//	evenkeel.gateway.rejections        {request} reason, http.request.method, http.route
//	evenkeel.gateway.panics            {panic}   http.request.method, http.route
//	evenkeel.gateway.retries           {call}    rpc.service, outcome: made, over_budget
//	evenkeel.gateway.overload.limit    {call}    rpc.service
//	evenkeel.gateway.overload.in_flight {call}   rpc.service
//	evenkeel.gateway.overload.calls    {call}    rpc.service, priority, outcome: accepted, refused
//
// reason is one of the constants of type [Reason]. A limiter that several
// services share is told once, under the first of them.
//
// Bodies are counted as the server reads and writes them: without what a
// middleware further out saves by compression.
//
// # Cardinality
//
// No label holds what a caller says: routes and RPC methods are those that were
// registered, methods those of HTTP and of the routes, all others being _OTHER,
// and versions, schemes, codes and statuses are from fixed sets.
//
// # Sources
//
// OpenTelemetry's semantic conventions 1.43 for HTTP and RPC; W3C Trace Context;
// gRFC A66 and A72 for what gRPC's own handler tells.
package telemetry
