package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

func main() {
	o := defaults()
	flag.IntVar(&o.Rounds, "rounds", o.Rounds, "how often each door is measured")
	flag.DurationVar(&o.Slice, "slice", o.Slice, "how long each time")
	flag.DurationVar(&o.Warmup, "warmup", o.Warmup, "how long each is kept busy before that")
	flag.IntVar(&o.Connections, "connections", o.Connections, "how many connections send requests, one at a time each")
	flag.Float64Var(&o.Paced, "paced", o.Paced, "the part of stock's requests a second at which answers are timed a second time")
	flag.StringVar(&o.Only, "only", "", "only the doors whose names match this regular expression, besides stock/10")
	asJSON := flag.String("json", "", "a `file` for all that was measured, as JSON")
	flag.StringVar(&o.Profiles, "profiles", "", "a `folder` for CPU profiles of the doors, which are taken after the rounds")
	flag.StringVar(&o.Log, "log", o.Log, "the `file` that access logs go to")
	flag.Parse()
	if err := measure(o, *asJSON, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "throughput:", err)
		os.Exit(1)
	}
}

// options say how is measured.
type options struct {
	Rounds        int
	Slice, Warmup time.Duration
	Connections   int
	Paced         float64
	Only          string
	Profiles, Log string
}

func defaults() options {
	return options{Rounds: 25, Slice: 500 * time.Millisecond, Warmup: 100 * time.Millisecond, Connections: 16, Paced: 0.5, Log: os.DevNull}
}

// measure measures all doors and writes the report.
func measure(o options, asJSON string, out io.Writer) (err error) {
	folder, err := os.MkdirTemp("", "throughput")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	if !(o.Paced > 0 && o.Paced <= 1) {
		return fmt.Errorf("-paced is %v; it must be above 0 and at most 1", o.Paced)
	}
	b, err := newBench(o, folder, out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := b.compareAnswers(); err != nil {
		return err
	}
	for round := range o.Rounds {
		if err := b.round(round); err != nil {
			return err
		}
	}
	if o.Profiles != "" {
		if err := b.profile(); err != nil {
			return err
		}
	}
	if asJSON != "" {
		encoded, err := json.MarshalIndent(b.samples, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Clean(asJSON), append(encoded, '\n'), 0o600); err != nil {
			return err
		}
	}
	return b.report(out)
}
