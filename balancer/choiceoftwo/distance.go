package choiceoftwo

import (
	"time"

	"google.golang.org/grpc/resolver"
)

// SetDistance returns an endpoint that is known to be at a distance: the time that
// it takes to get a call there and its answer back, as ping tells it. A resolver that
// knows where its endpoints are sets it:
//
//	endpoint = choiceoftwo.SetDistance(endpoint, 4*time.Millisecond) // in another zone
//
// Only how distances differ counts, so that 0 for those in the client's own zone
// and some milliseconds for the others will do. Near endpoints are then preferred
// while they have room, as Config.DistanceWeight says. An endpoint without a
// distance is near. Where no endpoint has one, latency alone shows which are
// near. A distance may change at any time; connections are kept.
//
// Policies other than this one do not look at it.
func SetDistance(e resolver.Endpoint, d time.Duration) resolver.Endpoint {
	e.Attributes = e.Attributes.WithValue(distanceKey{}, distance(d))
	return e
}

// GetDistance returns the distance that SetDistance set, and whether it did.
func GetDistance(e resolver.Endpoint) (time.Duration, bool) {
	d, ok := e.Attributes.Value(distanceKey{}).(distance)
	return time.Duration(d), ok
}

// WithDistance has f say how far endpoints are of which the resolver does not say
// it: those of DNS, or of xDS, whose localities gRPC keeps to itself. It may go by
// the endpoint's addresses or attributes. It is called whenever the resolver or the
// control plane sends an update, for each endpoint, and must be quick.
func WithDistance(f func(resolver.Endpoint) time.Duration) Option {
	return func(b *builder) { b.distance = f }
}

type distanceKey struct{}

// distance is a type of its own, since attributes are compared by their values' Equal.
type distance time.Duration

// Equal implements what gRPC compares attributes by.
func (d distance) Equal(other any) bool { return other == any(d) }

// distanceOf is how far an endpoint is, as far as anybody says.
func (b *policy) distanceOf(e resolver.Endpoint) time.Duration {
	d, ok := GetDistance(e)
	if !ok && b.distance != nil {
		return b.distance(e)
	}
	return d
}
