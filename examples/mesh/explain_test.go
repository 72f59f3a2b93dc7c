package mesh

import (
	"strings"
	"testing"

	"github.com/evenkeel/evenkeel/balancer/choiceoftwo"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/fleet"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/supervisor"
)

func TestDecisionsAreToldByReplicaAndService(t *testing.T) {
	decisions := []*choiceoftwo.Decision{
		{Target: "xds:///movie", Method: "/m/Get", Winner: "127.0.0.1:7", Why: choiceoftwo.Cheaper, Candidates: []choiceoftwo.Candidate{
			{Endpoint: "127.0.0.1:7", Verdict: choiceoftwo.Won, DrawnFrom: "fresh"}, {Endpoint: "127.0.0.1:8", Verdict: choiceoftwo.Lost, DrawnFrom: "random"},
		}},
		{Target: "xds:///talent", Method: "/t/Get", Winner: "127.0.0.1:9", Why: choiceoftwo.OnlyOne, Candidates: []choiceoftwo.Candidate{
			{Endpoint: "127.0.0.1:9", Verdict: choiceoftwo.Won, DrawnFrom: "random"},
		}},
	}
	replicas := []supervisor.Status{
		{ID: fleet.ID{Service: "movie", Number: 1}, Address: "127.0.0.1:7"},
		{ID: fleet.ID{Service: "movie", Number: 2}, Address: "127.0.0.1:8"},
	}
	for of, want := range map[string][]string{
		"":         {"movie/1 wins", "127.0.0.1:9 is the only"},
		"movie":    {"movie/1 wins"},
		"movie/2":  {"movie/1 wins", "random, lost"},
		"talent":   {"127.0.0.1:9 is the only"},
		"talent/1": {"Of the last 2 calls of the front door, none was about talent/1."},
	} {
		got, err := explanation(decisions, replicas, of)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range want {
			if !strings.Contains(got, part) {
				t.Errorf("%q: no %q in:\n%s", of, part, got)
			}
		}
		if n := strings.Count(got, "  to "); n > len(want) || (of == "movie" && strings.Contains(got, "/t/Get")) {
			t.Errorf("%q: too much:\n%s", of, got)
		}
	}
	if err := checkExplained("film/1"); err == nil {
		t.Error("a service that is not there is accepted")
	}
}
