package scenario

import (
	"bytes"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestEveryBuiltinScenarioIsValidAndNamedAsItsFile(t *testing.T) {
	all, err := Builtins()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 20 {
		t.Errorf("there are only %d", len(all))
	}
	entries, err := os.ReadDir("builtin")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range all {
		names = append(names, s.Name+".yaml")
		if s.About == "" {
			t.Errorf("%s: about is empty", s.Name)
		}
	}
	for _, entry := range entries {
		if !slices.Contains(names, entry.Name()) {
			t.Errorf("%s holds a scenario of another name", entry.Name())
		}
	}
	for _, name := range design {
		if _, err := Builtin(name); err != nil {
			t.Error(err)
		}
	}
}

const valid = `
name: mine
load: 0.8
servers:
  - {count: 3}
clients:
  - {count: 2}
`

func TestDefaultsAreThoseOfTheDesignTable(t *testing.T) {
	s, err := Parse("mine.yaml", []byte(valid))
	if err != nil {
		t.Fatal(err)
	}
	g := s.Servers[0]
	if g.Workers != 4 || g.Speed != 1 || g.Queue != 400 || g.Uptime != time.Hour {
		t.Errorf("server: %+v", g)
	}
	if s.Warmup != 10*time.Second || s.Duration != 30*time.Second || s.Deadline != 2*time.Second ||
		s.Network.Delay != 500*time.Microsecond || s.Cost.Mean != 20*time.Millisecond || !s.Reports.PerCall {
		t.Errorf("scenario: %+v", s)
	}
	// 3 servers of 4 workers at 20 ms do 600 calls a second.
	if r := s.CallRate(); math.Abs(r-480) > 1e-9 {
		t.Errorf("call rate %v, want 480", r)
	}
}

// A load is of what a server can do, which is less than its workers could where it does
// not let as many requests in.
func TestALoadIsOfWhatTheServersCanDo(t *testing.T) {
	for servers, want := range map[string]float64{
		"{count: 3}":                       480,
		"{count: 3, slots: 2}":             240,
		"{count: 3, slots: 8}":             480,
		"{count: 3, queue: 1}":             120,
		"{count: 3, workers: 8, slots: 4}": 480,
	} {
		s, err := Parse("mine.yaml", []byte(strings.Replace(valid, "{count: 3}", servers, 1)))
		if err != nil {
			t.Fatal(err)
		}
		if r := s.CallRate(); math.Abs(r-want) > 1e-9 {
			t.Errorf("%s: call rate %v, want %v", servers, r, want)
		}
		if o := s.Offered(); math.Abs(o-0.8) > 1e-9 {
			t.Errorf("%s: %v is offered, want 0.8", servers, o)
		}
	}
}

func TestAnErrorNamesThePathTheValueAndTheRemedy(t *testing.T) {
	for _, c := range []struct{ replace, with, want string }{
		{"{count: 3}", "{count: 3, speed: -1}", "servers[0].speed is -1: must be from"},
		{"{count: 3}", "{count: three}", `servers[0].count is "three" (line 5): must be a whole number`},
		{"{count: 3}", "{count: 3, sped: 1}", "servers[0].sped (line 5): no such field; there are count, group,"},
		{"{count: 3}", "{count: 3, count: 4}", "servers[0].count (line 5): is there twice"},
		{"{count: 3}", "{count: 3, reports: {omit: [cpu]}}", `servers[0].reports.omit[0] is "cpu": must be one of utilization,`},
		{"{count: 3}", "{count: 3, uptime: 5}", `servers[0].uptime is "5" (line 5): must be a duration`},
		{"{count: 2}", "{count: 2, subset: 4}", "clients[0].subset is 4: must be from 0 to 3"},
		{"load: 0.8", "load: .nan", "load is NaN and rate is 0: one of them must be given"},
		{"load: 0.8", "load: 0.8\nrate: 5", "load is 0.8 and rate is 5: one of them"},
		{"load: 0.8", "load: 0.8\ncost: {kind: normal}", `cost.kind is "normal": must be one of lognormal,`},
		{"load: 0.8", "load: 0.8\nevents: [{do: slow_down, servers: all}]", "events[0].speed: must be given for slow_down"},
		{"load: 0.8", "load: 0.8\nevents: [{do: freeze, servers: 2-3}]", `events[0].servers is "2-3": "2-3" must be a number or a range within 0-2`},
		{"load: 0.8", "load: 0.8\nevents: [{do: explode, servers: all}]", `events[0].do is "explode": must be one of slow_down,`},
		{"load: 0.8", "load: 0.8\narrivals: [{at: 5s, factor: 1}, {at: 1s, factor: 2}]", "arrivals[1].at is 1s: must not be before that of arrivals[0]"},
		{"load: 0.8", "load: 0.8\nreports: {wrong: {servers: 1, by: [4, 2]}}", "reports.wrong.by[1] is 2: must be from 4 to"},
		{"load: 0.8", "load: 0.8\nevents: [{do: freeze, servers: all, speed: 0.5}]", "events[0].speed: does nothing for freeze: it is of slow_down,"},
		{"load: 0.8", "load: 0.8\nevents: [{do: join, servers: '0', for: 5s}]", "events[0].for: does nothing for join"},
		{"load: 0.8", "load: 0.8\nevents: [{do: slow_down, servers: all, speed: 0.5, share: 0.5}]", "events[0].share: does nothing for slow_down: it is of fail_fast, fail_slow"},
		{"load: 0.8", "load: 0.8\nevents: [{do: restart, servers: '0', speed: 0.5}]", "events[0].cold_for: must be given with speed"},
		{"load: 0.8", "load: 0.8\nevents: [{at: 40s, do: freeze, servers: all}]", "events[0].at is 40s: must be before the end, which is at 40s"},
		{"load: 0.8", "load: 0.8\nevents: [{at: 5s, do: join, servers: all}]", "load is 0.8 of what nobody can do, since all servers join later: give rate instead"},
		{"load: 0.8", "load: 10\ncost: {mean: 1us}", "load is 10, which is 1.2e+08 calls a second: must be at most 1e+07"},
		{"load: 0.8", "load: 0.8\ncost: {samples: [1ms, 2ms]}", "cost.samples: does nothing for the kind lognormal: it is of recorded"},
		{"load: 0.8", "load: 0.8\ncost: {kind: recorded, mean: 5ms, samples: [1ms, 2ms]}", "cost.mean: does nothing for the kind recorded: it is of lognormal, pareto,"},
		{"load: 0.8", "load: 0.8\ncost: {kind: pareto, sigma: 2}", "cost.sigma: does nothing for the kind pareto: it is of lognormal"},
		{"load: 0.8", "load: 0.8\nnetwork: {zones: [{from: a, to: b, delay: 1ms}]}", `network.zones[0].from is "a": no server or client is there`},
		{"load: 0.8", "load: 0.8\nnetwork: {announced: true}", "network.announced: without network.zones there is nothing to tell"},
		{"load: 0.8", "load: 0.8\narrivals: [{at: -5s, factor: 1}]", "arrivals[0].at is -5s: must be from 0s to"},
		{"load: 0.8", "load: 0.8\narrivals: [{at: 5s}]", "arrivals[0].factor: must be given"},
		{"load: 0.8", "load: 0.8\narrivals: [{at: 0s, factor: 0}, {at: 5s, factor: 0}]", "arrivals: no factor is above 0: there would be no calls"},
		{"load: 0.8", "load: [1]", "load (line 3): must be a number"},
		{"load: 0.8", "load: 0.8\nreports: {wrong: {by: [3, 4]}}", "reports.wrong: nothing is wrong unless servers or reports says how many are"},
		{"{count: 3}", "{count: 3, workers: }", "servers[0].workers (line 5): is empty: must be given, or left out"},
		{"load: 0.8", "load: 0.8\n---\nload: 0.9", "there is a second document"},
		{"{count: 3}", "{count: 2, zone: a}\n  - {zone: b}\nnetwork: {zones: [{from: a, to: b, delay: 1ms}, {from: b, to: a, delay: 2ms}]}", "network.zones[1]: the delay between b and a is there twice"},
		{"name: mine", "name: ''", "name: must be given"},
		{"  - {count: 3}", "  count: 3", "servers (line 5): must be a list"},
	} {
		_, err := Parse("mine.yaml", []byte(strings.Replace(valid, c.replace, c.with, 1)))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "mine.yaml: ") {
			t.Errorf("%s: the error is %v, want %q in it", c.with, err, c.want)
		}
	}
}

func TestAGroupsReportsBeginAsTheScenarios(t *testing.T) {
	s, err := Parse("", []byte(strings.Replace(valid, "{count: 3}", "{count: 3, reports: {refresh: 1s}}", 1)+"reports: {omit: [uptime]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	r := s.Servers[0].Reports
	if r.Refresh != time.Second || !r.PerCall || !slices.Equal(r.Omit, []string{"uptime"}) {
		t.Errorf("%+v", r)
	}
}

// A group may be the one that reports what is right.
func TestAGroupMayBeRightWhereOthersAreWrong(t *testing.T) {
	text := strings.Replace(valid, "{count: 3}", "{count: 3, reports: {wrong: {servers: 0}}}", 1) + "reports: {wrong: {servers: 0.5, by: [3, 5], fields: [rps]}}\n"
	s, err := Parse("", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if w := s.Servers[0].Reports.Wrong; w.Servers != 0 || s.Reports.Wrong.Servers != 0.5 {
		t.Errorf("%+v", w)
	}
}

func TestEachCostHasItsMean(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, c := range []Cost{
		{Kind: "lognormal", Mean: 20 * time.Millisecond, Sigma: 1},
		{Kind: "pareto", Mean: 20 * time.Millisecond, Shape: 3},
		{Kind: "bimodal", Mean: 20 * time.Millisecond, LongShare: 0.1, LongTimes: 20},
		{Kind: "exponential", Mean: 20 * time.Millisecond},
		{Kind: "constant", Mean: 20 * time.Millisecond},
		{Kind: "recorded", Samples: []time.Duration{10 * time.Millisecond, 50 * time.Millisecond, 0}},
	} {
		quantile, sum := c.Quantile(), 0.0
		const n = 400_000
		for range n {
			sum += quantile(random.Float64())
		}
		if mean := sum / n / 1e6; math.Abs(mean-20) > 0.4 {
			t.Errorf("%s: mean %.2f ms, want 20", c.Kind, mean)
		}
	}
}

func TestTheNormalQuantileInvertsTheDistribution(t *testing.T) {
	for _, u := range []float64{1e-9, 0.001, 0.02, 0.3, 0.5, 0.9, 0.9999} {
		x := normalQuantile(u)
		if back := 0.5 * math.Erfc(-x/math.Sqrt2); math.Abs(back/u-1) > 1e-7 {
			t.Errorf("%v: comes back as %v", u, back)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(valid))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("servers: [{count: 1e9}]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Parse("fuzz.yaml", data)
		if err != nil {
			return
		}
		if s.CallRate() < 0 {
			t.Errorf("call rate %v", s.CallRate())
		}
		again, err := Parse("again.yaml", s.YAML())
		if err != nil || !bytes.Equal(s.YAML(), again.YAML()) {
			t.Errorf("%v: written as\n%s", err, s.YAML())
		}
	})
}

func TestAScenarioThatIsWrittenIsReadAsTheSame(t *testing.T) {
	all, err := Builtins()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		text := s.YAML()
		again, err := Parse(s.Name+".yaml", text)
		if err != nil {
			t.Errorf("%v\n%s", err, text)
		} else if !reflect.DeepEqual(s, again) {
			t.Errorf("%s is read as another:\n%s", s.Name, text)
		}
	}
}
