package chart

import (
	"context"
	"strings"
	"testing"

	"github.com/evenkeel/evenkeel/internal/sim/compare"
	"github.com/evenkeel/evenkeel/internal/sim/policy"
	"github.com/evenkeel/evenkeel/internal/sim/scenario"
)

func rows(t *testing.T, text string) []compare.Row {
	t.Helper()
	s, err := scenario.Parse("chart.yaml", []byte("name: <chart>\n"+text))
	if err != nil {
		t.Fatal(err)
	}
	p, err := policy.Select("round_robin", nil)
	if err != nil {
		t.Fatal(err)
	}
	all, err := compare.Run(context.Background(), []*scenario.Scenario{s}, p, compare.Options{Seeds: 1, Bins: Bins})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Whatever there is to draw, there is a place for it.
func TestChartsHaveNoNumberThatIsNone(t *testing.T) {
	for _, text := range []string{
		"rate: 100\nduration: 1s\nwarmup: 400ms\ncost: {kind: constant, mean: 1024us}\nnetwork: {delay: 0s}\nservers: [{workers: 1000, queue: 1000}]\nclients: [{}]\n",
		"rate: 2000\nduration: 2s\nwarmup: 0s\nservers: [{count: 250}]\nclients: [{}]\n",
		"rate: 100\nduration: 1s\ndeadline: 16ms\nwarmup: 0s\ncost: {kind: constant, mean: 1s}\nservers: [{}]\nclients: [{}]\n", // all fail
	} {
		for _, r := range rows(t, text) {
			for name, svg := range map[string]string{"latency": Latency([]compare.Row{r}), "load": Load(r)} {
				if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
					t.Errorf("%s: the chart of %s has a number that is none", text, name)
				}
				if strings.Contains(svg, "<chart>") {
					t.Errorf("the chart of %s has a name that is not escaped", name)
				}
			}
		}
	}
}

func TestTheTimeAxisHasRoundNumbers(t *testing.T) {
	svg := Load(rows(t, "rate: 100\nduration: 1s\nwarmup: 400ms\nservers: [{}]\nclients: [{}]\n")[0])
	for _, want := range []string{">0.2 s<", ">0.6 s<", ">1.2 s<"} {
		if !strings.Contains(svg, want) {
			t.Errorf("there is no %s", want)
		}
	}
}
