// Package choiceoftwo is a gRPC balancing policy, registered as
// "choice_of_two". For each call it looks at two endpoints and takes the one
// that is expected to answer sooner, by how healthy the endpoint has been to
// this client, how busy it says it is (ORCA load reports, gRFC A51), how many
// calls are in flight to it, and how long they have taken.
//
// Importing it is enough to use it by name:
//
//	import "github.com/evenkeel/evenkeel/balancer/choiceoftwo"
//
//	conn, err := grpc.NewClient("dns:///movie.example",
//		grpc.WithDefaultServiceConfig(choiceoftwo.Config{}.ServiceConfig()), …)
//
// With xDS the control plane names it in the cluster's load_balancing_policy,
// as a TypedStruct whose type_url ends in "/choice_of_two", and the import
// alone suffices.
//
// It is built as gRFC A61 wants: a petiole policy over endpointsharding and
// pick_first. It works below priority, outlier_detection, wrr_locality and
// random_subsetting. Servers need to report nothing; those that embed package
// orca of this module, or any other ORCA reporter, are balanced better.
//
// Plain DNS has one catch: a gRPC client resolves a name again only when a
// connection is lost, so new pods behind a headless Kubernetes service stay
// unseen. Give the servers keepalive.ServerParameters{MaxConnectionAge: …}; each
// expiry makes the clients resolve anew. What was learned of the other
// endpoints is kept.
//
// The decisions are made by package internal/choice, whose documentation names
// the sources; docs/balancing.md explains them.
package choiceoftwo
