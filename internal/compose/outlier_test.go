package compose

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/status"
	_ "google.golang.org/grpc/xds" // registers outlier_detection_experimental
)

// resolved is a client of hosts that a resolver lists, with a service config.
func (n *network) resolved(serviceConfig string, hosts ...*host) (*client, *manual.Resolver) {
	n.t.Helper()
	r := manual.NewBuilderWithScheme("test")
	r.InitialState(listing(hosts))
	return n.client("test:///service", r, grpc.WithDefaultServiceConfig(serviceConfig)), r
}

func listing(hosts []*host) (s resolver.State) {
	for _, h := range hosts {
		s.Endpoints = append(s.Endpoints, resolver.Endpoint{Addresses: []resolver.Address{{Addr: h.address}}})
	}
	return s
}

// ejecting is a config of outlier_detection that looks each second, and ejects
// for five. It judges by all errors; choice_of_two, below it, does not count
// NOT_FOUND, so that only the former keeps an endpoint away that answers it.
func ejecting(maxPercent int) string {
	return fmt.Sprintf(`{"loadBalancingConfig": [{"outlier_detection_experimental": {
		"interval": "1s", "baseEjectionTime": "5s", "maxEjectionTime": "5s", "maxEjectionPercent": %d,
		"failurePercentageEjection": {"threshold": 50, "enforcementPercentage": 100, "minimumHosts": 3, "requestVolume": 5},
		"childPolicy": [{"choice_of_two": {}}]}}]}`, maxPercent)
}

func TestAnEjectedEndpointLeavesTheReadySetAndReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		hosts := n.startAll(0, 4)
		bad, good := hosts[0], hosts[1:]
		c, _ := n.resolved(ejecting(50), hosts...)
		n.awaitReady(hosts...)
		c.counted(200)
		before := n.picks()
		time.Sleep(1100 * time.Millisecond) // into the next interval

		bad.answer(fails(codes.NotFound))
		for range 200 {
			_ = c.call()
		}
		n.awaitReady(good...)
		if e := n.endpoints()[bad.address]; e.State != connectivity.TransientFailure {
			t.Errorf("the ejected endpoint is %v", e.State)
		}
		c.state(connectivity.Ready)
		bad.answer(takes(0))
		if got := c.counted(200, bad)[0]; got != 0 {
			t.Errorf("the ejected endpoint got %d calls", got)
		}

		n.awaitReady(hosts...)
		if got := c.counted(400, bad)[0]; got < 40 {
			t.Errorf("back among four, the endpoint got %d of 400 calls", got)
		}
		n.kept(before)
		n.idle()
		if dials := bad.dials.Load(); dials != 1 {
			t.Errorf("it was dialed %d times: an ejection is not a loss of the connection", dials)
		}
	})
}

func TestWhenAllAreEjectedTheChannelSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		hosts := n.startAll(0, 3)
		c, _ := n.resolved(ejecting(100), hosts...)
		n.awaitReady(hosts...)
		for _, h := range hosts {
			h.answer(fails(codes.NotFound))
		}
		for range 100 {
			_ = c.call()
		}
		n.awaitReady()
		c.state(connectivity.TransientFailure)
		if code := status.Code(c.call()); code != codes.Unavailable {
			t.Errorf("a call fails with %v", code)
		}

		for _, h := range hosts {
			h.answer(takes(0))
		}
		time.Sleep(10 * time.Second)
		n.awaitReady(hosts...)
		c.state(connectivity.Ready)
		c.counted(20)
		n.idle()
	})
}
