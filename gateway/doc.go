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
//  3. The path is resolved to a method: 404, or 405 with Allow. HEAD is
//     answered like GET, OPTIONS with Allow. X-HTTP-Method-Override is not
//     looked at. From here on only the method counts, however the path was
//     written.
//  4. The caller is authenticated: 401 if credentials do not hold, 400 if there
//     is more than one. See package auth.
//  5. The caller is authorized by the method's option
//     evenkeel.gateway.v1.access: 401 without credentials, 403 if a scope is
//     missing.
//  6. Accept must be met (406), every query parameter be known, settable and
//     valid (400), Grpc-Timeout be a timeout (400).
//  7. The body is read: only where the method takes one, as application/json
//     (415), plain or gzip, below a size before and after inflating (413), in
//     time (408), not too deep (400).
//  8. The generated handler decodes it. Unknown fields and enum names, fields
//     that are there twice, bytes behind the value and numbers out of range are
//     answered 400 with the field's path.
//  9. The request is checked against its protovalidate rules (400).
//  10. It is called with the caller's identity on it, see package identity, and
//     within the caller's deadline, capped.
//
// Nothing of a body is read, and nothing in a request is told to be wrong, for
// one who is not let in.
//
// # Answers
//
// JSON answers carry every field that has no presence, so that an empty list
// and an empty nextPageToken are there; optional fields and messages that are
// not set are left out. Errors are problem details, see package problem; field
// paths in them are paths in the request message, in JSON names, whether the
// field came from the path, the query or the body. Of the upstream's metadata
// only what Config.ReturnHeaders names comes back.
//
// # Streams
//
// A server stream is NDJSON: a line {"result": message} for each message, as
// grpc-gateway writes it, of type application/x-ndjson, or application/json for
// those who accept only that. Its status is sent when the backend sends its
// headers, which in Go it does by SendHeader or with the first message. An
// error before that is answered with a status of its own; an error after it is
// the last line, {"error": problem}. Streams of google.api.HttpBody are passed
// on as bytes, and cut on an error. A client stream is a body of JSON values
// one behind the other, bounded like any body.
//
// A caller that goes away cancels the call. A stream lasts Timeouts.Stream at
// most, and each write Timeouts.Write; no other timeout ends it but a drain,
// which tells so in the last line.
//
// # Sources
//
// google/api/http.proto for routes; RFC 9110 for methods, media types and
// authentication challenges; RFC 9457 for problems; RFC 6750 for bearer tokens;
// the gRPC protocol for Grpc-Timeout.
package gateway
