// Package comparecmd is the command `evenkeel compare`: it compares balancing
// policies, this module's and grpc-go's own, on real processes.
package comparecmd

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/alecthomas/kong"
	"golang.org/x/term"

	"github.com/evenkeel/evenkeel/internal/compare"
	"github.com/evenkeel/evenkeel/internal/compare/backend"
	"github.com/evenkeel/evenkeel/internal/compare/process"
	"github.com/evenkeel/evenkeel/internal/interrupt"
	"github.com/evenkeel/evenkeel/internal/ownconfig"
)

// Command is `evenkeel compare`, for kong. The program that embeds it must embed
// BackendCommand too, as "compare-backend".
type Command struct {
	Scenario string        `help:"What happens to the servers: names separated by commas, or \"all\" (default ${default})." default:"two-speed" placeholder:"NAMES"`
	Policy   string        `help:"The policies to compare: names separated by commas, or \"all\" (default ${default})." default:"all" placeholder:"NAMES"`
	Rounds   int           `help:"How many rounds of each scenario (default ${default})." default:"5" placeholder:"N"`
	Duration time.Duration `help:"How long a policy is measured in a round (default ${default})." default:"20s" placeholder:"TIME"`
	Warmup   time.Duration `help:"How long it gets calls before that (default ${default})." default:"5s" placeholder:"TIME"`
	Work     time.Duration `help:"The mean time that a call takes alone; the calls' rate follows from it (default ${default})." default:"50ms" placeholder:"TIME"`
	MaxBusy  float64       `help:"Discard rounds in which the whole machine was busier than this, in percent (default ${default})." default:"70" placeholder:"PERCENT"`
	Seed     uint64        `help:"The seed of the first round: the same one gives the same calls (default ${default})." default:"1" placeholder:"N"`
	Config   string        `help:"The config of choice_of_two, as in a service config (JSON)." placeholder:"JSON"`
	Format   string        `help:"table, json or csv (default ${default})." default:"table" enum:"table,json,csv"`
	List     bool          `help:"Explain each scenario and policy in a line."`

	scenarios []compare.Scenario
	policies  []compare.Policy
}

// Help is what --help says further.
func (*Command) Help() string {
	return `
Runs ten servers, each a process of its own whose work is virtual, and has eight
clients call them through real gRPC at 80 % load, by one balancing policy after
the other. Some things to try:

  evenkeel compare --list
  evenkeel compare --policy choice_of_two,round_robin --rounds 1
  evenkeel compare --scenario noisy,freeze --rounds 10 --format json
`
}

// The ranges of the flags.
const (
	maxRounds   = 1000
	minDuration = time.Second
	maxDuration = time.Hour
	minWork     = time.Millisecond
	maxWork     = time.Second
)

// Validate reads what the flags name. kong calls it, so that an error is one of
// the command line.
func (c *Command) Validate() error {
	if c.List {
		return nil
	}
	if c.Rounds < 1 || c.Rounds > maxRounds {
		return fmt.Errorf("--rounds is %d: must be from 1 to %d", c.Rounds, maxRounds)
	}
	if !(c.MaxBusy > 0 && c.MaxBusy <= 100) {
		return fmt.Errorf("--max-busy is %v: must be above 0, to 100", c.MaxBusy)
	}
	for _, d := range []struct {
		flag          string
		value         time.Duration
		least, atMost time.Duration
	}{
		{"--duration", c.Duration, minDuration, maxDuration},
		{"--warmup", c.Warmup, 0, maxDuration},
		{"--work", c.Work, minWork, maxWork},
	} {
		if d.value < d.least || d.value > d.atMost {
			return fmt.Errorf("%s is %v: must be from %v to %v", d.flag, d.value, d.least, d.atMost)
		}
	}
	var err error
	if c.policies, err = compare.SelectPolicies(c.Policy, c.Config); err != nil {
		return err
	}
	ours := slices.ContainsFunc(c.policies, func(p compare.Policy) bool { return p.Name == compare.Reference })
	if err := ownconfig.CheckUsed(c.Config, ours); err != nil {
		return err
	}
	if c.scenarios, err = compare.SelectScenarios(c.Scenario); err != nil {
		return err
	}
	for _, s := range c.scenarios {
		if s.NeedsFreeze && !process.CanFreeze {
			return fmt.Errorf("scenario %q: this system has no signal that stops a process: leave it out", s.Name)
		}
	}
	return nil
}

// Run does it.
func (c *Command) Run(k *kong.Kong) error {
	if c.List {
		return c.list(k.Stdout)
	}
	executable, err := os.Executable()
	if err != nil {
		return err
	}
	ctx, stop := interrupt.Context()
	defer stop()
	// A thread more for each would only cost switches between them.
	env := append(os.Environ(), "GOMAXPROCS=1")
	spawner := process.NewSpawner([]string{executable, "compare-backend"}, env)
	defer spawner.Close()
	p := newProgress(k.Stderr, c.Warmup+c.Duration)
	rows, err := compare.Run(ctx, c.scenarios, c.policies, compare.Options{
		Start: compare.Processes(spawner), Rounds: c.Rounds, Duration: c.Duration, Warmup: c.Warmup,
		Work: c.Work, MaxBusy: c.MaxBusy / 100, Seed: c.Seed, Progress: p.show,
	})
	p.clear()
	if errors.Is(err, compare.ErrBusy) {
		err = fmt.Errorf("%w: try again when it is quieter, or with a higher --max-busy", err)
	}
	err = interrupt.Told(err, "round", len(rows) > 0)
	if len(rows) == 0 && err != nil {
		return err
	}
	return errors.Join(c.write(k.Stdout, rows), err)
}

func (c *Command) write(w io.Writer, rows []compare.Row) error {
	switch c.Format {
	case "json":
		return compare.WriteJSON(w, rows)
	case "csv":
		return compare.WriteCSV(w, rows)
	}
	return compare.WriteTable(w, c.scenarios, rows)
}

func (c *Command) list(w io.Writer) error {
	policies, err := compare.Policies("")
	if err != nil {
		return err
	}
	fmt.Fprintln(w, "Scenarios:")
	for _, s := range compare.Scenarios() {
		fmt.Fprintf(w, "  %-26s %s\n", s.Name, s.About)
	}
	fmt.Fprintln(w, "\nPolicies:")
	for _, p := range policies {
		fmt.Fprintf(w, "  %-26s %s\n", p.Name, p.About)
	}
	return nil
}

// BackendCommand is what each of the servers' processes runs.
type BackendCommand struct{}

// Run serves until the parent is gone.
func (BackendCommand) Run() error { return backend.Run(os.Stdin, os.Stdout) }

// progress shows how far it is: on a terminal in a line of its own, elsewhere not
// at all.
type progress struct {
	w     *os.File // nil if it is no terminal
	each  time.Duration
	start time.Time
}

// startAndEnd is about how long a trial takes besides making calls.
const startAndEnd = 3 * time.Second

func newProgress(w io.Writer, measuring time.Duration) *progress {
	p := &progress{each: measuring + startAndEnd, start: time.Now()}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.w = f
	}
	return p
}

func (p *progress) show(now compare.Progress) {
	if p.w == nil {
		return
	}
	if now.Done > 0 {
		p.each = time.Since(p.start) / time.Duration(now.Done)
	}
	discarded := ""
	if now.Discarded > 0 {
		discarded = fmt.Sprintf(" (%d discarded)", now.Discarded)
	}
	fmt.Fprintf(p.w, "\r\x1b[K%s, round %d of %d%s: %s, about %v left", now.Scenario, now.Round, now.Rounds, discarded,
		now.Policy, (p.each * time.Duration(now.Total-now.Done)).Round(time.Second))
}

func (p *progress) clear() {
	if p.w != nil {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
