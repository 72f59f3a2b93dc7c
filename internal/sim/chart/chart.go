// Package chart draws what simulations found, as SVG: the tail of latencies by
// policy, and the load of each server over time.
//
//	err := chart.Write("charts", rows) // rows from compare.Run, with Bins set
package chart

import (
	"fmt"
	"html"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/evenkeel/evenkeel/internal/sim/compare"
)

// Bins is how many spans of time a chart of loads has.
const Bins = 120

// Write writes the charts of all rows to a directory, which it makes: for each
// scenario SCENARIO-latency.svg and, for each policy, SCENARIO-POLICY-load.svg.
func Write(dir string, rows []compare.Row) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for len(rows) > 0 {
		n := 1
		for n < len(rows) && rows[n].Scenario == rows[0].Scenario {
			n++
		}
		if err := write(dir, rows[0].Scenario+"-latency.svg", Latency(rows[:n])); err != nil {
			return err
		}
		for _, r := range rows[:n] {
			if err := write(dir, r.Scenario+"-"+r.Policy+"-load.svg", Load(r)); err != nil {
				return err
			}
		}
		rows = rows[n:]
	}
	return nil
}

func write(dir, name, svg string) error {
	name = strings.Map(func(r rune) rune {
		if strings.ContainsRune(`/\:*?"<>|`, r) {
			return '-'
		}
		return r
	}, name)
	return os.WriteFile(filepath.Join(dir, name), []byte(svg), 0o644)
}

// The colours are Okabe and Ito's, which the colour-blind tell apart.
var colours = []string{"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999", "#8B6F00", "#6A3D9A", "#000000"}

const style = `<style>text{font:12px system-ui,sans-serif;fill:#333}.title{font-size:15px;font-weight:600}.grid{stroke:#ddd}.axis{stroke:#888}</style>`

// canvas is a plot with a frame around it.
type canvas struct {
	strings.Builder
	left, top, width, height float64
}

func newCanvas(title string, width, height, right float64) *canvas {
	c := &canvas{left: 60, top: 40, width: width, height: height}
	w, h := c.left+width+right, c.top+height+50
	fmt.Fprintf(c, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f" role="img">%s<rect width="100%%" height="100%%" fill="#fff"/>`, w, h, w, h, style)
	fmt.Fprintf(c, `<title>%s</title><text class="title" x="%.0f" y="24">%s</text>`, html.EscapeString(title), c.left, html.EscapeString(title))
	return c
}

func (c *canvas) text(x, y float64, anchor, s string) {
	fmt.Fprintf(c, `<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`, x, y, anchor, html.EscapeString(s))
}

func (c *canvas) line(class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(c, `<line class="%s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, class, x1, y1, x2, y2)
}

func (c *canvas) end() string {
	c.WriteString("</svg>\n")
	return c.String()
}

// Latency draws, for each policy, how many calls take longer than a latency:
// both axes are logarithmic, so that the tail is seen. Calls that failed count
// at the deadline.
func Latency(rows []compare.Row) string {
	const decades = 4 // of the share of calls, down to 1 in 10,000
	low, high := math.Inf(1), 0.0
	for _, r := range rows {
		if d := r.Detail; d != nil && d.All.Count() > 0 {
			low = min(low, d.All.Quantile(0.05)/d.Unit)
			high = max(high, d.All.Quantile(0.9999)/d.Unit)
		}
	}
	if low > high || low <= 0 {
		low, high = 0.1, 100
	}
	high = max(high, 1.01*low) // all may take the same
	c := newCanvas(rows[0].Scenario+": latency by policy", 640, 380, 190)
	x := func(v float64) float64 {
		return c.left + c.width*math.Log(min(max(v, low), high)/low)/math.Log(high/low)
	}
	y := func(share float64) float64 {
		return c.top + c.height*min(-math.Log10(share), decades)/decades
	}
	for k := range decades + 1 {
		share := math.Pow(10, -float64(k))
		c.line("grid", c.left, y(share), c.left+c.width, y(share))
		c.text(c.left-6, y(share)+4, "end", fmt.Sprintf("%g %%", 100*share))
	}
	for _, v := range []float64{0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000} {
		if v >= low && v <= high {
			c.line("grid", x(v), c.top, x(v), c.top+c.height)
			c.text(x(v), c.top+c.height+18, "middle", fmt.Sprintf("%g", v))
		}
	}
	c.text(c.left+c.width/2, c.top+c.height+38, "middle", "latency, in mean service times; the share of calls that take longer is on the left")
	for i, r := range rows {
		colour, dash := colours[i%len(colours)], ""
		if strings.HasPrefix(r.Policy, "oracle_") {
			dash = ` stroke-dasharray="5 3"`
		}
		if d := r.Detail; d != nil && d.All.Count() > 0 {
			fmt.Fprintf(c, `<polyline fill="none" stroke="%s" stroke-width="%g"%s points="`, colour, widthOf(i), dash)
			for step := 0.0; step <= decades; step += 0.05 {
				share := math.Pow(10, -step)
				fmt.Fprintf(c, "%.1f,%.1f ", x(d.All.Quantile(1-share)/d.Unit), y(share))
			}
			c.WriteString(`"/>`)
		}
		at := c.top + 10 + float64(i)*18
		fmt.Fprintf(c, `<line x1="%.0f" y1="%.1f" x2="%.0f" y2="%.1f" stroke="%s" stroke-width="3"%s/>`, c.left+c.width+12, at, c.left+c.width+32, at, colour, dash)
		c.text(c.left+c.width+38, at+4, "start", r.Policy)
	}
	return c.end()
}

func widthOf(i int) float64 {
	if i == 0 {
		return 2.5
	}
	return 1.5
}
