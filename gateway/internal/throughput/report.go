package main

import (
	"fmt"
	"io"
	"runtime"
	"text/tabwriter"
	"time"
)

// report writes what was measured as tables.
func (b *bench) report(out io.Writer) error {
	fmt.Fprintf(out, "\n%d rounds of %v each, %d connections, %d processors, %s/%s, %s\n",
		b.Rounds, b.Slice, b.Connections, runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
	if b.leftOut > 0 {
		fmt.Fprintf(out, "%d more are left out: other work on the machine made a door shed calls or answer none\n", b.leftOut)
	}
	for _, verb := range verbs {
		fmt.Fprintf(out, "\n%s, medians\n\n", verb)
		t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "| door\t| requests/s\t| p50\t| p99\t| p99 paced\t| CPU/request\t| with service\t| memory\t|")
		fmt.Fprintln(t, "|---\t|---\t|---\t|---\t|---\t|---\t|---\t|---\t|")
		for _, d := range b.doors {
			fmt.Fprintf(t, "| %s\t| %.0f\t| %v\t| %v\t| %v\t| %v\t| %v\t| %.0f MiB\t|\n", d.name,
				b.median(d.name, verb, perSecond), b.duration(d.name, verb, p50), b.duration(d.name, verb, p99),
				b.duration(d.name, verb, pacedP99), b.duration(d.name, verb, doorCPU), b.duration(d.name, verb, allCPU), b.median(d.name, verb, rss)/(1<<20))
		}
		if err := t.Flush(); err != nil {
			return err
		}
		fmt.Fprintf(out, "\n%s, ratios by round: median and 95 %% interval\n\n", verb)
		fmt.Fprintln(t, "| door\t| to\t| throughput\t| p99\t| p99 paced\t| CPU\t| CPU with service\t| memory\t|")
		fmt.Fprintln(t, "|---\t|---\t|---\t|---\t|---\t|---\t|---\t|---\t|")
		for _, c := range b.comparisons() {
			fmt.Fprintf(t, "| %s\t| %s\t", c[0], c[1])
			for _, what := range []quantity{perSecond, p99, pacedP99, doorCPU, allCPU, rss} {
				r := b.ratio(c[0], c[1], verb, what)
				fmt.Fprintf(t, "| %.2f (%.2f to %.2f)\t", r.Median, r.Low, r.High)
			}
			fmt.Fprintln(t, "|")
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// comparisons are each door to stock, and each with many routes to the same with
// few.
func (b *bench) comparisons() [][2]string {
	var pairs [][2]string
	there := map[string]bool{}
	for _, d := range b.doors {
		there[d.name] = true
		if d.name != stock {
			pairs = append(pairs, [2]string{d.name, stock})
		}
	}
	for _, kind := range []string{"remote, all on", "embedded, all on"} {
		if many, few := kind+", 1000 routes", kind+", 10 routes"; there[many] && there[few] {
			pairs = append(pairs, [2]string{many, few})
		}
	}
	return pairs
}

// A quantity is something that was measured.
type quantity func(sample) float64

func perSecond(s sample) float64 { return s.PerSecond }
func p50(s sample) float64       { return float64(s.P50) }
func p99(s sample) float64       { return float64(s.P99) }
func pacedP99(s sample) float64  { return float64(s.PacedP99) }
func doorCPU(s sample) float64   { return float64(s.DoorCPU) }
func allCPU(s sample) float64    { return float64(s.AllCPU) }
func rss(s sample) float64       { return float64(s.RSS) }

// byRound returns what was measured of a door, by round.
func (b *bench) byRound(door, verb string, what quantity) map[int]float64 {
	values := map[int]float64{}
	for _, s := range b.samples {
		if s.Door == door && s.Verb == verb {
			values[s.Round] = what(s)
		}
	}
	return values
}

func (b *bench) median(door, verb string, what quantity) float64 {
	var values []float64
	for _, v := range b.byRound(door, verb, what) {
		values = append(values, v)
	}
	return medianOf(values).Median
}

func (b *bench) duration(door, verb string, what quantity) time.Duration {
	return time.Duration(b.median(door, verb, what)).Round(100 * time.Nanosecond)
}

func (b *bench) ratio(door, to, verb string, what quantity) interval {
	var ratios []float64
	base := b.byRound(to, verb, what)
	for round, v := range b.byRound(door, verb, what) {
		ratios = append(ratios, v/base[round])
	}
	return medianOf(ratios)
}
