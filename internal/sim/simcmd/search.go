package simcmd

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/evenkeel/evenkeel/internal/sim/scenario"
	"github.com/evenkeel/evenkeel/internal/sim/search"
)

// searchFor is how long is searched if nothing is said.
const searchFor = time.Minute

// lossRow is a loss as JSON has it.
type lossRow struct {
	Scenario string            `json:"scenario"`
	About    string            `json:"about"`
	Peer     string            `json:"peer"`
	Measure  string            `json:"measure"`
	First    search.Comparison `json:"first"`
	Again    search.Comparison `json:"again"`
	// Beside has the other measures, of the runs of Again.
	Beside map[string]search.Comparison `json:"beside"`
	YAML   string                       `json:"yaml"`
}

func (c *Command) validateSearch() error {
	switch {
	case !c.Search && (c.For != 0 || c.Draws != 0 || c.Save != ""):
		return fmt.Errorf("--for, --draws and --save say how to search: give --search too")
	case c.For < 0:
		return fmt.Errorf("--for is %v: must be 0 or more", c.For)
	case c.Draws < 0:
		return fmt.Errorf("--draws is %d: must be 0 or more", c.Draws)
	case c.Search && c.Format == "csv":
		return fmt.Errorf("--format is csv: a search writes table or json")
	case c.Search && c.Duration != 0 && c.Scenario == "":
		return fmt.Errorf("--duration is %v: what a search draws says for itself how long it is; it is for --scenario", c.Duration)
	case c.Search && c.Plot != "":
		return fmt.Errorf("--plot is for comparisons: give --scenario the files of a search's losses")
	}
	return nil
}

// search runs `evenkeel sim --search`.
func (c *Command) search(ctx context.Context, stdout io.Writer, p *progress) error {
	o := search.Options{Seed: c.Seed, Draws: c.Draws, Parallel: c.Parallel, Scenarios: c.scenarios}
	if length := c.For; length > 0 || c.Draws == 0 && len(c.scenarios) == 0 {
		if length == 0 {
			length = searchFor
		}
		o.Until = time.Now().Add(length)
	}
	rows := []lossRow{}
	var failure error
	shown := "" // the scenario whose loss was shown last
	o.Found = func(l search.Loss) {
		if c.Format == "json" {
			rows = append(rows, lossRow{l.Scenario.Name, l.Scenario.About, l.Peer, l.Measure, l.First, l.Again, l.Beside, string(l.Scenario.YAML())})
		} else {
			p.clear()
			if l.Scenario.Name != shown {
				fmt.Fprintf(stdout, "%s: %s\n", l.Scenario.Name, search.Describe(l.Scenario))
			}
			fmt.Fprintf(stdout, "  %s%s\n", sentence(l), others(l))
		}
		if l.Scenario.Name != shown && c.Save != "" && failure == nil {
			failure = save(c.Save, l.Scenario)
		}
		shown = l.Scenario.Name
	}
	o.Progress = func(s search.Summary) {
		p.say("%s, %v", tally(s), time.Since(p.start).Round(time.Second))
	}
	summary, err := search.Run(ctx, c.policies, o)
	if err == nil {
		err = failure
	}
	if err != nil {
		return err
	}
	p.clear()
	if c.Format == "json" {
		encoder := json.NewEncoder(stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(rows)
	}
	_, err = fmt.Fprintln(stdout, tally(summary))
	return err
}

func tally(s search.Summary) string {
	return fmt.Sprintf("%d scenarios, %d looked like a loss, %d losses, %.1f million calls",
		s.Scenarios, s.Suspects, s.Losing, float64(s.Calls)/1e6)
}

// sentence says by what a scenario is a loss.
func sentence(l search.Loss) string {
	f, a := l.First, l.Again
	switch l.Measure {
	case "error_pct":
		return fmt.Sprintf("errors %.2f points more than %s (%.2f %% and %.2f %%), again %.2f", f.Value, l.Peer, a.Ours, a.Peers, a.Value)
	case "goodput":
		return fmt.Sprintf("goodput %.3f times %s's (%.3f-%.3f), again %.3f (%.3f-%.3f)", 1/f.Value, l.Peer,
			1/f.CI[1], 1/f.CI[0], 1/a.Value, 1/a.CI[1], 1/a.CI[0])
	}
	return fmt.Sprintf("%s %.2f times %s's (%.2f-%.2f), again %.2f (%.2f-%.2f): %.2f and %.2f", l.Measure, f.Value, l.Peer,
		f.CI[0], f.CI[1], a.Value, a.CI[0], a.CI[1], a.Ours, a.Peers)
}

// others says how the two compare by the other measures.
func others(l search.Loss) string {
	text := ""
	for _, m := range []string{"p50", "p99"} {
		if c, ok := l.Beside[m]; ok {
			text += fmt.Sprintf(", %s %.2f times", m, c.Value)
		}
	}
	if c, ok := l.Beside["error_pct"]; ok {
		text += fmt.Sprintf(", errors %+.2f points", c.Value)
	}
	return " (beside it" + strings.TrimPrefix(text, ",") + ")"
}

// save writes a scenario to a directory.
func save(dir string, s *scenario.Scenario) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, s.Name+".yaml"), s.YAML(), 0o644)
}
