package compose

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"testing"
	"time"

	xdstype "github.com/cncf/xds/go/xds/type/v3"
	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	router "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	wrrlocality "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/wrr_locality/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	loadstats "github.com/envoyproxy/go-control-plane/envoy/service/load_stats/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/xds"
	"google.golang.org/grpc/xds/bootstrap"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// plane is a control plane as go-control-plane makes it: a cache of snapshots.
// It has one service, movie, with one cluster.
type plane struct {
	t         *testing.T
	network   *network
	snapshots cache.SnapshotCache
	loads     loadReports

	version    int
	cluster    *cluster.Cluster
	localities []*endpoint.LocalityLbEndpoints
}

const (
	service      = "movie"
	planeAddress = "control"
	nodeID       = "client"
)

// newPlane starts a control plane that knows no endpoints yet.
func newPlane(n *network) *plane {
	p := &plane{t: n.t, network: n, snapshots: cache.NewSnapshotCache(false, cache.IDHash{}, nil)}
	ctx, cancel := context.WithCancel(context.Background())
	n.t.Cleanup(cancel)
	n.startWith(planeAddress, func(r grpc.ServiceRegistrar) {
		discovery.RegisterAggregatedDiscoveryServiceServer(r, server.NewServer(ctx, p.snapshots, server.CallbackFuncs{
			StreamRequestFunc: p.heard,
		}))
		loadstats.RegisterLoadReportingServiceServer(r, &p.loads)
	})
	return p
}

// heard fails the test when the client refuses a resource.
func (p *plane) heard(_ int64, r *discovery.DiscoveryRequest) error {
	if e := r.GetErrorDetail(); e != nil {
		p.t.Errorf("the client refused %s: %s", r.GetTypeUrl(), e.GetMessage())
		return fmt.Errorf("refused: %s", e.GetMessage()) // else it is sent again at once
	}
	return nil
}

// publish makes a snapshot of the cluster and the localities.
func (p *plane) publish(c *cluster.Cluster, localities ...*endpoint.LocalityLbEndpoints) {
	p.t.Helper()
	p.version++
	p.cluster, p.localities = c, localities
	snapshot, err := cache.NewSnapshot(strconv.Itoa(p.version), map[resource.Type][]types.Resource{
		resource.ListenerType: {apiListener()},
		resource.ClusterType:  {c},
		resource.EndpointType: {&endpoint.ClusterLoadAssignment{ClusterName: service, Endpoints: localities}},
	})
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.snapshots.SetSnapshot(context.Background(), nodeID, snapshot); err != nil {
		p.t.Fatal(err)
	}
}

// client dials the service as any client of xDS does.
func (p *plane) client() *client {
	p.t.Helper()
	bootstrap.RegisterChannelCredentials(inMemory{p.network})
	config, err := json.Marshal(map[string]any{
		"xds_servers": []any{map[string]any{
			"server_uri":      "passthrough:///" + planeAddress,
			"channel_creds":   []any{map[string]any{"type": inMemory{}.Name()}},
			"server_features": []string{"xds_v3"},
		}},
		"node": map[string]any{"id": nodeID},
	})
	if err != nil {
		p.t.Fatal(err)
	}
	resolver, err := xds.NewXDSResolverWithConfigForTesting(config)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.network.client("xds:///"+service, resolver)
}

// inMemory has the xDS client, too, dial in memory. gRPC asks the credentials
// that a bootstrap config names for dial options, if they have any.
type inMemory struct{ network *network }

func (inMemory) Name() string { return "compose_in_memory" }

func (m inMemory) Build(json.RawMessage) (credentials.Bundle, func(), error) {
	return inMemoryBundle{insecure.NewBundle(), m.network.dial}, func() {}, nil
}

type inMemoryBundle struct {
	credentials.Bundle
	dial func(context.Context, string) (net.Conn, error)
}

func (b inMemoryBundle) DialOptions() []grpc.DialOption {
	return []grpc.DialOption{grpc.WithContextDialer(b.dial)}
}

// apiListener routes all calls to the one cluster.
func apiListener() *listener.Listener {
	return &listener.Listener{Name: service, ApiListener: &listener.ApiListener{ApiListener: pack(&hcm.HttpConnectionManager{
		RouteSpecifier: &hcm.HttpConnectionManager_RouteConfig{RouteConfig: &route.RouteConfiguration{
			Name: service,
			VirtualHosts: []*route.VirtualHost{{
				Name:    service,
				Domains: []string{"*"},
				Routes: []*route.Route{{
					Match: &route.RouteMatch{PathSpecifier: &route.RouteMatch_Prefix{}},
					Action: &route.Route_Route{Route: &route.RouteAction{
						ClusterSpecifier: &route.RouteAction_Cluster{Cluster: service},
					}},
				}},
			}},
		}},
		HttpFilters: []*hcm.HttpFilter{{Name: "router", ConfigType: &hcm.HttpFilter_TypedConfig{TypedConfig: pack(&router.Router{})}}},
	})}}
}

// clusterOf is the cluster with this balancing policy.
func clusterOf(policy *cluster.LoadBalancingPolicy) *cluster.Cluster {
	return &cluster.Cluster{
		Name:                 service,
		ClusterDiscoveryType: &cluster.Cluster_Type{Type: cluster.Cluster_EDS},
		EdsClusterConfig: &cluster.Cluster_EdsClusterConfig{EdsConfig: &core.ConfigSource{
			ResourceApiVersion:    core.ApiVersion_V3,
			ConfigSourceSpecifier: &core.ConfigSource_Ads{Ads: &core.AggregatedConfigSource{}},
		}},
		LoadBalancingPolicy: policy,
	}
}

// choiceOfTwo is the policy as a control plane names it.
func choiceOfTwo(config map[string]any) *cluster.LoadBalancingPolicy {
	value, err := structpb.NewStruct(config)
	if err != nil {
		panic(err)
	}
	return policies(&xdstype.TypedStruct{TypeUrl: "type.googleapis.com/choice_of_two", Value: value})
}

// perLocality has an instance of the policy for each locality.
func perLocality(policy *cluster.LoadBalancingPolicy) *cluster.LoadBalancingPolicy {
	return policies(&wrrlocality.WrrLocality{EndpointPickingPolicy: policy})
}

func policies(config proto.Message) *cluster.LoadBalancingPolicy {
	return &cluster.LoadBalancingPolicy{Policies: []*cluster.LoadBalancingPolicy_Policy{{
		TypedExtensionConfig: &core.TypedExtensionConfig{Name: "policy", TypedConfig: pack(config)},
	}}}
}

// locality is a zone of hosts.
func locality(zone string, weight, priority uint32, hosts ...*host) *endpoint.LocalityLbEndpoints {
	l := &endpoint.LocalityLbEndpoints{
		Locality:            &core.Locality{Region: "test", Zone: zone},
		LoadBalancingWeight: wrapperspb.UInt32(weight),
		Priority:            priority,
	}
	for _, h := range hosts {
		l.LbEndpoints = append(l.LbEndpoints, &endpoint.LbEndpoint{
			HostIdentifier: &endpoint.LbEndpoint_Endpoint{Endpoint: &endpoint.Endpoint{Address: address(h.address)}},
		})
	}
	return l
}

func address(hostPort string) *core.Address {
	a := netip.MustParseAddrPort(hostPort)
	return &core.Address{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{
		Address:       a.Addr().String(),
		PortSpecifier: &core.SocketAddress_PortValue{PortValue: uint32(a.Port())},
	}}}
}

func pack(m proto.Message) *anypb.Any {
	packed, err := anypb.New(m)
	if err != nil {
		panic(err)
	}
	return packed
}

// loadReports takes what the client's cluster_impl reports of its calls (LRS).
type loadReports struct {
	loadstats.UnimplementedLoadReportingServiceServer
	mu                            sync.Mutex
	succeeded, failed, inProgress uint64
}

func (l *loadReports) StreamLoadStats(stream loadstats.LoadReportingService_StreamLoadStatsServer) error {
	if _, err := stream.Recv(); err != nil {
		return err
	}
	err := stream.Send(&loadstats.LoadStatsResponse{SendAllClusters: true, LoadReportingInterval: durationpb.New(time.Second)})
	for err == nil {
		var report *loadstats.LoadStatsRequest
		if report, err = stream.Recv(); err == nil {
			l.add(report)
		}
	}
	return err
}

func (l *loadReports) add(report *loadstats.LoadStatsRequest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inProgress = 0
	for _, c := range report.GetClusterStats() {
		for _, s := range c.GetUpstreamLocalityStats() {
			l.succeeded += s.GetTotalSuccessfulRequests()
			l.failed += s.GetTotalErrorRequests()
			l.inProgress += s.GetTotalRequestsInProgress()
		}
	}
}

func (l *loadReports) totals() (succeeded, failed, inProgress uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.succeeded, l.failed, l.inProgress
}
