// Package sim simulates servers, clients, the network between them and a way
// of balancing: a discrete-event simulation, deterministic by its seed.
//
//	s, err := scenario.Builtin("two-speed")
//	policies, err := policy.Select("choice_of_two", nil)
//	result, err := sim.Run(ctx, s, policies[0].Policy, sim.Options{Seed: 1})
//	p99 := result.Answers.Quantile(0.99) / float64(result.Unit)
//
// A server shares its workers among the requests in service (server.go); a
// client makes calls as a Poisson process (engine.go); a report says what the
// server measures of itself (meter.go); what goes wrong, and when, is a
// timeline (timeline.go). A policy is what balances a client's calls
// (policy.go). Scenarios are files (package scenario), policies are in package
// policy, whole comparisons in package compare.
//
// Sources: Kleinrock, "Queueing Systems" (processor sharing); common random
// numbers and paired comparison as in Law, "Simulation Modeling and Analysis".
package sim
