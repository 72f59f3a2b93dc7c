package gateway

import (
	"context"
	"crypto/tls"
	"log/slog"
	"time"

	"github.com/evenkeel/evenkeel/gateway/auth"
	"github.com/evenkeel/evenkeel/gateway/compress"
	"github.com/evenkeel/evenkeel/gateway/cors"
	"github.com/evenkeel/evenkeel/gateway/loadreport"
	"github.com/evenkeel/evenkeel/gateway/policy"
	"github.com/evenkeel/evenkeel/gateway/ratelimit"
	"github.com/evenkeel/evenkeel/gateway/telemetry"
)

// Config says how a [Gateway] behaves. Its zero value is safe: with it, only
// methods that declare themselves public can be mounted. [New] refuses values
// outside the stated ranges with the field's path.
type Config struct {
	// Authenticators judge a request's credentials, in this order, until one
	// finds credentials of its kind. Those that have a method
	// `Ready(context.Context) error` are asked by /readyz. None by default:
	// then a service with a method that is not public cannot be mounted.
	Authenticators []auth.Authenticator

	// Realm names what the credentials are for, in WWW-Authenticate.
	// Printable ASCII without quotes and backslashes; default "evenkeel".
	Realm string

	// Logger takes one record a request, at Info, and what went wrong inside,
	// at Warn or Error. Tokens, keys, bodies and query values never reach it.
	// Default [slog.Default]; slog.New(slog.DiscardHandler) for silence.
	Logger *slog.Logger

	// AccessLog says which requests leave a record.
	AccessLog AccessLog

	// Telemetry makes traces and metrics, see package telemetry. Requests for
	// health leave none. Default nil: none are made.
	Telemetry *telemetry.Telemetry

	// LoadReport tells a balancer in front, in the header
	// endpoint-load-metrics of each answer, how loaded the gateway is, see
	// package loadreport. Its owner closes it. Default nil: nobody is told.
	LoadReport *loadreport.Reporter

	// Limits bound what one caller can make the gateway hold.
	Limits Limits

	// Policy names the roles that the option evenkeel.gateway.v1.policy of a
	// method may ask for, and bounds what its conditions cost. Default: no
	// roles; conditions hold all the same.
	Policy policy.Config

	// RateLimit bounds how often callers may call. Its policies hold for all
	// methods, those of the option evenkeel.gateway.v1.limits for one besides.
	// Default: only those, counted in this process. Method is not looked at,
	// and Logger is the one above if none is given. Address also says where a
	// call comes from to the conditions of a policy, in the log, in traces, and
	// upstream in the metadata x-forwarded-for.
	RateLimit ratelimit.Config

	// Timeouts bound how long things may take.
	Timeouts Timeouts

	// ForwardHeaders are request headers that go upstream as metadata of the
	// same name in lower case, besides Accept-Language, Traceparent and
	// Tracestate. Nothing else goes. Authorization and Cookie go only if named
	// here. Names that carry identity, gRPC's own and those of one hop are
	// refused. Where Telemetry makes traces, it sends trace context of its own,
	// and the caller's goes no further, named here or not.
	ForwardHeaders []string

	// ReturnHeaders are keys of the upstream's header metadata that come back
	// as response headers of the same name, in place of one that the gateway sets
	// itself, such as Cache-Control. Binary ones are in base64. Nothing else comes
	// back: neither trailers nor the load reports in them. Default none.
	ReturnHeaders []string

	// TLS makes [Gateway.Serve] speak TLS, and HTTP/2 besides HTTP/1.1. It
	// must name its certificates. Default nil: plain HTTP/1.1.
	TLS *tls.Config

	// UnencryptedHTTP2 also accepts HTTP/2 without TLS, with prior knowledge,
	// as proxies speak it. Default false.
	UnencryptedHTTP2 bool

	// CORS lets web pages of other origins in. Default nil: browsers keep them
	// out, and what they send without asking, such as forms, is answered 403. What
	// CORS answers itself leaves no record.
	CORS *cors.Policy

	// Compress makes answers smaller for callers that accept it. Default nil:
	// they are sent as they are.
	Compress *compress.Compressor

	// JSON says which form JSON takes in answers.
	JSON JSON

	// Lenient says what of a request is ignored instead of refused.
	Lenient Lenient

	// Streams says how streams are answered.
	Streams Streams

	// QuotedETags says that fields named `etag` hold entity tags with their
	// quotes, as AIP-154 recommends: `"abc"` or `W/"abc"`. Default false: they
	// hold what is between the quotes, and the gateway puts those around it.
	QuotedETags bool

	// Health says where health is answered.
	Health Health

	// Drain says how [Gateway.Serve] ends.
	Drain Drain

	// OpenAPI serves a description of what is mounted, to everybody: the
	// document at /openapi.json, a page to read it and to try calls at /openapi/,
	// and what errors mean at /openapi/problems. Mount refuses a service that
	// cannot be described. Default nil: nothing is served there.
	OpenAPI *OpenAPI
}

// AccessLog says which requests leave a record. Always do
//   - those that failed: a status of 400 or more, none at all, or a stream that
//     ended with an error,
//   - unary calls that took Slow or longer.
//
// Of the others a part does, drawn by chance; their records have the attribute
// `sampled` with that part.
type AccessLog struct {
	// Sample is what part of the other requests leaves a record. 0 to 1, where
	// 0 stands for the default, 1: all do. Negative for none.
	Sample float64

	// Slow is how long a call takes that is always recorded. 1 ms to 24 h;
	// default 1 s.
	Slow time.Duration

	// Random is what is drawn: a number from 0 up to 1. It is called
	// concurrently, and only if Sample is below 1. Default: that of
	// math/rand/v2.
	Random func() float64
}

// Limits bound what one caller can make the gateway hold. Zero stands for the
// default of each; negative values are refused.
type Limits struct {
	// HeaderBytes bounds a request's line and headers together; more is
	// answered 431 by net/http, which adds 4 KiB of slack. 1 KiB to 1 MiB;
	// default 16 KiB. It holds for [Gateway.Serve] only: another server that
	// uses the handler has a limit of its own.
	HeaderBytes int

	// URLBytes bounds a request's target; more is answered 414. 64 B to 1 MiB;
	// default 8 KiB.
	URLBytes int

	// BodyBytes bounds a request's body, before and after it is inflated; more
	// is answered 413, before it is read where its length is known. Of a client
	// stream it bounds each message, not the whole, which is never held at once.
	// Up to 1 GiB; default 1 MiB.
	BodyBytes int64

	// JSONDepth bounds how deep objects and arrays nest in a body, and how deep
	// a query parameter goes; more is answered 400. Up to 1,000; default 64.
	JSONDepth int

	// QueryParameters bounds how many parameters a URL carries; more is
	// answered 400. Up to 10,000; default 200.
	QueryParameters int

	// Connections bounds the connections that [Gateway.Serve] has open at
	// once. For one more, the one is closed that has asked for nothing for
	// longest; where all are being answered, it waits. Up to 1,000,000; default
	// 10,000.
	Connections int

	// StreamsPerConnection bounds the concurrent requests of one HTTP/2
	// connection. Up to 10,000; default 100.
	StreamsPerConnection int

	// HeldBytes bounds what is held in memory for all callers who keep the
	// gateway waiting together: answers that they do not take, with 1 MiB for
	// each stream that has waited for a second, see [DialOptions], and bodies that
	// are still to come. Beyond it, those are let go who have kept it waiting for
	// longest, which is for more than a second; and beyond twice as much, also
	// those who have for less. With the bodies of calls that the backends work on
	// it is twice as much at most: others are answered 503. Set it higher where
	// many callers download slowly at once: each of their streams counts. 1 MiB to
	// 1 TiB; default 256 MiB, or 16 times BodyBytes if that is more.
	HeldBytes int64
}

// Timeouts bound how long things may take. Zero stands for the default of
// each; negative values are refused.
type Timeouts struct {
	// ReadHeader bounds the time to read a request's headers. Up to 1 h;
	// default 5 s.
	ReadHeader time.Duration

	// ReadBody bounds the time to read a request's body, as a whole; more is
	// answered 408. Of a client stream it bounds the time until each message
	// is there, but not how long a bidirectional stream rests between two. Up
	// to 1 h; default 30 s.
	ReadBody time.Duration

	// Write bounds each write to the caller, of 64 KiB at most, so that one who
	// does not read is let go while a stream or a large answer may last. Up to
	// 1 h; default 30 s.
	Write time.Duration

	// Idle bounds how long a connection is kept open between requests. Up to
	// 24 h; default 2 min.
	Idle time.Duration

	// Call is how long a unary call may take if the caller does not say. Up to
	// CallMax; default 15 s, or CallMax if that is less.
	Call time.Duration

	// CallMax caps what the caller asks for in the header Grpc-Timeout (`500m`
	// is half a second, as in gRPC's wire format). Of what is asked for, the last
	// 20 ms, or the last tenth if that is less, are left to answer in. Up to 24 h;
	// default 1 min.
	CallMax time.Duration

	// Stream caps how long a stream may last, whether the caller asks for a
	// deadline or not. Up to 30 days; default 1 h.
	Stream time.Duration
}

// Health says where health is answered: 200 and a small JSON object, or 503.
// The answers need no credentials and tell no more than that.
type Health struct {
	// LivePath answers 200 as long as the process serves. Default "/livez".
	LivePath string

	// ReadyPath answers 200 while requests should be sent here: not while
	// draining, not before every upstream that tells its state has been
	// connected once, not while none of them is connected, and not while a
	// check fails. Default "/readyz".
	ReadyPath string

	// Checks are asked at every request to ReadyPath and fail it by an error.
	// They are called concurrently and must be quick: the context ends after
	// two seconds.
	Checks []func(context.Context) error

	// IgnoreUpstreams leaves the state of the upstream connections out of
	// readiness. Default false.
	IgnoreUpstreams bool
}

// Drain says how [Gateway.Serve] ends once its context is done.
type Drain struct {
	// Delay is how long requests are still accepted, while ReadyPath answers
	// 503, so that load balancers notice, and callers leave the connections that
	// they have. Up to 1 h; default 5 s. Negative for none, where nothing stands
	// in front: then what is on its way over an idle connection is lost.
	Delay time.Duration

	// Timeout is how long requests in flight may take to finish after that,
	// before they are cut. Streams are ended at its start. Up to 24 h; default
	// 30 s.
	Timeout time.Duration
}
