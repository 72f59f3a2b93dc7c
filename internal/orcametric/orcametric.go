// Package orcametric holds the names of the ORCA named metrics that the server
// side (package orca) sends and the client side (package balancer/choiceoftwo)
// reads, so that neither has to import the other.
//
// They travel in OrcaLoadReport.named_metrics, with every answer, so they are
// few and short.
package orcametric

const (
	// InFlight counts the calls and streams the server is working on, without
	// the call whose answer carries the report. It is in every report, 0
	// included.
	InFlight = "in_flight"

	// Uptime is the age of the reporting server in seconds. It is in every
	// report and only grows; a smaller value than before is another server
	// behind the same address.
	Uptime = "uptime"

	// Draining is 1 from the moment the server begins to drain, and absent
	// before.
	Draining = "draining"

	// Latency is what calls took of late that came when about as many were in
	// flight as now, in seconds. It comes out of band only.
	Latency = "latency"
)
