package chart

import (
	"fmt"
	"math"

	"github.com/evenkeel/evenkeel/internal/sim/compare"
)

const (
	maxRows = 100 // servers are shown one by one up to here, above it in groups
	levels  = 16
)

// Load draws the mean number of requests in service by server, from top to
// bottom, and time, of the first seed.
func Load(r compare.Row) string {
	loads := grouped(r.Detail.First.Loads)
	highest := 0.0
	for _, row := range loads {
		for _, v := range row {
			highest = max(highest, v)
		}
	}
	tall := min(max(400/float64(max(len(loads), 1)), 4), 24)
	c := newCanvas(fmt.Sprintf("%s, %s: requests in service by server", r.Scenario, r.Policy), 640, tall*float64(len(loads)), 110)
	bins := 0
	for i, row := range loads {
		bins = max(bins, len(row))
		c.drawRow(row, float64(i)*tall, tall, highest)
	}
	c.timeAxis(bins, r.Detail.First.BinWidth.Seconds())
	c.text(c.left-6, c.top+10, "end", "server 0")
	c.text(c.left-6, c.top+c.height, "end", fmt.Sprint(len(r.Detail.First.Loads)-1))
	c.scale(highest)
	return c.end()
}

// drawRow draws one server's loads, those that look alike as one.
func (c *canvas) drawRow(row []float64, y, tall, highest float64) {
	wide := c.width / float64(max(len(row), 1))
	for k := 0; k < len(row); {
		l, end := level(row[k], highest), k+1
		for end < len(row) && level(row[end], highest) == l {
			end++
		}
		fmt.Fprintf(c, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`,
			c.left+float64(k)*wide, c.top+y, float64(end-k)*wide+0.3, tall-0.5, shade(l))
		k = end
	}
}

func (c *canvas) timeAxis(bins int, width float64) {
	total := float64(bins) * width
	if total == 0 {
		return
	}
	step := math.Pow(10, math.Floor(math.Log10(total/4)))
	for total/step > 8 {
		step *= 2
	}
	for i := 0; float64(i)*step <= total; i++ {
		at := float64(i) * step
		x := c.left + c.width*at/total
		c.line("axis", x, c.top+c.height, x, c.top+c.height+4)
		c.text(x, c.top+c.height+18, "middle", fmt.Sprintf("%.6g s", at))
	}
	c.text(c.left+c.width/2, c.top+c.height+38, "middle", "time since the start, warmup included")
}

func (c *canvas) scale(highest float64) {
	x := c.left + c.width + 16
	for l := range levels {
		fmt.Fprintf(c, `<rect x="%.1f" y="%.1f" width="14" height="8" fill="%s"/>`, x, c.top+float64(levels-1-l)*8, shade(l))
	}
	c.text(x+20, c.top+10, "start", fmt.Sprintf("%.0f", highest))
	c.text(x+20, c.top+8*levels, "start", "0")
}

// level is on a scale of the square root: what is a little above none matters.
func level(v, highest float64) int {
	if highest == 0 {
		return 0
	}
	return min(int(math.Sqrt(v/highest)*levels), levels-1)
}

// shade goes from white over yellow and red to nearly black.
func shade(l int) string {
	t := float64(l) / (levels - 1)
	mix := func(from, to, at float64) int { return int(from + (to-from)*min(max(at, 0), 1)) }
	if t < 0.5 {
		return fmt.Sprintf("#%02x%02x%02x", mix(250, 240, 2*t), mix(250, 150, 2*t), mix(245, 40, 2*t))
	}
	return fmt.Sprintf("#%02x%02x%02x", mix(240, 70, 2*t-1), mix(150, 0, 2*t-1), mix(40, 40, 2*t-1))
}

// grouped averages neighbours where there are too many servers to draw.
func grouped(loads [][]float64) [][]float64 {
	size := (len(loads) + maxRows - 1) / maxRows
	if size <= 1 {
		return loads
	}
	var groups [][]float64
	for len(loads) > 0 {
		n := min(size, len(loads))
		mean := make([]float64, len(loads[0]))
		for _, row := range loads[:n] {
			for k, v := range row {
				mean[k] += v / float64(n)
			}
		}
		groups = append(groups, mean)
		loads = loads[n:]
	}
	return groups
}
