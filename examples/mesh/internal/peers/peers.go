// Package peers opens channels to the mesh's services, the same way for the front
// door and for the services among themselves.
package peers

import (
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"github.com/evenkeel/evenkeel/examples/mesh/internal/certs"

	_ "github.com/evenkeel/evenkeel/balancer/choiceoftwo" // the policy that the control plane names
	_ "google.golang.org/grpc/xds"                        // xds:///… targets
)

const (
	// A connection on which nothing was heard for pingTime is pinged, and given
	// up pingTimeout later. That ends the streams to a replica that is frozen,
	// so that their readers can resume elsewhere. Reports out of band keep a
	// healthy connection from ever being pinged.
	pingTime    = 10 * time.Second
	pingTimeout = 5 * time.Second
)

// Dial opens a channel to a service, found by xDS. Each side proves to the other
// who it is.
func Dial(service string, own *certs.Identity, options ...grpc.DialOption) (*grpc.ClientConn, error) {
	return grpc.NewClient("xds:///"+service, append([]grpc.DialOption{
		grpc.WithTransportCredentials(credentials.NewTLS(own.ClientTLS())),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingTime, Timeout: pingTimeout}),
		// A channel that went idle would forget what it knows of its endpoints.
		grpc.WithIdleTimeout(0),
	}, options...)...)
}
