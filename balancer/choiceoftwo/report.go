package choiceoftwo

import (
	"errors"
	"strings"
	"time"

	v3orcapb "github.com/cncf/xds/go/xds/data/orca/v3"

	"github.com/evenkeel/evenkeel/internal/choice"
	"github.com/evenkeel/evenkeel/internal/orcametric"
)

// metricName picks one metric out of a report.
type metricName func(*v3orcapb.OrcaLoadReport) (value float64, ok bool)

// parseMetricName reads a metric's name as gRFC A114 writes it.
func parseMetricName(s string) (metricName, error) {
	plain := func(get func(*v3orcapb.OrcaLoadReport) float64) metricName {
		return func(r *v3orcapb.OrcaLoadReport) (float64, bool) {
			v := get(r)
			return v, v > 0
		}
	}
	keyed := func(get func(*v3orcapb.OrcaLoadReport) map[string]float64, key string) (metricName, error) {
		if key == "" {
			return nil, errors.New("must have a name behind the dot")
		}
		return func(r *v3orcapb.OrcaLoadReport) (float64, bool) {
			v, ok := get(r)[key]
			return v, ok
		}, nil
	}
	switch group, key, _ := strings.Cut(s, "."); {
	case s == "application_utilization":
		return plain((*v3orcapb.OrcaLoadReport).GetApplicationUtilization), nil
	case s == "cpu_utilization":
		return plain((*v3orcapb.OrcaLoadReport).GetCpuUtilization), nil
	case s == "mem_utilization":
		return plain((*v3orcapb.OrcaLoadReport).GetMemUtilization), nil
	case group == "named_metrics":
		return keyed((*v3orcapb.OrcaLoadReport).GetNamedMetrics, key)
	case group == "utilization":
		return keyed((*v3orcapb.OrcaLoadReport).GetUtilization, key)
	}
	return nil, errors.New("must be named_metrics.NAME, utilization.NAME, application_utilization, cpu_utilization or mem_utilization")
}

// parseMetricNames reads the names of a config that has been validated.
func parseMetricNames(names []string) []metricName {
	var metrics []metricName
	for _, name := range names {
		if m, err := parseMetricName(name); err == nil {
			metrics = append(metrics, m)
		}
	}
	return metrics
}

// translate reads a load report. In ORCA 0 is how most fields say that they are
// not set; only a utilization that was named may be 0.
func translate(r *v3orcapb.OrcaLoadReport, metrics []metricName, to *choice.Report) {
	*to = choice.NoReport()
	to.Utilization, to.OfCPU = utilizationOf(r, metrics)
	if rps := r.GetRpsFractional(); rps > 0 {
		to.RPS, to.EPS = rps, r.GetEps()
	}
	// To look a name up takes longer than all else here, so none is once all that
	// is there was found.
	named := r.GetNamedMetrics()
	left := len(named)
	if left == 0 {
		return
	}
	if n, ok := named[orcametric.InFlight]; ok {
		to.InFlight = n
		left--
	}
	if left == 0 {
		return
	}
	if seconds, ok := named[orcametric.Uptime]; ok {
		if seconds > 0 && seconds < maxDurationSeconds {
			to.Uptime = time.Duration(seconds * float64(time.Second))
		}
		left--
	}
	if left > 0 {
		to.Draining = named[orcametric.Draining] > 0
		if seconds := named[orcametric.Latency]; seconds > 0 && seconds < maxDurationSeconds {
			to.Latency = time.Duration(seconds * float64(time.Second))
		}
	}
}

// utilizationOf is the highest of the metrics, else the application's own, else the CPU's.
func utilizationOf(r *v3orcapb.OrcaLoadReport, metrics []metricName) (utilization float64, ofCPU bool) {
	highest := -1.0
	for _, m := range metrics {
		if v, ok := m(r); ok {
			highest = max(highest, v)
		}
	}
	if highest >= 0 {
		return highest, false
	}
	if v := r.GetApplicationUtilization(); v > 0 {
		return v, false
	}
	if v := r.GetCpuUtilization(); v > 0 {
		return v, true
	}
	return -1, false
}
