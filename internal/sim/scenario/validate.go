package scenario

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

func (s *Scenario) setDefaults() {
	s.Warmup, s.Duration, s.Deadline = 10*time.Second, 30*time.Second, 2*time.Second
	s.Cost = Cost{Kind: "lognormal", Mean: 20 * time.Millisecond, Sigma: 1, Shape: 2, LongShare: 0.1, LongTimes: 10}
	s.Network = Network{Delay: 500 * time.Microsecond, Discovery: 100 * time.Millisecond}
	s.Reports = Reports{PerCall: true, Window: 500 * time.Millisecond, UtilizationOf: OfWorkers, Wrong: Wrong{By: [2]float64{2, 4}}}
}

func (g *Server) setDefaults() {
	*g = Server{Count: 1, Workers: 4, Speed: 1, Queue: 400, Uptime: time.Hour}
}

func (c *Client) setDefaults() { *c = Client{Count: 1} }

// A point has no factor by default: 0, which is none at all, must be meant.
func (p *Point) setDefaults() { *p = Point{Factor: math.NaN()} }

func (e *Event) setDefaults() { *e = Event{Share: 1, Servers: ""} }

// Bounds that keep a run within memory.
const (
	maxServers = 10_000
	maxClients = 10_000
	maxPairs   = 2_000_000 // of a client and a server it uses
)

// Validate checks all fields. The error names the first that is wrong.
func (s *Scenario) Validate() error {
	for _, check := range []func() error{
		s.validateTop, s.Cost.validate, s.validateServers, s.validateClients,
		s.validateNetwork, s.validateArrivals, s.validateEvents,
		func() error { return s.Reports.validate("reports", Default().Reports.Wrong) },
		s.validateRate,
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func within[T int | float64](path string, v, low, high T) error {
	if v >= low && v <= high {
		return nil
	}
	return fmt.Errorf("%s is %v: must be from %v to %v", path, v, low, high)
}

func lasts(path string, d, low, high time.Duration) error {
	if d >= low && d <= high {
		return nil
	}
	return fmt.Errorf("%s is %v: must be from %v to %v", path, d, low, high)
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Scenario) validateTop() error {
	if s.Name == "" {
		return fmt.Errorf("name: must be given")
	}
	if (s.Load > 0) == (s.Rate > 0) {
		return fmt.Errorf("load is %v and rate is %v: one of them must be given", s.Load, s.Rate)
	}
	return first(
		within("load", s.Load, 0, 10),
		within("rate", s.Rate, 0, mostCalls),
		lasts("warmup", s.Warmup, 0, time.Hour),
		lasts("duration", s.Duration, time.Millisecond, 24*time.Hour),
		lasts("deadline", s.Deadline, time.Millisecond, time.Hour),
	)
}

// mostCalls is how many calls a second there may be.
const mostCalls = 1e7

// validateRate needs the rest to be valid.
func (s *Scenario) validateRate() error {
	if s.capacity() == 0 {
		return fmt.Errorf("load is %v of what nobody can do, since all servers join later: give rate instead", s.Load)
	}
	if rate := s.CallRate(); rate > mostCalls {
		return fmt.Errorf("load is %v, which is %.3g calls a second: must be at most %g", s.Load, rate, float64(mostCalls))
	}
	return nil
}

func (c *Cost) validate() error {
	kinds := []string{"lognormal", "pareto", "bimodal", "exponential", "constant", "recorded"}
	if !slices.Contains(kinds, c.Kind) {
		return fmt.Errorf("cost.kind is %q: must be one of %s", c.Kind, strings.Join(kinds, ", "))
	}
	if c.Kind == "recorded" {
		if len(c.Samples) == 0 {
			return fmt.Errorf("cost.samples: there must be some")
		}
		for i, d := range c.Samples {
			if err := lasts(fmt.Sprintf("cost.samples[%d]", i), d, time.Nanosecond, time.Hour); err != nil {
				return err
			}
		}
	}
	standard := Default().Cost
	for _, f := range []struct {
		name  string
		given bool
		of    string // kinds
	}{
		{"mean", c.Mean != standard.Mean, "lognormal pareto bimodal exponential constant"},
		{"sigma", c.Sigma != standard.Sigma, "lognormal"},
		{"shape", c.Shape != standard.Shape, "pareto"},
		{"long_share", c.LongShare != standard.LongShare, "bimodal"},
		{"long_times", c.LongTimes != standard.LongTimes, "bimodal"},
		{"samples", len(c.Samples) > 0, "recorded"},
	} {
		if f.given && !slices.Contains(strings.Fields(f.of), c.Kind) {
			return fmt.Errorf("cost.%s: does nothing for the kind %s: it is of %s", f.name, c.Kind, strings.ReplaceAll(f.of, " ", ", "))
		}
	}
	return first(
		lasts("cost.mean", c.Mean, time.Microsecond, time.Hour),
		within("cost.sigma", c.Sigma, 0, 5),
		within("cost.shape", c.Shape, 1.05, 100),
		within("cost.long_share", c.LongShare, 0, 1),
		within("cost.long_times", c.LongTimes, 1, 1e6),
	)
}

func (s *Scenario) validateServers() error {
	groups := map[string]bool{}
	for i, g := range s.Servers {
		at := func(field string) string { return fmt.Sprintf("servers[%d].%s", i, field) }
		if g.Group != "" && groups[g.Group] {
			return fmt.Errorf("%s is %q: another group has that name", at("group"), g.Group)
		}
		if strings.ContainsAny(g.Group, ", ") || g.Group == "all" || startsWithDigit(g.Group) {
			return fmt.Errorf("%s is %q: must be a word that does not begin with a digit and is not \"all\"", at("group"), g.Group)
		}
		groups[g.Group] = true
		if err := first(
			within(at("count"), g.Count, 1, maxServers),
			within(at("workers"), g.Workers, 1, 100_000),
			within(at("slots"), g.Slots, 0, 100_000),
			within(at("speed"), g.Speed, 1e-6, 1e6),
			within(at("queue"), g.Queue, 1, 1_000_000),
			lasts(at("uptime"), g.Uptime, 0, 1000*time.Hour),
		); err != nil {
			return err
		}
		if g.Reports != nil {
			if err := g.Reports.validate(at("reports"), s.Reports.Wrong); err != nil {
				return err
			}
		}
	}
	return within("the number of servers", s.Total(), 1, maxServers)
}

func startsWithDigit(s string) bool { return s != "" && s[0] >= '0' && s[0] <= '9' }

func (s *Scenario) validateClients() error {
	pairs, shared := 0, 0
	for i, c := range s.Clients {
		at := func(field string) string { return fmt.Sprintf("clients[%d].%s", i, field) }
		if err := first(
			within(at("count"), c.Count, 1, maxClients),
			within(at("share"), c.Share, 0, 1e6),
			within(at("subset"), c.Subset, 0, s.Total()),
		); err != nil {
			return err
		}
		if err := validatePoints(at("arrivals"), c.Arrivals); err != nil {
			return err
		}
		if c.Share > 0 {
			shared++
		}
		uses := c.Subset
		if uses == 0 {
			uses = s.Total()
		}
		pairs += c.Count * uses
	}
	if shared != 0 && shared != len(s.Clients) {
		return fmt.Errorf("clients: either all groups have a share or none")
	}
	if pairs > maxPairs {
		return fmt.Errorf("clients: together they use %d servers: must be at most %d; give them subsets", pairs, maxPairs)
	}
	return within("the number of clients", s.TotalClients(), 1, maxClients)
}

func (s *Scenario) validateNetwork() error {
	n := &s.Network
	if n.Announced && len(n.Zones) == 0 {
		return fmt.Errorf("network.announced: without network.zones there is nothing to tell: all servers are as far")
	}
	known := s.zones()
	seen := map[[2]string]bool{}
	for i, z := range n.Zones {
		at := fmt.Sprintf("network.zones[%d]", i)
		if z.From == "" || z.To == "" {
			return fmt.Errorf("%s: from and to must be given", at)
		}
		for _, end := range []struct{ name, zone string }{{"from", z.From}, {"to", z.To}} {
			if !slices.Contains(known, end.zone) {
				return fmt.Errorf("%s.%s is %q: no server or client is there, but in %s", at, end.name, end.zone, strings.Join(known, ", "))
			}
		}
		if seen[[2]string{z.From, z.To}] || seen[[2]string{z.To, z.From}] {
			return fmt.Errorf("%s: the delay between %s and %s is there twice", at, z.From, z.To)
		}
		seen[[2]string{z.From, z.To}] = true
		if err := lasts(at+".delay", z.Delay, 0, time.Minute); err != nil {
			return err
		}
	}
	return first(
		lasts("network.delay", n.Delay, 0, time.Minute),
		lasts("network.jitter", n.Jitter, 0, time.Minute),
		lasts("network.discovery", n.Discovery, 0, time.Hour),
	)
}

// zones are those that have a name.
func (s *Scenario) zones() []string {
	all := []string{}
	for _, g := range s.Servers {
		all = append(all, g.Zone)
	}
	for _, g := range s.Clients {
		all = append(all, g.Zone)
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(z string) bool { return z == "" })
}

func (s *Scenario) validateArrivals() error { return validatePoints("arrivals", s.Arrivals) }

func validatePoints(path string, points []Point) error {
	highest := 0.0
	for i, p := range points {
		if math.IsNaN(p.Factor) {
			return fmt.Errorf("%s[%d].factor: must be given, as a number", path, i)
		}
		highest = max(highest, p.Factor)
		if err := lasts(fmt.Sprintf("%s[%d].at", path, i), p.At, 0, 25*time.Hour); err != nil {
			return err
		}
		if i > 0 && p.At < points[i-1].At {
			return fmt.Errorf("%s[%d].at is %v: must not be before that of %s[%d]", path, i, p.At, path, i-1)
		}
		if err := within(fmt.Sprintf("%s[%d].factor", path, i), p.Factor, 0, 1000); err != nil {
			return err
		}
	}
	if len(points) > 0 && highest == 0 {
		return fmt.Errorf("%s: no factor is above 0: there would be no calls", path)
	}
	return nil
}

var reportFields = []string{"utilization", "in_flight", "rps", "eps", "uptime"}

// validate checks what servers report. byDefault is what is wrong if they do not say.
func (r *Reports) validate(path string, byDefault Wrong) error {
	for i, f := range r.Omit {
		if !slices.Contains(reportFields, f) {
			return fmt.Errorf("%s.omit[%d] is %q: must be one of %s", path, i, f, strings.Join(reportFields, ", "))
		}
	}
	if of := []string{OfWorkers, OfSlots, OfQueue}; !slices.Contains(of, r.UtilizationOf) {
		return fmt.Errorf("%s.utilization_of is %q: must be one of %s", path, r.UtilizationOf, strings.Join(of, ", "))
	}
	for i, f := range r.Wrong.Fields {
		if !slices.Contains(reportFields[:3], f) {
			return fmt.Errorf("%s.wrong.fields[%d] is %q: must be one of %s", path, i, f, strings.Join(reportFields[:3], ", "))
		}
	}
	if w := &r.Wrong; w.Servers == 0 && w.Reports == 0 && (w.By != byDefault.By || !slices.Equal(w.Fields, byDefault.Fields)) {
		return fmt.Errorf("%s.wrong: nothing is wrong unless servers or reports says how many are", path)
	}
	if r.OutOfBand != 0 {
		if err := lasts(path+".out_of_band", r.OutOfBand, 10*time.Millisecond, time.Hour); err != nil {
			return err
		}
	}
	return first(
		lasts(path+".window", r.Window, time.Millisecond, time.Hour),
		lasts(path+".refresh", r.Refresh, 0, time.Hour),
		within(path+".wrong.servers", r.Wrong.Servers, 0, 1),
		within(path+".wrong.reports", r.Wrong.Reports, 0, 1),
		within(path+".wrong.by[0]", r.Wrong.By[0], 1e-3, 1e3),
		within(path+".wrong.by[1]", r.Wrong.By[1], r.Wrong.By[0], 1e3),
	)
}

func (s *Scenario) validateEvents() error {
	kinds := []string{SlowDown, Freeze, FailFast, FailSlow, Join, Drain, Restart, Pause, Antagonist}
	for i, e := range s.Events {
		at := func(field string) string { return fmt.Sprintf("events[%d].%s", i, field) }
		if !slices.Contains(kinds, e.Do) {
			return fmt.Errorf("%s is %q: must be one of %s", at("do"), e.Do, strings.Join(kinds, ", "))
		}
		if _, err := s.Select(e.Servers); err != nil {
			return fmt.Errorf("%s is %q: %w", at("servers"), e.Servers, err)
		}
		if err := first(
			lasts(at("at"), e.At, 0, 25*time.Hour),
			lasts(at("for"), e.For, 0, 25*time.Hour),
			within(at("speed"), e.Speed, 0, 100),
			within(at("share"), e.Share, 0, 1),
			lasts(at("every"), e.Every, 0, time.Hour),
			lasts(at("burst"), e.Burst, 0, time.Hour),
			lasts(at("cold_for"), e.ColdFor, 0, time.Hour),
		); err != nil {
			return err
		}
		if end := s.Warmup + s.Duration; e.At >= end {
			return fmt.Errorf("%s is %v: must be before the end, which is at %v (warmup and duration)", at("at"), e.At, end)
		}
		if field, of := e.useless(); field != "" {
			return fmt.Errorf("%s: does nothing for %s: it is of %s", at(field), e.Do, of)
		}
		if (e.Do == SlowDown || e.Do == Antagonist || e.ColdFor > 0) && e.Speed == 0 {
			return fmt.Errorf("%s: must be given for %s", at("speed"), e.Do)
		}
		if (e.Do == Join || e.Do == Restart) && e.Speed != 0 && e.ColdFor == 0 {
			return fmt.Errorf("%s: must be given with speed: for how long it is slow", at("cold_for"))
		}
		if e.Do == Pause || e.Do == Antagonist {
			if e.Every < time.Millisecond || e.Burst < time.Millisecond {
				return fmt.Errorf("%s is %v and %s %v: both must be given for %s, 1ms at least", at("every"), e.Every, "burst", e.Burst, e.Do)
			}
		}
	}
	return nil
}

// useless names a field that is given and does nothing for what the event does, and
// of which events it is.
func (e *Event) useless() (field, of string) {
	for _, f := range []struct {
		name  string
		given bool
		of    []string
	}{
		{"for", e.For != 0, []string{SlowDown, Freeze, FailFast, FailSlow, Drain, Restart, Pause, Antagonist}},
		{"speed", e.Speed != 0, []string{SlowDown, Antagonist, Join, Restart}},
		{"cold_for", e.ColdFor != 0, []string{Join, Restart}},
		{"share", e.Share != 1, []string{FailFast, FailSlow}},
		{"every", e.Every != 0, []string{Pause, Antagonist}},
		{"burst", e.Burst != 0, []string{Pause, Antagonist}},
	} {
		if f.given && !slices.Contains(f.of, e.Do) {
			return f.name, strings.Join(f.of, ", ")
		}
	}
	return "", ""
}

// Select returns the servers that a selection names, such as "slow", "0-3,7"
// or "all", in ascending order.
func (s *Scenario) Select(selection string) ([]int, error) {
	var ids []int
	for word := range strings.SplitSeq(selection, ",") {
		low, high, err := s.selectOne(strings.TrimSpace(word))
		if err != nil {
			return nil, err
		}
		for i := low; i <= high; i++ {
			ids = append(ids, i)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

func (s *Scenario) selectOne(word string) (low, high int, err error) {
	total := s.Total()
	if word == "all" {
		return 0, total - 1, nil
	}
	if startsWithDigit(word) {
		from, to, isRange := strings.Cut(word, "-")
		low, err = strconv.Atoi(from)
		high = low
		if err == nil && isRange {
			high, err = strconv.Atoi(to)
		}
		if err != nil || low > high || high >= total {
			return 0, 0, fmt.Errorf("%q must be a number or a range within 0-%d", word, total-1)
		}
		return low, high, nil
	}
	at := 0
	for _, g := range s.Servers {
		if g.Group == word && word != "" {
			return at, at + g.Count - 1, nil
		}
		at += g.Count
	}
	return 0, 0, fmt.Errorf("%q is no group: must be a group, numbers such as 0-3, or all", word)
}
