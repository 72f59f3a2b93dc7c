// Package identity carries a caller's identity between services, so that it
// cannot be forged.
//
// A front door authenticates a caller and says who it is in the metadata
// [MetadataKey]. A server believes that only from a peer that proved its own
// identity by a client certificate (mutual TLS, SPIFFE ids as in the X509-SVID
// standard) and that it was told to trust; everybody else's is dropped, and a
// peer without a certificate is refused. It then enforces the same option
// evenkeel.gateway.v1.access as the front door, so that nothing is gained by
// going round it.
//
//	options, err := identity.ServerOptions(identity.Config{
//		TrustedPeers: []string{"spiffe://mesh/gateway"},
//	})
//	…
//	server := grpc.NewServer(append(options, grpc.Creds(mutualTLS))...)
//
// A handler asks [FromContext] for its caller. A service that calls another on
// its caller's behalf passes the identity on with [UnaryClientInterceptor] and
// [StreamClientInterceptor].
package identity
