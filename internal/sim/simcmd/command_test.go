package simcmd

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// run runs the command as a program that embeds it would.
func run(t *testing.T, args ...string) (stdout string, err error) {
	t.Helper()
	var cli struct {
		Sim Command `cmd:""`
	}
	var out, errs bytes.Buffer
	parser := kong.Must(&cli, kong.Writers(&out, &errs), kong.Exit(func(int) { t.Error("exited") }))
	k, err := parser.Parse(append([]string{"sim"}, args...))
	if err != nil {
		return "", err
	}
	err = k.Run()
	return out.String(), err
}

func TestListExplainsEachScenarioAndPolicyInALine(t *testing.T) {
	out, err := run(t, "--list")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"two-speed-quiet-clients", "large-fleet", "choice_of_two", "weighted_round_robin", "prequal", "oracle_lwl"} {
		if !strings.Contains(out, "  "+name+" ") {
			t.Errorf("%s is not listed", name)
		}
	}
}

func TestJSONIsAnArrayWithTheFieldsThatAreDocumented(t *testing.T) {
	out, err := run(t, "--scenario", "two-servers,light-load", "--policy", "choice_of_two,round_robin", "--seeds", "2", "--duration", "2s", "--format", "json")
	if err != nil {
		t.Fatal(err)
	}
	var rows []map[string]any
	if err := json.Unmarshal([]byte(out), &rows); err != nil {
		t.Fatal(err)
	}
	if len(rows) != 4 {
		t.Fatalf("%d rows, want one for each scenario and policy", len(rows))
	}
	for _, field := range []string{"scenario", "policy", "seeds", "p50", "p90", "p99", "p999", "p99_ok", "p99_ci", "error_pct", "requests", "oracle_ratio", "best_peer", "best_peer_ratio"} {
		if _, ok := rows[0][field]; !ok {
			t.Errorf("there is no %q", field)
		}
	}
	ours := rows[0]
	if ours["scenario"] != "two-servers" || ours["policy"] != "choice_of_two" || ours["best_peer"] != "round_robin" {
		t.Errorf("%v", ours)
	}
	if ci, ok := ours["p99_ci"].([]any); !ok || len(ci) != 2 {
		t.Errorf("p99_ci is %v", ours["p99_ci"])
	}
}

func TestCSVHasARowForEachScenarioAndPolicy(t *testing.T) {
	out, err := run(t, "--scenario", "two-servers", "--policy", "round_robin", "--seeds", "1", "--duration", "1s", "--format", "csv")
	if err != nil {
		t.Fatal(err)
	}
	records, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil || len(records) != 2 || records[1][1] != "round_robin" {
		t.Errorf("%v, %v", records, err)
	}
}

func TestAFileIsAScenarioAndPlotsAreDrawn(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "mine.yaml")
	if err := os.WriteFile(file, []byte("name: mine\nrate: 200\nwarmup: 1s\nduration: 2s\nservers: [{count: 2}]\nclients: [{count: 1}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	charts := filepath.Join(dir, "charts")
	out, err := run(t, "--scenario", file, "--policy", "least_request", "--seeds", "2", "--plot", charts)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out, "least_request") || !strings.Contains(out, "mine, 2 seeds") {
		t.Errorf("the table is\n%s", out)
	}
	for _, name := range []string{"mine-latency.svg", "mine-least_request-load.svg"} {
		data, err := os.ReadFile(filepath.Join(charts, name))
		if err != nil || !bytes.HasPrefix(data, []byte("<svg ")) || !bytes.HasSuffix(data, []byte("</svg>\n")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatIsNamedTwiceIsThereOnce(t *testing.T) {
	out, err := run(t, "--scenario", "two-servers, two-servers", "--policy", "round_robin,least_request,round_robin", "--seeds", "1", "--duration", "1s", "--format", "json")
	if err != nil {
		t.Fatal(err)
	}
	var rows []map[string]any
	if err := json.Unmarshal([]byte(out), &rows); err != nil || len(rows) != 2 {
		t.Fatalf("%v: %d rows", err, len(rows))
	}
	if rows[0]["best_peer"] != "least_request" || rows[1]["best_peer"] != "round_robin" {
		t.Errorf("peers %v and %v", rows[0]["best_peer"], rows[1]["best_peer"])
	}
}

// Of a run that is cut short, what would have happened later does not.
func TestARunThatIsTooShortForItsEventsIsNoted(t *testing.T) {
	var cli struct {
		Sim Command `cmd:""`
	}
	var out, errs bytes.Buffer
	parser := kong.Must(&cli, kong.Writers(&out, &errs))
	k, err := parser.Parse([]string{"sim", "--scenario", "fail-slow,two-servers", "--policy", "round_robin", "--seeds", "1", "--duration", "1s"})
	if err == nil {
		err = k.Run()
	}
	want := "note: fail-slow with --duration 1s: events[0].at is 20s: must be before the end, which is at 11s (warmup and duration)\n"
	if err != nil || errs.String() != want || !strings.Contains(out.String(), "two-servers") {
		t.Errorf("%v: said %q, want %q", err, errs.String(), want)
	}
}

func TestWithoutCallsThereAreNoResults(t *testing.T) {
	file := filepath.Join(t.TempDir(), "quiet.yaml")
	if err := os.WriteFile(file, []byte("name: quiet\nrate: 1\nwarmup: 0s\nduration: 1ms\nservers: [{}]\nclients: [{}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := "quiet: no call came in the 1ms that were measured: it must be longer, or have more calls"
	if out, err := run(t, "--scenario", file, "--policy", "round_robin", "--seeds", "1"); err == nil || err.Error() != want {
		t.Errorf("%v: %s", err, out)
	}
}

func TestAFileNeedsNoEnding(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("mine", []byte("name: my-own\nrate: 50\nwarmup: 0s\nduration: 1s\nservers: [{}]\nclients: [{}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := run(t, "--scenario", "mine", "--policy", "round_robin", "--seeds", "1")
	if err != nil || !strings.Contains(out, "my-own") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestABadFlagIsAnErrorOfTheCommandLine(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"--scenario nosuch", `scenario "nosuch" is not known: must be a file or one of`},
		{"--scenario ./nosuch.yaml", "no such file"},
		{"--policy fastest", `policy "fastest" is not known: must be all or of choice_of_two,`},
		{"--seeds 0", "--seeds is 0: must be from 1 to 10000"},
		{"--format xml", "must be one of"},
		{`--config {"filterDraws":1}`, "filterDraws is 1: must be from 2 to 16"},
		{`--config {"filterDrawz":3}`, "there is no field filterDrawz"},
		{`--config {"filterDraws":3} --policy round_robin`, "--config is that of choice_of_two, which is not among --policy"},
		{"--seed 0", "--seed is 0: must be from 1"},
		{"--scenario two-speed,testdata/two-speed.yaml", `two scenarios have the name "two-speed": give one of them another`},
		{"--scenario testdata", "testdata"},
	} {
		if _, err := run(t, strings.Fields(c.args)...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: the error is %v, want %q in it", c.args, err, c.want)
		}
	}
}
