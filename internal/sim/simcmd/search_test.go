package simcmd

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/evenkeel/evenkeel/internal/sim/scenario"
	"github.com/evenkeel/evenkeel/internal/sim/search"
)

func TestASearchSaysWhatItLookedAt(t *testing.T) {
	out, err := run(t, "--search", "--scenario", "two-servers,light-load", "--duration", "1s", "--policy", "choice_of_two,round_robin")
	if err != nil || !strings.Contains(out, "2 scenarios, ") || !strings.Contains(out, "million calls") {
		t.Errorf("%v: %s", err, out)
	}
	if raceEnabled {
		return // a draw is many calls
	}
	out, err = run(t, "--search", "--draws", "1", "--policy", "choice_of_two,round_robin")
	if err != nil || !strings.Contains(out, "1 scenarios, ") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestLossesInJSONAreAnArray(t *testing.T) {
	out, err := run(t, "--search", "--scenario", "light-load", "--duration", "1s", "--policy", "choice_of_two,round_robin", "--format", "json")
	var rows []map[string]any
	if err != nil || json.Unmarshal([]byte(out), &rows) != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestALossIsSavedAsAFileForScenario(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "losses")
	s := search.Draw(3, 1)
	if err := save(dir, s); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, s.Name+".yaml")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := scenario.Parse(file, data); err != nil {
		t.Error(err)
	}
}

func TestALossIsTold(t *testing.T) {
	c := search.Comparison{Value: 1.25, CI: [2]float64{1.25, 1.25}, Ours: 5, Peers: 4}
	for measure, want := range map[string]string{
		"p99":       "p99 1.25 times peak_ewma's (1.25-1.25), again 1.25 (1.25-1.25): 5.00 and 4.00",
		"error_pct": "errors 1.25 points more than peak_ewma (5.00 % and 4.00 %), again 1.25",
		"goodput":   "goodput 0.800 times peak_ewma's (0.800-0.800), again 0.800 (0.800-0.800)",
	} {
		if got := sentence(search.Loss{Peer: "peak_ewma", Measure: measure, First: c, Again: c}); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestFlagsOfASearchNeedOne(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"--draws 3", "give --search too"},
		{"--search --draws=-1", "--draws is -1"},
		{"--search --for=-1s", "--for is -1s"},
		{"--search --format csv", "a search writes table or json"},
		{"--search --plot x", "--plot is for comparisons"},
		{"--search --duration 5s", "--duration is 5s: what a search draws says for itself"},
	} {
		if _, err := run(t, strings.Fields(c.args)...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: the error is %v, want %q in it", c.args, err, c.want)
		}
	}
}
