package search

import (
	"fmt"
	"strings"

	"github.com/evenkeel/evenkeel/internal/sim/scenario"
)

// Describe says in a line what a scenario is.
func Describe(s *scenario.Scenario) string {
	var groups []string
	for _, g := range s.Servers {
		text := fmt.Sprintf("%d of %d workers", g.Count, g.Workers)
		if g.Speed != 1 {
			text += fmt.Sprintf(" at %v speed", g.Speed)
		}
		groups = append(groups, text)
	}
	parts := []string{
		fmt.Sprintf("%d servers (%s)", s.Total(), strings.Join(groups, ", ")),
		describeClients(s),
		fmt.Sprintf("%.0f %% load", 100*s.Load),
		fmt.Sprintf("%s of %v", s.Cost.Kind, s.Cost.MeanTime()),
		describeReports(s),
	}
	if s.Load == 0 {
		parts[2] = fmt.Sprintf("%v calls a second", s.Rate)
	}
	if len(s.Network.Zones) > 0 {
		parts = append(parts, "zones")
	}
	if len(s.Arrivals) > 0 {
		parts = append(parts, "surge")
	}
	for _, e := range s.Events {
		parts = append(parts, e.Do)
	}
	return strings.Join(parts, ", ")
}

func describeClients(s *scenario.Scenario) string {
	text := fmt.Sprintf("%d clients", s.TotalClients())
	if n := s.Clients[0].Subset; n > 0 {
		text += fmt.Sprintf(" with %d each", n)
	}
	return text
}

func describeReports(s *scenario.Scenario) string {
	r := &s.Reports
	text := "reports with each call"
	switch {
	case r.Silent():
		return "silent"
	case r.OutOfBand > 0:
		text = fmt.Sprintf("reports every %v", r.OutOfBand)
	case r.Refresh > 0:
		text = fmt.Sprintf("reports stale by %v", r.Refresh)
	case r.Wrong.Servers+r.Wrong.Reports > 0:
		text = "wrong reports"
	}
	for _, g := range s.Servers {
		if g.Reports != nil && g.Reports.Silent() {
			text = "half silent"
		}
	}
	if len(r.Omit) > 0 {
		text += " without " + strings.Join(r.Omit, " and ")
	}
	return text
}
