// Package orca is what a gRPC server embeds to tell its clients how loaded it
// is, in the standard form, ORCA (Open Request Cost Aggregation): any client
// that reads ORCA, of any language, can balance on it.
//
// The smallest use:
//
//	reporter, err := orca.NewReporter()
//	if err != nil {
//		return err
//	}
//	defer reporter.Close()
//	server := grpc.NewServer(reporter.ServerOptions()...)
//	reporter.Register(server) // the out-of-band service
//
// and, when the server is to stop:
//
//	reporter.Drain(ctx)   // clients are told, and calls in flight end
//	server.GracefulStop() // only now connections go away
//
// # What is reported
//
//	cpu_utilization          CPU time of this process, as a share of what it can get:
//	                         the least of GOMAXPROCS, its CPUs and its cgroups' quotas
//	mem_utilization          resident memory, as a share of the cgroups' limits or of
//	                         the machine's memory (Linux only)
//	rps_fractional           calls finished each second
//	eps                      those of them that failed by the server's fault
//	application_utilization  what [WithUtilization] or [WithQueue] says, if given
//	named_metrics            [MetricInFlight], [MetricUptime], [MetricDraining] while
//	                         draining, those of [WithNamedMetric] and, out of band,
//	                         [MetricLatency]
//
// A unary call's trailers carry the report, and so do a stream's when it ends;
// a call that fails carries it too. Clients that want it without making calls,
// or while a stream is open, ask the service that [Reporter.Register] adds. Both
// say the same, but for the latency: who makes calls sees what they take.
//
// # One window
//
// All rates and utilizations are means over one and the same window, the last
// second by default ([WithWindow]), so that a client may divide one by the
// other: rps/utilization is the server's capacity (gRFC A58). The window moves
// in ten steps; at each step everything is measured, and until the next one
// every report says the same, but for in_flight, which is always of the moment.
// A young reporter's window begins when the reporter was made; if the process
// was stopped or starved of CPU, a window is longer, never shorter, than asked,
// but for at most a twentieth. [Load].Window says how long it was.
//
// A call counts in rps and eps when it ends, so eps never exceeds rps. Streams
// are in flight from their beginning to their end, and then count once.
//
// The services that watch a server rather than use it (health, reflection,
// channelz, CSDS and ORCA's own) are not counted: else each client's watch would
// look like load.
//
// # Cost
//
// A call pays two readings of the clock, some atomic operations and one trailer of about
// 75 bytes on the wire; everything else is measured at the window's steps, in one
// goroutine that Close stops. BenchmarkUnary compares with grpc's own recorder.
//
// # Together with grpc's own package orca
//
// A trailer given twice makes clients drop both, so the reporter steps aside if
// a report is there already. To send costs of single calls, use grpc's recorder
// with the reporter as its provider, after the reporter's own options:
//
//	opts := append(reporter.ServerOptions(), grpcorca.CallMetricsServerOption(reporter))
//
// Handlers that record something then send the reporter's numbers and their
// own, and others the reporter's. In the other order it works too, but costs
// more. Do not call grpc's orca.Register as well as [Reporter.Register]: a server
// has only one service of a name.
//
// # Sources
//
// gRFC A51 (custom backend metrics), A58 (weighted_round_robin), A114 (named
// metrics as utilization), and xds/data/orca/v3 and xds/service/orca/v3 of
// github.com/cncf/xds.
package orca
