package mesh

import (
	"fmt"
	"slices"
	"strings"

	"github.com/evenkeel/evenkeel/balancer/choiceoftwo"
	"github.com/evenkeel/evenkeel/balancer/choiceoftwo/explain"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/fleet"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/supervisor"
)

const (
	// explained is how many of the front door's picks are kept. All are
	// recorded: a mesh on one machine has few.
	explained = 512
	// shown is how many of them a command shows.
	shown = 5
)

// checkExplained checks what decisions are asked for: of a replica, a service, or all.
func checkExplained(of string) error {
	if of == "" || slices.Contains(fleet.Services(), of) {
		return nil
	}
	_, err := fleet.ParseID(of)
	return err
}

// explain tells why the front door's last calls went where they went.
func (m *mesh) explain(of string) (string, error) {
	if err := checkExplained(of); err != nil {
		return "", err
	}
	return explanation(m.explainer.Decisions(), m.supervisor.Snapshot(), of)
}

// explanation is pure, so that it can be tested.
func explanation(decisions []*choiceoftwo.Decision, replicas []supervisor.Status, of string) (string, error) {
	names := map[string]string{}
	for _, r := range replicas {
		names[r.Address] = r.ID.String()
	}
	named := make([]*choiceoftwo.Decision, len(decisions))
	for i, d := range decisions {
		named[i] = withNames(d, names)
	}
	filter := explain.Filter{Limit: shown}
	switch {
	case strings.Contains(of, "/"):
		filter.Endpoint = of
	case of != "":
		filter.Target = "xds:///" + of
	}
	chosen := filter.Select(named)
	if len(chosen) == 0 {
		return fmt.Sprintf("Of the last %d calls of the front door, none was about %s.", len(decisions), or(of, "anything")), nil
	}
	var b strings.Builder
	for i, d := range chosen {
		if i > 0 {
			b.WriteString("\n")
		}
		explain.Text(&b, d) // a Builder does not fail
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// withNames is a copy of the decision that names replicas instead of addresses.
func withNames(d *choiceoftwo.Decision, names map[string]string) *choiceoftwo.Decision {
	named := *d
	named.Winner = or(names[d.Winner], d.Winner)
	named.Candidates = slices.Clone(d.Candidates)
	for i := range named.Candidates {
		c := &named.Candidates[i]
		c.Endpoint = or(names[c.Endpoint], c.Endpoint)
	}
	return &named
}
