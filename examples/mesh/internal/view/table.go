package view

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// column is one column of the table.
type column struct {
	title, short string // short where space is
	// need is the terminal width from which on the column is shown.
	need int
	left bool // aligned
	cell func(Row) string
}

// roomy is the terminal width from which on nothing is abbreviated.
const roomy = 100

// columns are ordered as shown. The narrower the terminal, the fewer are; an
// ordinary one, of 80 columns, has room for all that matters.
var columns = []column{
	{"REPLICA", "REPLICA", 0, true, func(r Row) string { return r.ID }},
	{"STATE", "STATE", 0, true, func(r Row) string { return r.State }},
	{"SPEED", "", 105, false, func(r Row) string { return fmt.Sprintf("x%.3g", r.Speed) }},
	{"SHARE", "SHARE", 0, false, func(r Row) string { return percent(r.Share) }},
	{"", "", 118, true, func(r Row) string { return bar(r.Share) }},
	{"REQ/S", "REQ/S", 40, false, func(r Row) string { return number(r.Rate) }},
	{"IN-FLIGHT", "IN-FL", 70, false, func(r Row) string { return count(r.InFlight) }},
	{"UTIL", "UTIL", 45, false, func(r Row) string { return percent(r.Util) }},
	{"P50", "P50", 70, false, func(r Row) string { return duration(r.P50) }},
	{"P99", "P99", 50, false, func(r Row) string { return duration(r.P99) }},
	{"ERRORS", "ERR", 55, false, func(r Row) string { return precisePercent(r.Errors) }},
	{"UPTIME", "UPTIME", 75, false, func(r Row) string { return uptime(r.Uptime) }},
	{"HELD BACK", "HELD BACK", 60, true, func(r Row) string { return r.Why }},
}

// Style says how a table may look.
type Style struct {
	Width, Height int // of the terminal
	Color         bool
}

// Table renders rows, and below them the latest events, as lines that are no
// wider than the terminal and no more than it has.
func Table(rows []Row, load string, events []string, style Style) []string {
	shown, gap := columns, "  "
	if style.Width < roomy {
		shown, gap = abbreviated(), " "
	}
	shown = slices.DeleteFunc(slices.Clone(shown), func(c column) bool { return style.Width < c.need })
	widths := make([]int, len(shown))
	for i, c := range shown {
		widths[i] = len(c.title)
		for _, r := range rows {
			widths[i] = max(widths[i], len([]rune(c.cell(r))))
		}
	}

	lines := []string{paint(clip(line(shown, widths, gap, func(c column) string { return c.title }), style.Width), bold, style)}
	for i, r := range rows {
		if i > 0 && rows[i-1].Service != r.Service {
			lines = append(lines, "")
		}
		text := clip(line(shown, widths, gap, func(c column) string { return c.cell(r) }), style.Width)
		lines = append(lines, paint(text, color(r), style))
	}
	if load != "" {
		lines = append(lines, "", clip(load, style.Width))
	}
	if len(events) > 0 {
		lines = append(lines, "")
	}
	for _, e := range events {
		lines = append(lines, paint(clip(e, style.Width), dim, style))
	}
	// The last line of the screen stays free for the cursor.
	if most := style.Height - 1; style.Height > 0 && len(lines) > most {
		lines = lines[:max(most, 0)]
	}
	return lines
}

// Lines renders rows as one plain line for each service.
func Lines(now time.Time, rows []Row, load string) []string {
	var lines []string
	stamp := now.Format(time.TimeOnly)
	for i := 0; i < len(rows); {
		service, sum, parts := rows[i].Service, 0.0, []string(nil)
		for ; i < len(rows) && rows[i].Service == service; i++ {
			if !math.IsNaN(rows[i].Rate) {
				sum += rows[i].Rate
			}
			parts = append(parts, summary(rows[i]))
		}
		lines = append(lines, fmt.Sprintf("%s %-10s %5s/s  %s", stamp, service, number(sum), strings.Join(parts, "; ")))
	}
	if load != "" {
		lines = append(lines, stamp+" "+load)
	}
	return lines
}

func summary(r Row) string {
	text := r.ID + " " + r.State
	if !math.IsNaN(r.Rate) {
		text += fmt.Sprintf(" %s, util %s, p99 %s, errors %s", percent(r.Share), percent(r.Util), duration(r.P99), precisePercent(r.Errors))
	}
	if r.Why != "" {
		text += " (" + r.Why + ")"
	}
	return text
}

func line(shown []column, widths []int, gap string, cell func(column) string) string {
	var b strings.Builder
	for i, c := range shown {
		if i > 0 {
			b.WriteString(gap)
		}
		text := cell(c)
		padding := strings.Repeat(" ", widths[i]-len([]rune(text)))
		if c.left {
			b.WriteString(text + padding)
		} else {
			b.WriteString(padding + text)
		}
	}
	return strings.TrimRight(b.String(), " ")
}

func abbreviated() []column {
	short := slices.Clone(columns)
	for i := range short {
		short[i].title = short[i].short
	}
	return short
}

func clip(s string, width int) string {
	r := []rune(s)
	switch {
	case len(r) <= width:
		return s
	case width < 1:
		return ""
	default:
		return string(r[:width-1]) + "…"
	}
}

// Escape sequences of ECMA-48.
const (
	bold   = "\x1b[1m"
	dim    = "\x1b[2m"
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
	reset  = "\x1b[0m"
)

func color(r Row) string {
	switch {
	case r.State == "down" || r.Errors > 0.05:
		return red
	case r.State != "ready" || r.Why != "":
		return yellow
	default:
		return ""
	}
}

func paint(s, color string, style Style) string {
	if !style.Color || color == "" || s == "" {
		return s
	}
	return color + s + reset
}

const unknown = "-"

func percent(v float64) string {
	if math.IsNaN(v) {
		return unknown
	}
	return fmt.Sprintf("%.0f%%", 100*v)
}

func precisePercent(v float64) string {
	switch {
	case math.IsNaN(v):
		return unknown
	case v == 0:
		return "0%"
	default:
		return fmt.Sprintf("%.1f%%", 100*v)
	}
}

func number(v float64) string {
	switch {
	case math.IsNaN(v):
		return unknown
	case v < 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.0f", v)
	}
}

func count(n int) string {
	if n < 0 {
		return unknown
	}
	return fmt.Sprint(n)
}

// bar shows a share as up to ten blocks.
func bar(share float64) string {
	if math.IsNaN(share) {
		return ""
	}
	return strings.Repeat("█", int(math.Round(10*min(share, 1))))
}

// duration shows two or three digits.
func duration(d time.Duration) string {
	switch {
	case d <= 0:
		return unknown
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1fms", float64(d)/float64(time.Millisecond))
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	default:
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
}

// uptime shows its two largest units.
func uptime(d time.Duration) string {
	switch {
	case d <= 0:
		return unknown
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	default:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	}
}
