package comparecmd

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/evenkeel/evenkeel/internal/leaktest"
)

// The test binary is also the servers' program.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "compare-backend" {
		if err := (BackendCommand{}).Run(); err != nil {
			os.Stderr.WriteString(err.Error())
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// run runs the command as a program that embeds it would.
func run(t *testing.T, args ...string) (stdout string, err error) {
	t.Helper()
	var cli struct {
		Compare Command `cmd:""`
	}
	var out, errs bytes.Buffer
	parser := kong.Must(&cli, kong.Writers(&out, &errs), kong.Exit(func(int) { t.Error("exited") }))
	k, err := parser.Parse(append([]string{"compare"}, args...))
	if err != nil {
		return "", err
	}
	err = k.Run()
	return out.String(), err
}

// It takes two seconds of real time, and a little more: these are real processes.
func TestPoliciesAreComparedOnRealProcesses(t *testing.T) {
	leaktest.Check(t)
	out, err := run(t, "--policy", "choice_of_two,round_robin", "--scenario", "crash", "--rounds", "1", "--duration", "1s",
		"--warmup", "0s", "--work", "200ms", "--max-busy", "100", "--format", "json")
	if err != nil {
		t.Fatal(err)
	}
	var rows []map[string]any
	if err := json.Unmarshal([]byte(out), &rows); err != nil {
		t.Fatal(err)
	}
	if len(rows) != 2 {
		t.Fatalf("%d rows, want one for each policy", len(rows))
	}
	for i, r := range rows {
		if want := []string{"choice_of_two", "round_robin"}[i]; r["scenario"] != "crash" || r["policy"] != want || r["rounds_used"] != 1.0 {
			t.Errorf("%v", r)
		}
		for _, field := range []string{"p50_ms", "p99_ms", "p999_ms", "error_pct", "goodput_rps", "p99_ratio", "requests", "imbalance", "send_late_p99_ms"} {
			if _, ok := r[field].(float64); !ok {
				t.Errorf("%s: %s is %v", r["policy"], field, r[field])
			}
		}
		// The rate is 160 calls a second.
		if n := r["requests"].(float64); n < 100 || n > 220 || r["goodput_rps"].(float64) <= 0 {
			t.Errorf("%v", r)
		}
		if r["errors_at_event"].(float64) > r["in_flight_at_event"].(float64)+r["probes_after_event"].(float64)+r["piled_on_after_event"].(float64) {
			t.Errorf("%v", r)
		}
	}
}

func TestListExplainsEachScenarioAndPolicyInALine(t *testing.T) {
	out, err := run(t, "--list")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"two-speed", "noisy", "freeze", "crash", "rolling-restart", "cold-start",
		"choice_of_two", "round_robin", "weighted_round_robin", "least_request_experimental", "pick_first"} {
		if !strings.Contains(out, "  "+name+" ") {
			t.Errorf("%s is not listed", name)
		}
	}
}

func TestABadFlagIsAnErrorOfTheCommandLine(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"--scenario nosuch", `scenario "nosuch" is not known: must be all or of two-speed,`},
		{"--policy fastest", `policy "fastest" is not known: must be all or of choice_of_two,`},
		{"--rounds 0", "--rounds is 0: must be from 1 to 1000"},
		{"--duration 0s", "--duration is 0s: must be from 1s to 1h0m0s"},
		{"--duration long", "long"},
		{"--warmup=-1s", "--warmup is -1s: must be from 0s to 1h0m0s"},
		{"--work 1us", "--work is 1µs: must be from 1ms to 1s"},
		{"--max-busy 0", "--max-busy is 0: must be above 0, to 100"},
		{"--max-busy NaN", "--max-busy is NaN"},
		{"--format xml", "must be one of"},
		{`--config {"filterDraws":1}`, "filterDraws is 1: must be from 2 to 16"},
		{`--config {"filterDrawz":3}`, "there is no field filterDrawz"},
		{`--config {"filterDraws":3} --policy round_robin`, "--config is that of choice_of_two, which is not among --policy"},
	} {
		if _, err := run(t, strings.Fields(c.args)...); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: the error is %v, want one line with %q", c.args, err, c.want)
		}
	}
}
