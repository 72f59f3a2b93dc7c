// Package gateway is a front door: it serves gRPC services as REST, by the
// google.api.http options in their protos, and lets in only whom those protos
// let in.
//
// Generated grpc-gateway handlers mount on it. It is an [http.Handler] and a
// server:
//
//	g, err := gateway.New(gateway.Config{Authenticators: []auth.Authenticator{tokens}})
//	…
//	err = gateway.Mount(g, gateway.Service[moviev1.MovieServiceClient]{
//		Desc:      &moviev1.MovieService_ServiceDesc,
//		Conn:      conn, // any grpc.ClientConnInterface
//		NewClient: moviev1.NewMovieServiceClient,
//		Register:  moviev1.RegisterMovieServiceHandlerClient,
//	})
//	…
//	err = g.Serve(ctx, listener) // until ctx is done, then drains
//
// # What happens to a request
//
// In this order; each step can end it with an answer:
//
//  1. It gets an id: its own X-Request-Id if that is 1 to 128 letters, digits,
//     `-`, `_`, `.` or `~`, a new one otherwise. The id goes out in the same
//     header, upstream in the metadata x-request-id, and into the log.
//  2. A URL that is too long is answered 414.
//  3. The path is resolved to a method: 404, or 405 with Allow; 400 if it has a
//     segment `.` or `..`. HEAD is answered like GET, OPTIONS with Allow. X-HTTP-Method-Override is not
//     looked at. From here on only the method counts, however the path was
//     written.
//  4. The caller is authenticated: 401 if credentials do not hold, 400 if there
//     is more than one. See package auth.
//  5. The call is counted against its rates, those of Config.RateLimit and of
//     the method's option evenkeel.gateway.v1.limits: 429. So is one whose
//     credentials do not hold. See package ratelimit.
//     A POST that a form of another site can make a browser send, with nothing or
//     plain text in it, is answered 403, unless Config.CORS lets the origin in.
//  6. The caller is authorized by the method's option
//     evenkeel.gateway.v1.access: 401 without credentials, 403 if a scope is
//     missing; and by evenkeel.gateway.v1.policy: 403 if a role is missing, or
//     a condition false that does not look at the request. See package policy.
//  7. In overload, what matters least is answered 503, if the service was
//     mounted with a limiter. See package overload.
//  8. Accept must be met (406), every query parameter be known, settable and
//     valid (400), If-Match be one tag that the request has a field for (400),
//     If-None-Match be on a GET (400), Content-Range not be there (400),
//     Grpc-Timeout be a timeout (400).
//  9. The body is read: only where the method takes one, as application/json
//     (415), plain or gzip, below a size before and after inflating (413), in
//     time (408), not too deep (400). A google.api.HttpBody is taken as any
//     media type.
//  10. It is decoded into the request message. Unknown fields and enum names, fields
//     that are there twice, bytes behind the value and numbers out of range are
//     answered 400 with the field's path.
//  11. The request, each message of a stream, is checked against the conditions
//     of the policy (403), and then against its protovalidate rules (400), see
//     Requests for those of a PATCH.
//  12. It is called with the caller's identity on it, see package identity, and
//     within the caller's deadline, capped, and less what it takes to answer.
//
// Config.CORS and Config.Compress stand around all of it. Each of the packages
// below this one can be used alone, too.
//
// Nothing of a body is read, and nothing in a request is told to be wrong, for
// one who is not let in.
//
// # Requests
//
// All of google.api.http holds: the standard verbs and custom ones, such as
// LOCK or `:publish`, additional bindings, variables of several segments, body
// and response_body. In a variable of one segment every escape is decoded; in
// one of several, an escaped slash stays escaped. Literals match decoded, but an
// escaped slash never separates. Query parameters set fields of any kind but
// messages as a whole: `nested.number=1`, `names=a&names=b`, `counts[a]=1`,
// enums by name or number, well-known types in their JSON form. Fields go by
// their JSON or their proto names, everywhere.
//
// A PATCH whose body is a field of the request, and whose request has one
// google.protobuf.FieldMask, gets a mask of the keys in its body, but for what
// the path sets and for `etag`; objects are gone into, null and defaults clear.
// A mask in the query holds instead; its paths may be in JSON names. Of the
// resource, protovalidate's rules hold for the fields that are in the mask or have
// something in them: what is left out stays as it is, and need not be valid here.
// Rules of a message as a whole are left to the service then, which alone knows
// the rest; those of lists, maps and what lies in them hold, as does all of it
// with the mask `*`.
//
// Where the request, or the resource that is its body, has a string field
// `etag`, the tag in If-Match goes there, and ABORTED is answered 412, as
// AIP-154 has it. If-Match is refused where there is no such field.
//
// # Answers
//
// JSON answers carry every field that has no presence, so that an empty list
// and an empty nextPageToken are there; optional fields and messages that are
// not set are left out. Config.JSON says otherwise, and the parameter `alt` or
// `$alt` does for one request: json, ndjson, sse or media, and
// `json;enum-encoding=int`. Where a request has a field `alt`, only `$alt` does.
// Errors are problem details, see package problem; field paths in them are paths
// in the request message, in JSON names, whether the field came from the path,
// the query or the body. Of the upstream's metadata only what
// Config.ReturnHeaders names comes back, in place of what the gateway says in the
// same header: by default, no answer may be stored (Cache-Control: no-store).
//
// A response with a string field `etag` is answered with the header ETag, and
// 304 to a GET whose If-None-Match has it. The method's option
// evenkeel.gateway.v1.answer makes it answer 201 with a Location, or 204.
//
// # Streams
//
// A server stream is, by Accept or `alt`,
//   - application/x-ndjson, which is the default: a line {"result": message}
//     for each message, as grpc-gateway writes it, and {"error": problem};
//   - application/json: an array of the messages, whose last element is
//     {"error": problem} if it failed;
//   - text/event-stream: an event for each message, whose data it is and whose
//     id and type the option evenkeel.gateway.v1.answer finds in it; an event
//     `error` with a problem, or an event `end`, so that a browser need not take
//     the end for a broken connection; and comments while nothing happens. The
//     header Last-Event-ID goes upstream as the metadata last-event-id.
//
// Its status is sent when the backend sends its headers, which in Go it does by
// SendHeader or with the first message. An error before that is answered with a
// status of its own; an error after it is told in band. Streams of
// google.api.HttpBody are passed on as bytes, and cut on an error. Nothing is
// buffered but one message: a caller that reads slowly slows the backend down.
//
// A client stream is a body of JSON values one behind the other, or, where the
// messages are or hold a google.api.HttpBody, of bytes in parts of 32 KiB. They
// reach the backend one by one; each is bounded like a body, in size and in the
// time that it takes to come. What the query sets is in the first.
// A body that breaks off or goes wrong cancels the call: the backend never takes
// it for one that ended. A bidirectional stream answers while it is read, which
// in HTTP/1.1 needs a caller that reads while it sends.
//
// A caller that goes away cancels the call. A stream lasts Timeouts.Stream at
// most, and each write Timeouts.Write; no other timeout ends it but a drain,
// which tells so in band.
//
// # What is told
//
// Each request but those for health leaves a record in Config.Logger, or, by
// Config.AccessLog, only a part of those that went well. Config.Telemetry makes
// OpenTelemetry traces and metrics, see package telemetry, and
// Config.LoadReport tells a balancer in front how loaded the gateway is.
//
// # Sources
//
// google/api/http.proto for routes; AIP-134 and AIP-154 for updates and tags;
// RFC 9110 and, for PATCH, RFC 5789 for methods, media types, conditions and authentication challenges;
// the HTML standard for server-sent events; RFC 9457 for problems; RFC 6750 for bearer tokens;
// the gRPC protocol for Grpc-Timeout.
package gateway
