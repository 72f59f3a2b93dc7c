package gateway

import "google.golang.org/grpc"

// The windows of DialOptions, in bytes.
const (
	streamWindow     = 1 << 20
	connectionWindow = 4 << 20
)

// DialOptions are for connections to a gateway's upstreams, before options of
// one's own:
//
//	conn, err := grpc.NewClient(target, append(gateway.DialOptions(), grpc.WithTransportCredentials(creds))...)
//
// They fix gRPC's flow control windows, at 1 MiB for a call and 4 MiB for a
// connection. The first is what may be in memory of an answer that nobody has
// read yet; Limits.HeldBytes counts so much for each stream. By default gRPC
// begins with 64 KiB and estimates what a connection can carry, for which it sends
// a ping with nearly every small answer; that costs a gateway more system calls
// than the answers do. For a path of more than some 100 ms at more than 80 Mbit/s,
// larger windows are better: [grpc.WithStaticStreamWindowSize],
// [grpc.WithStaticConnWindowSize].
func DialOptions() []grpc.DialOption {
	return []grpc.DialOption{grpc.WithStaticStreamWindowSize(streamWindow), grpc.WithStaticConnWindowSize(connectionWindow)}
}
