package search

import (
	"fmt"
	"math"
	"time"

	"github.com/evenkeel/evenkeel/internal/sim/scenario"
)

// events draws one or two things that happen, half of the time. They leave the
// servers able to do what is asked of them: what is left when they are not is
// a question of goodput, which load above 100 % asks already.
func (d dice) events(s *scenario.Scenario) {
	if d.chance(0.5) {
		return
	}
	spare := 1 - s.Load
	for range 1 + d.IntN(2) {
		e, loss := d.event(s)
		if e == nil || loss > spare {
			continue
		}
		spare -= loss
		s.Events = append(s.Events, *e)
	}
}

// event draws something that happens, and says which part of all that the
// servers can do it takes at worst.
func (d dice) event(s *scenario.Scenario) (*scenario.Event, float64) {
	e := scenario.DefaultEvent()
	share := d.hit(s, &e)
	begin, length := s.Warmup+s.Duration/8, s.Duration/2
	e.At = (begin + time.Duration(d.Int64N(int64(s.Duration/4)))).Round(time.Millisecond)
	e.For = d.lasting(max(length/20, time.Second/2), max(length, time.Second)).Round(time.Millisecond)
	kinds := []string{
		scenario.SlowDown, scenario.Freeze, scenario.FailFast, scenario.FailSlow, scenario.Join,
		scenario.Drain, scenario.Restart, scenario.Pause, scenario.Antagonist,
	}
	e.Do = kinds[d.IntN(len(kinds))]
	switch e.Do {
	case scenario.SlowDown:
		e.Speed = d.spread(0.03, 0.7)
		return &e, share * (1 - e.Speed)
	case scenario.FailFast, scenario.FailSlow:
		if d.chance(0.6) {
			e.Share = d.spread(0.05, 0.9)
		}
		if e.Do == scenario.FailFast {
			return &e, share
		}
		return &e, share * e.Share
	case scenario.Join: // they are not part of what load is a share of
		e.For = 0
		d.cold(&e)
		if ids, _ := s.Select(e.Servers); len(ids) > s.Total()/2 {
			return nil, 0
		}
		return &e, 0
	case scenario.Restart:
		d.cold(&e)
	case scenario.Pause:
		e.For = 0
		e.Every, e.Burst = d.lasting(time.Second, 20*time.Second), d.lasting(10*time.Millisecond, 500*time.Millisecond)
		return &e, share * float64(e.Burst) / float64(e.Every)
	case scenario.Antagonist:
		e.For = 0
		e.Every, e.Burst = d.lasting(time.Second, 30*time.Second), d.lasting(100*time.Millisecond, 5*time.Second)
		e.Speed = d.spread(0.05, 0.7)
		return &e, share * (1 - e.Speed) * float64(e.Burst) / float64(e.Burst+e.Every)
	}
	return &e, share
}

// cold makes servers come up slow, most of the time.
func (d dice) cold(e *scenario.Event) {
	if d.chance(0.7) {
		e.Speed, e.ColdFor = d.spread(0.1, 0.7), d.lasting(2*time.Second, time.Minute)
	}
}

// hit draws whom an event is about, and says which part of all capacity they
// have.
func (d dice) hit(s *scenario.Scenario, e *scenario.Event) float64 {
	total := s.Total()
	count := int(math.Ceil(float64(total) * d.spread(0.02, 0.4)))
	first := d.IntN(total - count + 1)
	e.Servers = fmt.Sprint(first)
	if count > 1 {
		e.Servers = fmt.Sprintf("%d-%d", first, first+count-1)
	}
	all, theirs, i := 0.0, 0.0, 0
	for _, g := range s.Servers {
		for range g.Count {
			c := float64(g.Workers) * g.Speed
			all += c
			if i >= first && i < first+count {
				theirs += c
			}
			i++
		}
	}
	return theirs / all
}
