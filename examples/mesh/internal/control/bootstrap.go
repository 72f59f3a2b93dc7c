package control

import "encoding/json"

// Node says who a client of the control plane is.
type Node struct {
	ID   string // for example movie/1
	Zone string
}

// Bootstrap returns the gRPC xDS bootstrap config (gRFC A27) of a client: the
// content of the environment variable GRPC_XDS_BOOTSTRAP_CONFIG. It is all that
// ties a client to one control plane.
func Bootstrap(address string, node Node) []byte {
	type m map[string]any
	config, err := json.Marshal(m{
		"xds_servers": []m{{
			"server_uri":      address,
			"channel_creds":   []m{{"type": "insecure"}},
			"server_features": []string{"xds_v3"},
		}},
		"node": m{
			"id":       node.ID,
			"cluster":  "evenkeel-mesh",
			"locality": m{"region": Region, "zone": node.Zone},
		},
	})
	if err != nil {
		panic(err) // strings always marshal
	}
	return config
}
