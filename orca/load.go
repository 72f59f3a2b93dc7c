package orca

import (
	"maps"
	"slices"
	"time"

	v3orcapb "github.com/cncf/xds/go/xds/data/orca/v3"
	grpcorca "google.golang.org/grpc/orca"

	"github.com/evenkeel/evenkeel/internal/orcametric"
)

// Names of the named metrics that every report may carry.
const (
	// MetricInFlight counts the calls and streams being worked on, without the
	// call whose answer carries the report. It is in every report.
	MetricInFlight = orcametric.InFlight

	// MetricUptime is how long ago the Reporter was made, in seconds, up to a
	// tenth of the window ago. It is in every report; if it goes backwards, there
	// is a new server at the address.
	MetricUptime = orcametric.Uptime

	// MetricDraining is 1 once [Reporter.Drain] has been called, and absent
	// before.
	MetricDraining = orcametric.Draining

	// MetricLatency is what unary calls took in the last 30 s, at this server, that came when
	// about as many were in flight as now, in seconds: a geometric mean. It is in the
	// reports that are sent out of band, if such calls succeeded. Of a server that
	// is idle it is all that tells how fast it is.
	MetricLatency = orcametric.Latency
)

// Load is what a report says. As on the wire, 0 stands for unknown too.
type Load struct {
	// InFlight counts the calls and streams being worked on.
	InFlight int
	// RPS is calls finished each second, and EPS those of them that failed by
	// the server's fault.
	RPS, EPS float64
	// CPUUtilization is the share of the available CPU that the process used. It
	// may exceed 1 for a moment where a quota allows bursts.
	CPUUtilization float64
	// MemUtilization is the share of the available memory that the process
	// holds, 0 to 1.
	MemUtilization float64
	// ApplicationUtilization is what WithUtilization or WithQueue gave; 1 is
	// full, and it may be more.
	ApplicationUtilization float64
	// Latency is what unary calls took in the last 30 s that came when about as many were in
	// flight as now; 0 if there were none, and in what ServerMetrics returns.
	Latency time.Duration
	// Uptime is the reporter's age.
	Uptime time.Duration
	// Draining is true once Drain has been called.
	Draining bool
	// NamedMetrics are those of WithNamedMetric.
	NamedMetrics map[string]float64
	// Window is the length of time that the rates and the utilizations but the
	// memory's are means over; 0 before the first measurement. It is not sent.
	Window time.Duration
}

// named returns all named metrics that l is sent with.
func (l Load) named() map[string]float64 {
	named := make(map[string]float64, len(l.NamedMetrics)+4)
	maps.Copy(named, l.NamedMetrics)
	named[MetricInFlight] = float64(l.InFlight)
	named[MetricUptime] = l.Uptime.Seconds()
	if l.Draining {
		named[MetricDraining] = 1
	}
	if l.Latency > 0 {
		named[MetricLatency] = l.Latency.Seconds()
	}
	return named
}

// proto returns l as it is sent out of band.
func (l Load) proto() *v3orcapb.OrcaLoadReport {
	return &v3orcapb.OrcaLoadReport{
		CpuUtilization:         l.CPUUtilization,
		MemUtilization:         l.MemUtilization,
		RpsFractional:          l.RPS,
		Eps:                    l.EPS,
		ApplicationUtilization: l.ApplicationUtilization,
		NamedMetrics:           l.named(),
	}
}

// serverMetrics returns l as grpc's own package orca has it.
func (l Load) serverMetrics() *grpcorca.ServerMetrics {
	return &grpcorca.ServerMetrics{
		CPUUtilization: l.CPUUtilization,
		MemUtilization: l.MemUtilization,
		AppUtilization: l.ApplicationUtilization,
		QPS:            l.RPS,
		EPS:            l.EPS,
		Utilization:    map[string]float64{},
		RequestCost:    map[string]float64{},
		NamedMetrics:   l.named(),
	}
}

// clone returns a copy that shares nothing with l.
func (l Load) clone() Load {
	l.NamedMetrics = maps.Clone(l.NamedMetrics)
	return l
}

// names returns the names of the named metrics in an order that does not change.
func (l Load) names() []string {
	return slices.Sorted(maps.Keys(l.NamedMetrics))
}
