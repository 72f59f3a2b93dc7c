package sim

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/evenkeel/evenkeel/internal/sim/scenario"
)

// network knows the delays between zones. Each different delay has a lane.
type network struct {
	delays []int64   // of each lane
	lane   [][]int16 // by client zone and server zone
	jitter float64
	random *rand.Rand
}

// zones are all the zones there are; the nameless one is first.
func zones(s *scenario.Scenario) []string {
	all := []string{""}
	add := func(z string) {
		if !slices.Contains(all, z) {
			all = append(all, z)
		}
	}
	for _, g := range s.Servers {
		add(g.Zone)
	}
	for _, g := range s.Clients {
		add(g.Zone)
	}
	return all
}

func zoneIndex(s *scenario.Scenario, zone string) int { return slices.Index(zones(s), zone) }

func newNetwork(s *scenario.Scenario, random *rand.Rand) network {
	n := network{jitter: float64(s.Network.Jitter), random: random}
	all := zones(s)
	for _, from := range all {
		var row []int16
		for _, to := range all {
			d := int64(s.Network.Delay)
			for _, z := range s.Network.Zones {
				if (z.From == from && z.To == to) || (z.From == to && z.To == from) {
					d = int64(z.Delay)
				}
			}
			l := slices.Index(n.delays, d)
			if l < 0 {
				n.delays = append(n.delays, d)
				l = len(n.delays) - 1
			}
			row = append(row, int16(l))
		}
		n.lane = append(n.lane, row)
	}
	return n
}

// delay returns a delay, and the lane it belongs in.
func (n *network) delay(client, server int) (int, int64) {
	l := n.lane[client][server]
	d := n.delays[l]
	if n.jitter > 0 {
		d += int64(n.random.ExpFloat64() * n.jitter)
	}
	return int(l), d
}

// shape is the factor of the arrival rate over time.
type shape struct {
	points   []scenario.Point
	constant bool
	highest  float64
}

func newShape(points []scenario.Point) shape {
	s := shape{points: points, constant: len(points) == 0, highest: 1}
	if !s.constant {
		s.highest = 1e-9
		for _, p := range points {
			s.highest = max(s.highest, p.Factor)
		}
	}
	return s
}

func (s *shape) factor(now int64) float64 {
	last := s.points[0]
	for _, p := range s.points {
		if now < at(p.At) {
			if p.At == last.At {
				return last.Factor
			}
			return last.Factor + (p.Factor-last.Factor)*float64(now-at(last.At))/float64(p.At-last.At)
		}
		last = p
	}
	return last.Factor
}

// distances is how long the way to each server and back is for clients of a
// zone, without the jitter; nil if nobody tells them.
func (e *engine) distances(zone int) []time.Duration {
	if !e.scenario.Network.Announced {
		return nil
	}
	d := make([]time.Duration, len(e.servers))
	for i := range e.servers {
		d[i] = time.Duration(2 * e.network.delays[e.network.lane[zone][e.servers[i].zone]])
	}
	return d
}
