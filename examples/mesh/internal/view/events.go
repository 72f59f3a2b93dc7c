package view

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// maxEvents is how many events are remembered for the table.
const maxEvents = 6

// Events is a slog.Handler that keeps the latest records as short lines, and
// hands each on as it comes if it is told where to.
type Events struct {
	log   *eventLog
	attrs []slog.Attr
}

type eventLog struct {
	mu     sync.Mutex
	latest []string
	each   func(string)
}

// NewEvents returns an empty log. each, if not nil, is called with every line;
// calls do not overlap.
func NewEvents(each func(string)) *Events {
	return &Events{log: &eventLog{each: each}}
}

// Latest returns the latest lines, oldest first.
func (e *Events) Latest() []string {
	e.log.mu.Lock()
	defer e.log.mu.Unlock()
	return slices.Clone(e.log.latest)
}

// Enabled reports whether the level is at least Info.
func (e *Events) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

// Handle keeps a record.
func (e *Events) Handle(_ context.Context, r slog.Record) error {
	attrs := slices.Clone(e.attrs)
	r.Attrs(func(a slog.Attr) bool {
		attrs = append(attrs, a)
		return true
	})
	line := format(r.Time, r.Message, attrs)
	e.log.mu.Lock()
	defer e.log.mu.Unlock()
	e.log.latest = append(e.log.latest, line)
	e.log.latest = e.log.latest[max(0, len(e.log.latest)-maxEvents):]
	if e.log.each != nil {
		e.log.each(line)
	}
	return nil
}

// WithAttrs returns a handler that adds attributes to every record.
func (e *Events) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &Events{e.log, append(slices.Clone(e.attrs), attrs...)}
}

// WithGroup ignores groups: the lines are for people.
func (e *Events) WithGroup(string) slog.Handler { return e }

// format renders a record. The replica that it is about comes first.
func format(at time.Time, message string, attrs []slog.Attr) string {
	var whom, rest string
	for _, a := range attrs {
		value := strings.Join(strings.Fields(a.Value.String()), " ") // on one line
		switch {
		case a.Key == "replica":
			whom = value + " "
		case value != "":
			rest += fmt.Sprintf(" %s=%s", a.Key, value)
		}
	}
	return at.Format(time.TimeOnly) + " " + whom + strings.TrimSpace(message) + rest
}
