// Package policy has the balancing policies that the simulator compares: the
// module's own, by the very code that production links, and models of others,
// written from what their authors published.
//
//	p, err := policy.Named("choice_of_two", nil)
//	result, err := sim.Run(ctx, scenario, p.Policy, sim.Options{Seed: 1})
//
// Each file names its sources. That the models do as the originals is tested:
// against grpc-go's registered policies here, and against go-zero's and kratos'
// pickers in the module internal/sim/peers.
package policy
