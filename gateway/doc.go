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
package gateway
