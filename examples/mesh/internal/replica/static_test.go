package replica

import (
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strconv"
	"testing"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	router "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// staticPlane is another xDS control plane, as different from the mesh's as can
// be: by hand, with routes inside the listener, a cluster of another name, and no
// word of choice_of_two. What it serves never changes.
type staticPlane struct {
	discovery.UnimplementedAggregatedDiscoveryServiceServer
	resources map[string]*anypb.Any // by type and name
}

// startStaticPlane serves one service at one address and returns a bootstrap
// config that leads to it.
func startStaticPlane(t *testing.T, service, address string) []byte {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	ads := &core.ConfigSource{
		ResourceApiVersion:    core.ApiVersion_V3,
		ConfigSourceSpecifier: &core.ConfigSource_Ads{Ads: &core.AggregatedConfigSource{}},
	}
	p := &staticPlane{resources: map[string]*anypb.Any{}}
	p.add(t, service, &listener.Listener{Name: service, ApiListener: &listener.ApiListener{ApiListener: packed(t, &hcm.HttpConnectionManager{
		RouteSpecifier: &hcm.HttpConnectionManager_RouteConfig{RouteConfig: &route.RouteConfiguration{
			VirtualHosts: []*route.VirtualHost{{Domains: []string{"*"}, Routes: []*route.Route{{
				Match:  &route.RouteMatch{PathSpecifier: &route.RouteMatch_Prefix{}},
				Action: &route.Route_Route{Route: &route.RouteAction{ClusterSpecifier: &route.RouteAction_Cluster{Cluster: "the-only-cluster"}}},
			}}}},
		}},
		HttpFilters: []*hcm.HttpFilter{{Name: "r", ConfigType: &hcm.HttpFilter_TypedConfig{TypedConfig: packed(t, &router.Router{})}}},
	})}})
	p.add(t, "the-only-cluster", &cluster.Cluster{
		Name:                 "the-only-cluster",
		ClusterDiscoveryType: &cluster.Cluster_Type{Type: cluster.Cluster_EDS},
		EdsClusterConfig:     &cluster.Cluster_EdsClusterConfig{EdsConfig: ads, ServiceName: "the-only-endpoints"},
		LbPolicy:             cluster.Cluster_ROUND_ROBIN,
	})
	p.add(t, "the-only-endpoints", &endpoint.ClusterLoadAssignment{
		ClusterName: "the-only-endpoints",
		Endpoints: []*endpoint.LocalityLbEndpoints{{
			Locality:            &core.Locality{Region: "elsewhere"},
			LoadBalancingWeight: wrapperspb.UInt32(1),
			LbEndpoints: []*endpoint.LbEndpoint{{HostIdentifier: &endpoint.LbEndpoint_Endpoint{Endpoint: &endpoint.Endpoint{
				Address: &core.Address{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{
					Address: host, PortSpecifier: &core.SocketAddress_PortValue{PortValue: uint32(number)},
				}}},
			}}}},
		}},
	})

	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	discovery.RegisterAggregatedDiscoveryServiceServer(server, p)
	go server.Serve(socket)
	t.Cleanup(server.Stop)
	bootstrap, err := json.Marshal(map[string]any{
		"xds_servers": []any{map[string]any{"server_uri": socket.Addr().String(), "channel_creds": []any{map[string]any{"type": "insecure"}}}},
		"node":        map[string]any{"id": "somebody"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return bootstrap
}

func (p *staticPlane) add(t *testing.T, name string, m proto.Message) {
	t.Helper()
	a := packed(t, m)
	p.resources[a.TypeUrl+" "+name] = a
}

// StreamAggregatedResources answers each question once. The same question again
// is an acknowledgement.
func (p *staticPlane) StreamAggregatedResources(stream discovery.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	answered := map[string][]string{}
	for nonce := 0; ; nonce++ {
		request, err := stream.Recv()
		if err != nil {
			return err
		}
		if detail := request.GetErrorDetail(); detail != nil {
			return fmt.Errorf("refused: %v", detail)
		}
		names := slices.Sorted(slices.Values(request.GetResourceNames()))
		if old, asked := answered[request.GetTypeUrl()]; asked && slices.Equal(old, names) {
			continue
		}
		answered[request.GetTypeUrl()] = names
		response := &discovery.DiscoveryResponse{TypeUrl: request.GetTypeUrl(), VersionInfo: "1", Nonce: strconv.Itoa(nonce)}
		for _, name := range names {
			if r := p.resources[request.GetTypeUrl()+" "+name]; r != nil {
				response.Resources = append(response.Resources, r)
			}
		}
		if err := stream.Send(response); err != nil {
			return err
		}
	}
}

func packed(t *testing.T, m proto.Message) *anypb.Any {
	t.Helper()
	a, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
