package control

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/roundrobin"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/serviceconfig"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/grpc/xds"

	"github.com/evenkeel/evenkeel/internal/leaktest"
)

func TestClientsFollowTheEndpoints(t *testing.T) {
	plane := start(t)
	one, two := backend(t), backend(t)
	publish(t, plane, Endpoint{Address: one, Zone: "a"}, Endpoint{Address: two, Zone: "b"})
	client := dial(t, plane)

	eventually(t, client, one, two)
	publish(t, plane, Endpoint{Address: one, Zone: "a"})
	eventually(t, client, one)
	publish(t, plane, Endpoint{Address: one, Zone: "a", Draining: true}, Endpoint{Address: two, Zone: "a"})
	eventually(t, client, two)
	publish(t, plane, Endpoint{Address: one, Zone: "a"}, Endpoint{Address: two, Zone: "a"})
	eventually(t, client, one, two)
}

func TestWithoutEndpointsCallsFailAtOnce(t *testing.T) {
	client := dial(t, start(t))
	// Long enough that only an answer, not the deadline, ends the call.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err := healthpb.NewHealthClient(client).Check(ctx, nil)
	if grpcstatus.Code(err) != codes.Unavailable {
		t.Errorf("got %v, want UNAVAILABLE", err)
	}
}

func TestThePolicyOfTheClusterIsUsedWithItsConfig(t *testing.T) {
	plane := start(t)
	publish(t, plane, Endpoint{Address: backend(t), Zone: "a"})
	eventually(t, dial(t, plane), plane.published["movie"][0].Address)
	select {
	case got := <-spy.configs:
		if !strings.Contains(got, `"depth"`) {
			t.Errorf("the policy's config is %s, want the one published", got)
		}
	default:
		t.Error("the policy was not asked")
	}
}

func TestAChangeOfEndpointsSendsThoseAndNothingElse(t *testing.T) {
	plane := start(t)
	stream := subscribe(t, plane)
	for port := 1; port <= 3; port++ {
		publish(t, plane, Endpoint{Address: fmt.Sprintf("127.0.0.1:%d", port), Zone: "a"})
		got := stream.next(t)
		if got.TypeUrl != resource.EndpointType || len(got.Resources) != 1 {
			t.Fatalf("got %d resources of type %s, want the endpoints of movie", len(got.Resources), got.TypeUrl)
		}
		var assignment endpoint.ClusterLoadAssignment
		if err := got.Resources[0].UnmarshalTo(&assignment); err != nil {
			t.Fatal(err)
		}
		address := assignment.Endpoints[0].LbEndpoints[0].GetEndpoint().Address.GetSocketAddress()
		if assignment.ClusterName != "movie" || address.GetPortValue() != uint32(port) {
			t.Errorf("got %v", &assignment)
		}
		stream.ack(t, got)
	}
}

func TestPublishingTheSameTellsNobody(t *testing.T) {
	plane := start(t)
	stream := subscribe(t, plane)
	one, two := Endpoint{Address: "127.0.0.1:1", Zone: "a"}, Endpoint{Address: "127.0.0.1:2", Zone: "a"}
	publish(t, plane, one)
	stream.ack(t, stream.next(t))
	publish(t, plane, one)
	publish(t, plane, two)
	got := stream.next(t)
	if !hasPort(t, got, 2) {
		t.Errorf("got %v, want the second change only", got)
	}
}

func TestARefusedResourceIsNotSentAgain(t *testing.T) {
	for _, typeURL := range []string{resource.ClusterType, resource.EndpointType} {
		plane := start(t)
		stream := open(t, plane)
		stream.ask(t, typeURL)
		got := stream.next(t)
		stream.send(t, &discovery.DiscoveryRequest{
			TypeUrl: typeURL, ResourceNames: names(), ResponseNonce: got.Nonce, ErrorDetail: &status.Status{Message: "no"},
		})
		// Another question marks the time by which a repetition would be here.
		stream.ask(t, resource.RouteType)
		if got := stream.next(t); got.TypeUrl != resource.RouteType {
			t.Errorf("got %s again", got.TypeUrl)
		}
	}
}

func TestWhatComesAfterARefusalIsSent(t *testing.T) {
	plane := start(t)
	stream := open(t, plane)
	stream.ask(t, resource.EndpointType)
	got := stream.next(t)
	stream.send(t, &discovery.DiscoveryRequest{
		TypeUrl: resource.EndpointType, ResourceNames: names(), ResponseNonce: got.Nonce, ErrorDetail: &status.Status{Message: "no"},
	})
	publish(t, plane, Endpoint{Address: "127.0.0.1:9", Zone: "a"})
	if got := stream.next(t); !hasPort(t, got, 9) {
		t.Errorf("got %v, want what is new", got)
	}
}

func TestClustersNameThePolicyAndAFallback(t *testing.T) {
	got, err := Cluster("movie", Policy{Name: spyName, Config: json.RawMessage(`{"depth": 2}`)})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range got.LoadBalancingPolicy.Policies {
		names = append(names, p.TypedExtensionConfig.Name)
	}
	if want := []string{spyName, "round_robin"}; !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
	if got.GetType() != cluster.Cluster_EDS || got.ValidateAll() != nil {
		t.Errorf("got %v", got)
	}
}

func TestAllEndpointsWeighTheSame(t *testing.T) {
	got, err := Assignment("movie", []Endpoint{
		{Address: "127.0.0.1:1", Zone: "b"}, {Address: "127.0.0.1:2", Zone: "a"}, {Address: "[::1]:3", Zone: "b"},
		{Address: "127.0.0.1:4", Zone: "c", Draining: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	var zones []string
	for _, l := range got.Endpoints {
		zones = append(zones, fmt.Sprint(l.Locality.Zone, l.LoadBalancingWeight.Value))
	}
	if want := []string{"a1", "b2", "c1"}; !slices.Equal(zones, want) {
		t.Errorf("got %v, want %v", zones, want)
	}
}

func TestWhatClientsWouldRefuseIsNotPublished(t *testing.T) {
	plane := start(t)
	for name, endpoints := range map[string][]Endpoint{
		"a host name":        {{Address: "localhost:80"}},
		"no port":            {{Address: "127.0.0.1"}},
		"port zero":          {{Address: "127.0.0.1:0"}},
		"the same one twice": {{Address: "127.0.0.1:80"}, {Address: "127.0.0.1:80", Zone: "b"}},
	} {
		if err := plane.Publish("movie", endpoints); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := plane.Publish("film", nil); err == nil || !strings.Contains(err.Error(), "movie, talent") {
		t.Errorf("an unknown service: %v", err)
	}
}

func TestABadPolicyStopsTheStart(t *testing.T) {
	for name, policy := range map[string]Policy{
		"unknown":               {Name: "no_such_policy"},
		"refused by the policy": {Name: spyName, Config: json.RawMessage(`{"depth": -1}`)},
		"not an object":         {Name: "round_robin", Config: json.RawMessage(`[]`)},
		"not JSON":              {Name: "round_robin", Config: json.RawMessage(`{`)},
	} {
		if plane, err := Start(Config{Listen: "127.0.0.1:0", Services: []string{"movie"}, Policy: policy}); err == nil {
			plane.Close()
			t.Errorf("a policy that is %s: no error", name)
		}
	}
}

const spyName = "control_test_spy"

// spy is round_robin that shows which config it was given.
var spy = &spyPolicy{Builder: balancer.Get(roundrobin.Name), configs: make(chan string, 100)}

func init() { balancer.Register(spy) }

type spyPolicy struct {
	balancer.Builder
	configs chan string
}

func (*spyPolicy) Name() string { return spyName }

func (s *spyPolicy) ParseConfig(config json.RawMessage) (serviceconfig.LoadBalancingConfig, error) {
	var parsed struct {
		serviceconfig.LoadBalancingConfig `json:"-"`
		Depth                             float64
	}
	if err := json.Unmarshal(config, &parsed); err != nil {
		return nil, err
	}
	if parsed.Depth < 0 {
		return nil, fmt.Errorf("depth: %v is negative", parsed.Depth)
	}
	select {
	case s.configs <- string(config):
	default:
	}
	return &parsed, nil
}

func start(t *testing.T) *Plane {
	t.Helper()
	leaktest.Check(t)
	plane, err := Start(Config{
		Listen:   "127.0.0.1:0",
		Services: []string{"movie", "talent"},
		Policy:   Policy{Name: spyName, Config: json.RawMessage(`{"depth": 2}`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { plane.Close() })
	return plane
}

func publish(t *testing.T, plane *Plane, endpoints ...Endpoint) {
	t.Helper()
	if err := plane.Publish("movie", endpoints); err != nil {
		t.Fatal(err)
	}
}

// backend starts a gRPC server and returns its address.
func backend(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	healthpb.RegisterHealthServer(s, health.NewServer())
	go s.Serve(listener)
	t.Cleanup(s.Stop)
	return listener.Addr().String()
}

func dial(t *testing.T, plane *Plane) *grpc.ClientConn {
	t.Helper()
	resolver, err := xds.NewXDSResolverWithConfigForTesting(Bootstrap(plane.Address(), Node{ID: t.Name(), Zone: "a"}))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient("xds:///movie", grpc.WithResolvers(resolver), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// eventually waits until calls go to the given addresses and to no other.
func eventually(t *testing.T, conn *grpc.ClientConn, addresses ...string) {
	t.Helper()
	slices.Sort(addresses)
	var got []string
	await(t, func() bool {
		got = nil
		for range 2 * len(addresses) {
			var p peer.Peer
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			_, err := healthpb.NewHealthClient(conn).Check(ctx, nil, grpc.Peer(&p), grpc.WaitForReady(true))
			cancel()
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, p.Addr.String())
		}
		slices.Sort(got)
		got = slices.Compact(got)
		return slices.Equal(got, addresses)
	})
}

// await polls: what it waits for happens in other goroutines, behind sockets.
func await(t *testing.T, happened func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !happened(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it never happened")
		}
	}
}

// adsStream is a client of the plane by hand.
type adsStream struct {
	discovery.AggregatedDiscoveryService_StreamAggregatedResourcesClient
}

// open begins a stream.
func open(t *testing.T, plane *Plane) adsStream {
	t.Helper()
	conn, err := grpc.NewClient(plane.Address(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	stream, err := discovery.NewAggregatedDiscoveryServiceClient(conn).StreamAggregatedResources(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return adsStream{stream}
}

// subscribe asks for all that the plane has and takes it.
func subscribe(t *testing.T, plane *Plane) adsStream {
	t.Helper()
	stream := open(t, plane)
	for _, typeURL := range []string{resource.ListenerType, resource.RouteType, resource.ClusterType, resource.EndpointType} {
		stream.ask(t, typeURL)
		got := stream.next(t)
		if got.TypeUrl != typeURL || len(got.Resources) != 2 {
			t.Fatalf("got %d resources of type %s, want 2 of %s", len(got.Resources), got.TypeUrl, typeURL)
		}
		stream.ack(t, got)
	}
	// The last acknowledgement is read when the plane waits for a change again.
	await(t, func() bool { return plane.assigned.NumWatches("movie") == 1 })
	return stream
}

func (s adsStream) ask(t *testing.T, typeURL string) {
	t.Helper()
	s.send(t, &discovery.DiscoveryRequest{TypeUrl: typeURL, Node: &core.Node{Id: "test"}, ResourceNames: names()})
}

// names are what is asked for, of every type.
func names() []string { return []string{"movie", "talent"} }

func (s adsStream) send(t *testing.T, r *discovery.DiscoveryRequest) {
	t.Helper()
	if err := s.Send(r); err != nil {
		t.Fatal(err)
	}
}

func (s adsStream) ack(t *testing.T, r *discovery.DiscoveryResponse) {
	t.Helper()
	s.send(t, &discovery.DiscoveryRequest{TypeUrl: r.TypeUrl, ResourceNames: names(), VersionInfo: r.VersionInfo, ResponseNonce: r.Nonce})
}

func (s adsStream) next(t *testing.T) *discovery.DiscoveryResponse {
	t.Helper()
	r, err := s.Recv()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func hasPort(t *testing.T, r *discovery.DiscoveryResponse, port uint32) bool {
	t.Helper()
	if len(r.Resources) != 1 {
		return false
	}
	var assignment endpoint.ClusterLoadAssignment
	if err := r.Resources[0].UnmarshalTo(&assignment); err != nil {
		t.Fatal(err)
	}
	return assignment.Endpoints[0].LbEndpoints[0].GetEndpoint().Address.GetSocketAddress().GetPortValue() == port
}
