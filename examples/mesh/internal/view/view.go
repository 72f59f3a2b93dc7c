// Package view shows how a mesh fares: what the front door's client of each
// service knows of its endpoints, beside what the supervisor knows of their
// processes.
//
// A Sampler turns what is known now and a few seconds ago into Rows; Table and
// Lines are pure functions that render them, for people at a terminal and for
// files.
package view

import (
	"math"
	"strings"
	"time"

	"google.golang.org/grpc/connectivity"

	"github.com/evenkeel/evenkeel/balancer/choiceoftwo"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/supervisor"
)

// window is over how long rates and latencies are taken.
const window = 5 * time.Second

// Row is what is shown of one replica. Numbers that are not known are NaN, and
// durations 0.
type Row struct {
	ID       string
	Service  string
	State    string
	Speed    float64       // as configured; 1 is normal
	Share    float64       // of its service's calls, 0 to 1
	Rate     float64       // calls per second
	InFlight int           // -1 if not known
	Util     float64       // as reported; 1 is all of it
	P50, P99 time.Duration // of successful calls
	Errors   float64       // part of the ended calls that failed, 0 to 1
	Uptime   time.Duration
	Why      string // why it gets less than its share
}

// Sampler remembers the last few seconds. It must not be used concurrently.
type Sampler struct{ past []sample }

type sample struct {
	at        time.Time
	endpoints map[string]choiceoftwo.Endpoint // by address
}

// Rows returns a row for each replica, in their order.
func (s *Sampler) Rows(now time.Time, replicas []supervisor.Status, channels []choiceoftwo.Channel) []Row {
	current := sample{now, byAddress(channels)}
	rows := make([]Row, len(replicas))
	total := map[string]float64{}
	for i, r := range replicas {
		rows[i] = s.row(current, r)
		if !math.IsNaN(rows[i].Rate) {
			total[rows[i].Service] += rows[i].Rate
		}
	}
	for i := range rows {
		if sum := total[rows[i].Service]; sum > 0 {
			rows[i].Share = rows[i].Rate / sum
		}
	}
	s.keep(current)
	return rows
}

func (s *Sampler) row(current sample, r supervisor.Status) Row {
	row := Row{
		ID: r.ID.String(), Service: r.ID.Service, State: string(r.State), Speed: r.Speed,
		Share: math.NaN(), Rate: math.NaN(), InFlight: -1, Util: math.NaN(), Errors: math.NaN(),
	}
	if r.PID != 0 {
		row.Uptime = current.at.Sub(r.Started)
	}
	now, known := current.endpoints[r.Address]
	if !known || !r.Listed() {
		return row
	}
	if r.State == supervisor.Ready && now.State != connectivity.Ready {
		// The process is there, but the client has no connection to it.
		row.State = "connecting"
		if now.State == connectivity.TransientFailure {
			row.State = "unreachable"
		}
	}
	row.InFlight, row.Util, row.Why = now.InFlight, now.Utilization, strings.Join(now.HeldBack, ", ")
	if now.Uptime > 0 {
		row.Uptime = now.Uptime
	}
	before, at, ok := s.before(r.Address, now)
	if seconds := current.at.Sub(at).Seconds(); ok && seconds > 0 {
		row.Rate = float64(now.Picks-before.Picks) / seconds
		failed, succeeded := now.Failures-before.Failures, now.Successes-before.Successes
		if failed+succeeded > 0 {
			row.Errors = float64(failed) / float64(failed+succeeded)
		}
		latency := now.Latency.Sub(before.Latency)
		row.P50, row.P99 = latency.Quantile(0.5), latency.Quantile(0.99)
	}
	return row
}

// before returns what was known of the endpoint at the beginning of the window.
// Totals that went backwards belong to another that had the address before.
func (s *Sampler) before(address string, now choiceoftwo.Endpoint) (e choiceoftwo.Endpoint, at time.Time, ok bool) {
	for i := len(s.past) - 1; i >= 0; i-- {
		earlier, there := s.past[i].endpoints[address]
		if !there || earlier.Picks > now.Picks || earlier.Successes > now.Successes || earlier.Failures > now.Failures {
			break
		}
		now, e, at, ok = earlier, earlier, s.past[i].at, true
	}
	return e, at, ok
}

// keep remembers a sample and forgets those that are older than the window, but
// for one.
func (s *Sampler) keep(current sample) {
	s.past = append(s.past, current)
	for len(s.past) > 1 && current.at.Sub(s.past[1].at) >= window {
		s.past = s.past[1:]
	}
}

func byAddress(channels []choiceoftwo.Channel) map[string]choiceoftwo.Endpoint {
	endpoints := map[string]choiceoftwo.Endpoint{}
	for _, c := range channels {
		for _, e := range c.Endpoints {
			for _, a := range e.Addresses {
				endpoints[a] = e
			}
		}
	}
	return endpoints
}
