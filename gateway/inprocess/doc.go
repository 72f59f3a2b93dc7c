// Package inprocess calls gRPC services that are in the same process, without a
// network and without losing what a network gives.
//
//	server, err := inprocess.New(inprocess.Config{
//		UnaryInterceptors: []grpc.UnaryServerInterceptor{logging},
//	})
//	…
//	moviev1.RegisterMovieServiceServer(server, movies)
//	client := moviev1.NewMovieServiceClient(server)
//
// A [Server] takes services as [grpc.Server] does, and is the connection to
// them: it goes wherever a [grpc.ClientConnInterface] does, such as into a
// gateway that is embedded beside its service.
//
// # What is kept
//
//   - Interceptors run around every call, in their order.
//   - Metadata travels both ways, as headers and trailers; what could not be
//     sent is refused.
//   - Deadlines and cancellation reach the handler. A caller does not wait for a
//     handler that does not heed them.
//   - A handler's context holds nothing of its caller's but these: no values.
//   - Statuses arrive with their details, and errors that are none as UNKNOWN.
//   - Messages are encoded and decoded: neither side can change what the other
//     holds. Their sizes are bounded as they are by gRPC.
//   - All four kinds of methods work, also by generic streams. A sender waits if
//     what was sent and not yet received exceeds a window.
//   - A handler that panics fails its own call only, with INTERNAL.
//   - Stats handlers are told of each call, on both sides.
//
// # What is not
//
// There is no connection, so that there is nothing to dial, to balance, to
// compress or to keep alive; options about that have no effect, and stats
// handlers are not told of connections. Client interceptors are left to wrappers
// of the connection.
//
// # Sources
//
// The behaviour is that of google.golang.org/grpc, held to it by one suite of
// tests that runs over both.
package inprocess
