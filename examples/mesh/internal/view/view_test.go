package view

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/connectivity"

	"github.com/evenkeel/evenkeel/balancer/choiceoftwo"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/fleet"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/supervisor"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func rows() []Row {
	nan := math.NaN()
	ms := time.Millisecond
	return []Row{
		{"movie/1", "movie", "ready", 1, 0.46, 53.6, 1, 0.34, 9 * ms, 48 * ms, 0, 83 * time.Second, ""},
		{"movie/2", "movie", "ready", 0.3, 0.081, 9.42, 0, 0.71, 42 * ms, 1230 * ms, 0.0042, time.Hour, "warmup, utilization"},
		{"movie/3", "movie", "frozen", 1, 0, 0, 2, 0.4, 0, 0, nan, 83 * time.Second, "silent"},
		{"production/1", "production", "ready", 1, 1, 40, 0, 0.12, 800 * time.Microsecond, 30 * ms, 0.11, 83 * time.Second, ""},
		{"talent/1", "talent", "down", 1, nan, nan, -1, nan, 0, 0, nan, 0, ""},
		{"talent/2", "talent", "starting", 1, nan, nan, -1, nan, 0, 0, nan, 200 * ms, ""},
	}
}

func TestTablesFitTheTerminal(t *testing.T) {
	events := []string{"12:00:01 movie/3 frozen", "12:00:02 talent/1 died; it starts again in 5s cause=signal: killed"}
	for _, style := range []Style{
		{140, 50, false}, {100, 30, false}, {80, 24, false}, {60, 24, false}, {40, 24, false}, {20, 8, false}, {1, 1, false}, {100, 30, true},
	} {
		lines := Table(rows(), "load 200/s: 199.0/s answered, 0 failed", events, style)
		if len(lines) > style.Height {
			t.Errorf("%+v: %d lines", style, len(lines))
		}
		for _, line := range lines {
			if !style.Color && (len([]rune(line)) > style.Width || strings.Contains(line, "\x1b")) {
				t.Errorf("%+v: %q is too wide or coloured", style, line)
			}
		}
		name := fmt.Sprintf("table-%d", style.Width)
		if style.Color {
			name += "-color"
		}
		golden(t, name, strings.Join(lines, "\n")+"\n")
	}
}

func TestLinesArePlain(t *testing.T) {
	at := time.Date(2026, 1, 2, 12, 0, 5, 0, time.UTC)
	golden(t, "lines", strings.Join(Lines(at, rows(), "load 200/s: 199.0/s answered, 0 failed"), "\n")+"\n")
}

func TestRatesAreThoseOfTheLastSeconds(t *testing.T) {
	var s Sampler
	start := time.Now()
	replicas := []supervisor.Status{
		{ID: fleet.ID{Service: "movie", Number: 1}, State: supervisor.Ready, PID: 1, Address: "a", Speed: 1, Started: start},
		{ID: fleet.ID{Service: "movie", Number: 2}, State: supervisor.Ready, PID: 2, Address: "b", Speed: 0.5, Started: start},
	}
	var got []Row
	for second := range uint64(20) {
		// The rate of the first was higher before; that is to be forgotten.
		a := choiceoftwo.Endpoint{Picks: 1000 + 30*second, Successes: 900 + 27*second, Failures: 100 + 3*second}
		if second < 10 {
			a = choiceoftwo.Endpoint{Picks: 100 * second, Successes: 90 * second, Failures: 10 * second}
		}
		b := choiceoftwo.Endpoint{Picks: 10 * second, Successes: 10 * second, Utilization: 0.5, Uptime: time.Hour, HeldBack: []string{"warmup", "silent"}}
		got = s.Rows(start.Add(time.Duration(second)*time.Second), replicas, channels(a, b))
		if second == 0 && !math.IsNaN(got[0].Rate) {
			t.Errorf("a rate out of one sample: %v", got[0].Rate)
		}
	}
	a, b := got[0], got[1]
	if a.Rate != 30 || a.Share != 0.75 || a.Errors != 0.1 || a.Uptime != 19*time.Second || a.Why != "" {
		t.Errorf("got %+v", a)
	}
	if b.Rate != 10 || b.Share != 0.25 || b.Errors != 0 || b.Uptime != time.Hour || b.Why != "warmup, silent" || b.Util != 0.5 || b.Speed != 0.5 {
		t.Errorf("got %+v", b)
	}
}

func TestANewServerAtAnOldAddressStartsAtZero(t *testing.T) {
	var s Sampler
	start := time.Now()
	replicas := []supervisor.Status{{ID: fleet.ID{Service: "movie", Number: 1}, State: supervisor.Ready, Address: "a"}}
	for second, picks := range []uint64{100, 200, 5, 25} {
		got := s.Rows(start.Add(time.Duration(second)*time.Second), replicas, channels(choiceoftwo.Endpoint{Picks: picks}))[0].Rate
		if want := []float64{math.NaN(), 100, math.NaN(), 20}[second]; got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
			t.Errorf("second %d: %v/s, want %v/s", second, got, want)
		}
	}
}

func TestTheClientsViewOfAReplicaShowsInItsState(t *testing.T) {
	for _, tt := range []struct {
		state  supervisor.State
		client connectivity.State
		want   string
	}{
		{supervisor.Ready, connectivity.Ready, "ready"},
		{supervisor.Ready, connectivity.TransientFailure, "unreachable"},
		{supervisor.Ready, connectivity.Idle, "connecting"},
		{supervisor.Frozen, connectivity.TransientFailure, "frozen"},
		{supervisor.Down, connectivity.Ready, "down"},
	} {
		var s Sampler
		c := channels(choiceoftwo.Endpoint{})
		c[0].Endpoints[0].State = tt.client
		got := s.Rows(time.Now(), []supervisor.Status{{State: tt.state, Address: "a"}}, c)[0].State
		if got != tt.want {
			t.Errorf("%s and %v: %q, want %q", tt.state, tt.client, got, tt.want)
		}
	}
}

func TestTheScreenIsRedrawnInPlaceAndAnewAfterAResize(t *testing.T) {
	var out bytes.Buffer
	width := 80
	s := newScreen(&out, func() (int, int) { return width, 24 }, false, "head\n")
	draw := func(lines ...string) string {
		out.Reset()
		s.Draw(func(Style) []string { return lines })
		return out.String()
	}
	for i, want := range []string{"\x1b[?25l\x1b[H\x1b[2Jhead\na\nb\n", "\x1b[2A\x1b[Jc\n", "\x1b[1A\x1b[Jd\n"} {
		if got := draw([][]string{{"a", "b"}, {"c"}, {"d"}}[i]...); got != want {
			t.Errorf("drawing %d: %q, want %q", i, got, want)
		}
	}
	width = 40
	if got := draw("e"); !strings.HasPrefix(got, "\x1b[?25l\x1b[H\x1b[2Jhead") {
		t.Errorf("after a resize: %q", got)
	}
	out.Reset()
	if s.Close(); out.String() != "\x1b[?25h" {
		t.Errorf("in the end: %q", out.String())
	}
}

func TestEventsAreShortLinesAndTheLatestAreKept(t *testing.T) {
	var each []string
	events := NewEvents(func(line string) { each = append(each, line[len("12:00:00 "):]) })
	log := slog.New(events)
	log.Debug("not shown")
	log.With("replica", "movie/2").WithGroup("g").Warn("died", "cause", errors.New("exit\nstatus 1"), "empty", "")
	for i := range 2 * maxEvents {
		log.Info("n", "i", i)
	}
	if want := "movie/2 died cause=exit status 1"; each[0] != want {
		t.Errorf("got %q, want %q", each[0], want)
	}
	if latest := events.Latest(); len(latest) != maxEvents || !strings.HasSuffix(latest[maxEvents-1], "n i=11") {
		t.Errorf("kept %q", latest)
	}
}

// channels returns one channel with the given endpoints at the addresses a, b.
func channels(endpoints ...choiceoftwo.Endpoint) []choiceoftwo.Channel {
	for i := range endpoints {
		endpoints[i].Addresses = []string{string(rune('a' + i))}
		endpoints[i].State = connectivity.Ready
	}
	return []choiceoftwo.Channel{{Target: "xds:///movie", Endpoints: endpoints}}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != strings.ReplaceAll(string(want), "\r\n", "\n") {
		t.Errorf("%s (run with -update to accept):\n%s\nwant:\n%s", name, got, want)
	}
}
