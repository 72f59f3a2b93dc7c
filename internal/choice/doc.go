// Package choice decides which endpoint a call goes to. It is the core of the
// choice_of_two balancing policy, and what the simulator drives.
//
// It knows nothing of gRPC, starts no goroutine and reads no clock: whoever
// embeds it hands in the time, in nanoseconds on any monotonic scale, and a
// source of random numbers. The same events, times and random numbers give the
// same picks.
//
//	group := choice.NewGroup(params, false)
//	a, b := group.NewEndpoint(now), group.NewEndpoint(now)
//	fleet := group.NewFleet([]*choice.Endpoint{a, b})
//
//	i := fleet.Pick(now, random)
//	call := fleet.Endpoint(i).Begin(now, false)
//	// … the call runs …
//	fleet.Endpoint(i).End(later, call, &choice.Outcome{Kind: choice.Answered, OK: true})
//
// What an endpoint is compared on is its cost: the time that one more call is
// expected to take there (cost.go). What is known of it (endpoint.go) comes
// from its calls (calls.go, a few at a time: lesson.go) and from what it reports of
// itself (report.go), also of what its requests took (claim.go); what is published of it for picks is in facts.go. What is known of
// all together is in group.go: how fast news grows old (news.go), and whether there are
// workers to spare (spare.go). Which endpoints are looked at, and which are passed over, is
// in fleet.go; those that answered last are in fresh.go.
//
// Sources: Netflix, "Rethinking Netflix's Edge Load Balancing" (2018), for the
// choice of two over health, utilization and in-flight, probation, warmup and
// decay; Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing"
// (2001); gRFC A58 and A114 for what utilization is; Envoy's panic threshold
// and slow start.
package choice
