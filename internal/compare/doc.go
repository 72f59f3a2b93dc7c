// Package compare compares balancing policies on real processes: gRPC's own, as
// grpc-go registers them, with choice_of_two.
//
//	rows, err := compare.Run(ctx, scenarios, policies, compare.Options{
//		Replicas: compare.Processes(spawner), Rounds: 5, Duration: 20 * time.Second, …
//	})
//
// A trial is one policy in one scenario: ten servers are started, each a process
// of its own, and clients call them over loopback. Each trial has fresh servers
// and fresh channels. A round is a trial of every policy, in an order drawn anew,
// all with the same calls at the same times. A round in which the machine was
// busy with something else is discarded.
//
// What servers do is virtual (package share), so that two cores carry it; all
// else is real. What is decided ahead, the scenarios' steps and the calls, is
// plain data (Scenario.Steps, newPlan); trial.go carries it out.
package compare
