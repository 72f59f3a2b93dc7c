// Package simcmd is the command `evenkeel sim`: it simulates balancing
// policies, this module's by the code that production links, and compares them.
package simcmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"golang.org/x/term"

	"github.com/evenkeel/evenkeel/internal/interrupt"
	"github.com/evenkeel/evenkeel/internal/ownconfig"
	"github.com/evenkeel/evenkeel/internal/sim/chart"
	"github.com/evenkeel/evenkeel/internal/sim/compare"
	"github.com/evenkeel/evenkeel/internal/sim/policy"
	"github.com/evenkeel/evenkeel/internal/sim/scenario"
)

// Command is `evenkeel sim`, for kong.
type Command struct {
	Scenario string        `help:"What to simulate: names separated by commas, \"design\" for the rows of the design table, \"all\", or files (default two-speed)." placeholder:"NAMES"`
	Policy   string        `help:"The policies to compare: names separated by commas, or \"all\" (default ${default})." default:"all" placeholder:"NAMES"`
	Seeds    int           `help:"How many runs of each (default ${default})." default:"5" placeholder:"N"`
	Seed     uint64        `help:"The first seed; of a search, which draws (default ${default})." default:"1" placeholder:"N"`
	Format   string        `help:"table, json or csv (default ${default})." default:"table" enum:"table,json,csv"`
	Plot     string        `help:"Write charts (SVG) to this directory." placeholder:"DIR" type:"path"`
	Config   string        `help:"The config of choice_of_two, as in a service config (JSON)." placeholder:"JSON"`
	Duration time.Duration `help:"Measure for this long instead of what the scenarios say." placeholder:"TIME"`
	Parallel int           `help:"How many runs at a time (default: one for each processor)." placeholder:"N"`
	List     bool          `help:"Explain each scenario and policy in a line."`

	Search bool          `help:"Look for scenarios in which choice_of_two loses to a policy that knows no more: draws at random, or those of --scenario." group:"Search:"`
	For    time.Duration `help:"Search for this long (default 1m)." placeholder:"TIME" group:"Search:"`
	Draws  int           `help:"Search this many draws." placeholder:"N" group:"Search:"`
	Save   string        `help:"Write the scenarios that are losses to this directory, for --scenario." placeholder:"DIR" type:"path" group:"Search:"`

	scenarios []*scenario.Scenario
	policies  []policy.Named
	notes     []string // of what is not as the scenarios mean it
}

// Help is what --help says further.
func (*Command) Help() string {
	return `
Simulates servers, clients and the network between them, and compares balancing
policies on the same calls. Some things to try:

  evenkeel sim --list
  evenkeel sim --scenario two-speed,antagonist --policy choice_of_two,peak_ewma
  evenkeel sim --scenario design --seeds 10 --format json
  evenkeel sim --scenario mine.yaml --plot charts
  evenkeel sim --search --for 10m --save losses
`
}

// Validate reads what the flags name. kong calls it, so that an error is one of
// the command line.
func (c *Command) Validate() error {
	if c.List {
		return nil
	}
	if c.Seeds < 1 || c.Seeds > 10_000 {
		return fmt.Errorf("--seeds is %d: must be from 1 to 10000", c.Seeds)
	}
	if c.Seed == 0 {
		return fmt.Errorf("--seed is 0: must be from 1")
	}
	if c.Parallel < 0 {
		return fmt.Errorf("--parallel is %d: must be 0 or more", c.Parallel)
	}
	if c.Duration < 0 {
		return fmt.Errorf("--duration is %v: must be 0 or more", c.Duration)
	}
	if err := c.validateSearch(); err != nil {
		return err
	}
	var err error
	if c.policies, err = policy.Select(c.Policy, json.RawMessage(c.Config)); err != nil {
		return err
	}
	if err := ownconfig.CheckUsed(c.Config, slices.ContainsFunc(c.policies, policy.Named.IsOurs)); err != nil {
		return err
	}
	names := c.Scenario
	if names == "" && !c.Search {
		names = "two-speed"
	}
	if c.scenarios, err = selectScenarios(names); err != nil {
		return err
	}
	if c.Duration > 0 {
		for i, s := range c.scenarios {
			changed := *s
			changed.Duration = c.Duration
			if err := changed.Validate(); err != nil {
				c.notes = append(c.notes, fmt.Sprintf("%s with --duration %v: %v", s.Name, c.Duration, err))
			}
			c.scenarios[i] = &changed
		}
	}
	return nil
}

func selectScenarios(names string) ([]*scenario.Scenario, error) {
	all, err := scenario.Builtins()
	if err != nil {
		return nil, err
	}
	if names == "" {
		return nil, nil
	}
	var selected []*scenario.Scenario
	// Results go by the name: each scenario is there once, and no two have the same.
	add := func(s *scenario.Scenario) error {
		i := slices.IndexFunc(selected, func(other *scenario.Scenario) bool { return other.Name == s.Name })
		if i < 0 {
			selected = append(selected, s)
		} else if selected[i] != s {
			return fmt.Errorf("two scenarios have the name %q: give one of them another", s.Name)
		}
		return nil
	}
	for name := range strings.SplitSeq(names, ",") {
		named, err := selectOne(strings.TrimSpace(name), all)
		if err != nil {
			return nil, err
		}
		for _, s := range named {
			if err := add(s); err != nil {
				return nil, err
			}
		}
	}
	return selected, nil
}

// selectOne returns the scenarios that a name stands for: of what is built in, or a file.
func selectOne(name string, all []*scenario.Scenario) ([]*scenario.Scenario, error) {
	switch name {
	case "all":
		return all, nil
	case "design":
		return slices.DeleteFunc(slices.Clone(all), func(s *scenario.Scenario) bool { return !s.IsDesign() }), nil
	}
	s, err := scenario.Builtin(name)
	if err == nil {
		return []*scenario.Scenario{s}, nil
	}
	data, fileErr := os.ReadFile(name)
	switch {
	case fileErr == nil:
		s, err = scenario.Parse(name, data)
	case strings.ContainsAny(name, "./"):
		err = fileErr // it was to be a file
	}
	if err != nil {
		return nil, err
	}
	return []*scenario.Scenario{s}, nil
}

// Run does it.
func (c *Command) Run(k *kong.Kong) error {
	if c.List {
		return list(k.Stdout)
	}
	ctx, stop := interrupt.Context()
	defer stop()
	for _, note := range c.notes {
		fmt.Fprintln(k.Stderr, "note:", note)
	}
	p := new(progress)
	if f, ok := k.Stderr.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.w = f
	}
	p.start = time.Now()
	defer p.clear()
	if c.Search {
		return c.search(ctx, k.Stdout, p)
	}
	options := compare.Options{Seeds: c.Seeds, FirstSeed: c.Seed, Parallel: c.Parallel, Progress: p.runs}
	if c.Plot != "" {
		options.Bins = chart.Bins
		if err := os.MkdirAll(c.Plot, 0o755); err != nil { // rather than after all runs
			return err
		}
	}
	rows, err := compare.Run(ctx, c.scenarios, c.policies, options)
	err = interrupt.Told(err, "scenario", len(rows) > 0)
	if len(rows) == 0 && err != nil {
		return err
	}
	if c.Plot != "" {
		err = errors.Join(err, chart.Write(c.Plot, rows))
	}
	p.clear()
	return errors.Join(c.write(k.Stdout, rows), err)
}

func (c *Command) write(w io.Writer, rows []compare.Row) error {
	switch c.Format {
	case "json":
		return compare.WriteJSON(w, rows)
	case "csv":
		return compare.WriteCSV(w, rows)
	}
	return compare.WriteTable(w, rows)
}

func list(w io.Writer) error {
	all, err := scenario.Builtins()
	if err != nil {
		return err
	}
	policies, err := policy.All(nil)
	if err != nil {
		return err
	}
	fmt.Fprintln(w, "Scenarios:")
	for _, s := range all {
		fmt.Fprintf(w, "  %-24s %s\n", s.Name, s.About)
	}
	fmt.Fprintln(w, "\nPolicies:")
	for _, p := range policies {
		fmt.Fprintf(w, "  %-24s %s\n", p.Name, p.About)
	}
	return nil
}

// progress shows how far it is, on a terminal.
type progress struct {
	w     io.Writer // nil: no terminal
	start time.Time
	last  time.Time
}

func (p *progress) say(format string, args ...any) {
	if p.w != nil {
		fmt.Fprintf(p.w, "\r\x1b[K"+format, args...)
	}
}

func (p *progress) runs(done, total int) {
	if time.Since(p.last) < 100*time.Millisecond && done < total {
		return
	}
	p.last = time.Now()
	elapsed := time.Since(p.start)
	left := elapsed * time.Duration(total-done) / time.Duration(done)
	p.say("%d of %d runs, %v left", done, total, left.Round(time.Second))
}

func (p *progress) clear() { p.say("") }
