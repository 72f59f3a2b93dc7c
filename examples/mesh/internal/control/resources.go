package control

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	xdstype "github.com/cncf/xds/go/xds/type/v3"
	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	router "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	roundrobin "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/round_robin/v3"
	"google.golang.org/grpc/balancer"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Region is the region of every locality: a mesh lives on one machine.
const Region = "local"

// Policy is a balancing policy of gRPC and its config.
type Policy struct {
	// Name is the name it is registered under.
	Name string
	// Config is its JSON config, an object. Default: an empty one.
	Config json.RawMessage
}

func (p Policy) withDefaults() Policy {
	if len(p.Config) == 0 {
		p.Config = json.RawMessage("{}")
	}
	return p
}

// validate asks the policy itself, as it is registered in this process, so that
// no client is ever sent a config that it would refuse.
func (p Policy) validate() error {
	builder := balancer.Get(p.Name)
	if builder == nil {
		return fmt.Errorf("control: policy %q is not registered: import its package", p.Name)
	}
	parser, ok := builder.(balancer.ConfigParser)
	if !ok {
		return nil
	}
	if _, err := parser.ParseConfig(p.Config); err != nil {
		return fmt.Errorf("control: config of policy %q: %w", p.Name, err)
	}
	return nil
}

// Listener is what a client of xds:///service asks for first. It names the
// routes.
func Listener(service string) (*listener.Listener, error) {
	filter, err := pack(&router.Router{})
	if err != nil {
		return nil, err
	}
	manager, err := pack(&hcm.HttpConnectionManager{
		StatPrefix:     service,
		RouteSpecifier: &hcm.HttpConnectionManager_Rds{Rds: &hcm.Rds{ConfigSource: aggregated(), RouteConfigName: service}},
		HttpFilters:    []*hcm.HttpFilter{{Name: "router", ConfigType: &hcm.HttpFilter_TypedConfig{TypedConfig: filter}}},
	})
	if err != nil {
		return nil, err
	}
	return &listener.Listener{Name: service, ApiListener: &listener.ApiListener{ApiListener: manager}}, nil
}

// Route sends all that is meant for a service to the cluster of its name.
func Route(service string) *route.RouteConfiguration {
	return &route.RouteConfiguration{
		Name: service,
		VirtualHosts: []*route.VirtualHost{{
			Name:    service,
			Domains: []string{"*"},
			Routes: []*route.Route{{
				Match:  &route.RouteMatch{PathSpecifier: &route.RouteMatch_Prefix{Prefix: ""}},
				Action: &route.Route_Route{Route: &route.RouteAction{ClusterSpecifier: &route.RouteAction_Cluster{Cluster: service}}},
			}},
		}},
	}
}

// Cluster names the policy by which to choose among a service's endpoints. The
// policy stands at the top, above the localities, so that one instance of it
// sees all endpoints. A client that does not know it takes round_robin.
func Cluster(service string, policy Policy) (*cluster.Cluster, error) {
	policy = policy.withDefaults()
	if err := policy.validate(); err != nil {
		return nil, err
	}
	config := &structpb.Struct{}
	if err := config.UnmarshalJSON(policy.Config); err != nil {
		return nil, fmt.Errorf("control: config of policy %q: %w", policy.Name, err)
	}
	// gRPC takes what stands behind the last slash for the policy's name.
	own, err := pack(&xdstype.TypedStruct{TypeUrl: "type.googleapis.com/" + policy.Name, Value: config})
	if err != nil {
		return nil, err
	}
	fallback, err := pack(&roundrobin.RoundRobin{})
	if err != nil {
		return nil, err
	}
	return &cluster.Cluster{
		Name:                 service,
		ClusterDiscoveryType: &cluster.Cluster_Type{Type: cluster.Cluster_EDS},
		EdsClusterConfig:     &cluster.Cluster_EdsClusterConfig{EdsConfig: aggregated()},
		LoadBalancingPolicy: &cluster.LoadBalancingPolicy{Policies: []*cluster.LoadBalancingPolicy_Policy{
			{TypedExtensionConfig: &core.TypedExtensionConfig{Name: policy.Name, TypedConfig: own}},
			{TypedExtensionConfig: &core.TypedExtensionConfig{Name: "round_robin", TypedConfig: fallback}},
		}},
	}, nil
}

// Assignment lists a service's endpoints by zone. It refuses what clients would
// refuse: an address that is not an IP address and port, or one that is there
// twice.
func Assignment(service string, endpoints []Endpoint) (*endpoint.ClusterLoadAssignment, error) {
	assignment := &endpoint.ClusterLoadAssignment{ClusterName: service}
	seen := map[netip.AddrPort]bool{}
	byZone := map[string]*endpoint.LocalityLbEndpoints{}
	for _, e := range endpoints {
		address, err := netip.ParseAddrPort(e.Address)
		if err != nil || address.Port() == 0 {
			return nil, fmt.Errorf("control: endpoint %q of %s: want an IP address and a port, for example 127.0.0.1:7001", e.Address, service)
		}
		if seen[address] {
			return nil, fmt.Errorf("control: endpoint %q of %s is there twice", e.Address, service)
		}
		seen[address] = true
		zone := byZone[e.Zone]
		if zone == nil {
			zone = &endpoint.LocalityLbEndpoints{Locality: &core.Locality{Region: Region, Zone: e.Zone}}
			byZone[e.Zone] = zone
			assignment.Endpoints = append(assignment.Endpoints, zone)
		}
		zone.LbEndpoints = append(zone.LbEndpoints, lbEndpoint(address, e.Draining))
	}
	for _, zone := range assignment.Endpoints {
		zone.LoadBalancingWeight = wrapperspb.UInt32(localityWeight(zone))
	}
	slices.SortFunc(assignment.Endpoints, func(a, b *endpoint.LocalityLbEndpoints) int {
		return strings.Compare(a.Locality.Zone, b.Locality.Zone)
	})
	if err := assignment.ValidateAll(); err != nil {
		return nil, fmt.Errorf("control: endpoints of %s: %w", service, err)
	}
	return assignment, nil
}

func lbEndpoint(address netip.AddrPort, draining bool) *endpoint.LbEndpoint {
	health := core.HealthStatus_HEALTHY
	if draining {
		health = core.HealthStatus_DRAINING
	}
	return &endpoint.LbEndpoint{
		HealthStatus: health,
		HostIdentifier: &endpoint.LbEndpoint_Endpoint{Endpoint: &endpoint.Endpoint{
			Address: &core.Address{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{
				Address:       address.Addr().String(),
				PortSpecifier: &core.SocketAddress_PortValue{PortValue: uint32(address.Port())},
			}}},
		}},
	}
}

// localityWeight makes all endpoints weigh the same: a client multiplies the
// locality's share with the endpoint's. Zero would hide the locality.
func localityWeight(zone *endpoint.LocalityLbEndpoints) uint32 {
	healthy := uint32(0)
	for _, e := range zone.LbEndpoints {
		if e.HealthStatus == core.HealthStatus_HEALTHY {
			healthy++
		}
	}
	return max(healthy, 1)
}

// aggregated says: from the same stream as everything else.
func aggregated() *core.ConfigSource {
	return &core.ConfigSource{
		ResourceApiVersion:    core.ApiVersion_V3,
		ConfigSourceSpecifier: &core.ConfigSource_Ads{Ads: &core.AggregatedConfigSource{}},
	}
}

func pack(m proto.Message) (*anypb.Any, error) {
	packed, err := anypb.New(m)
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	return packed, nil
}
