// Package retry makes calls once more where that can do no harm, and gives each
// call less time than its caller has, so that there is time left to answer.
//
//	conn, err := retry.Wrap(conn, retry.Config{})
//	…
//	client := moviev1.NewMovieServiceClient(conn)
//
// A call is made again only if all of this holds:
//
//   - Its method is idempotent: it has a google.api.http binding to GET, or the
//     option idempotency_level, or is named in [Config.Idempotent].
//   - It failed with a code that says that another try may succeed, and before
//     the headers of a response came: what answered was not the service.
//   - The server does not push back. It may say by the trailer
//     grpc-retry-pushback-ms when to come back, or, by a negative number, not to.
//     A RetryInfo among the status details counts as well; if it asks for more
//     than [Config.MaxBackoff], the caller is told at once.
//   - There is time for it before the deadline.
//   - The budget has room. Retries are at most a part of the calls of the last
//     ten seconds, so that a service that is down is not called many times as
//     often by those who wait for it.
//
// Streams are never made again; they get their deadline.
//
// # Sources
//
// gRFC A6 for pushback, for what came too far to be retried, and for full jitter;
// the budget is that of Finagle and linkerd; google.protobuf.MethodOptions for
// idempotency_level; RFC 9110, section 9.2.2, for GET.
package retry
