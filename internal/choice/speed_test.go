package choice

import (
	"math"
	"testing"
)

func free(part float64) mean {
	var m mean
	m.add(part, 1, enoughVacancies)
	return m
}

func TestSpeedCountsLessTheFullerAFleetIs(t *testing.T) {
	if unknown, idle := counted(mean{}), counted(free(0.9)); unknown != mostCounted || idle != mostCounted {
		t.Errorf("%v counts where nothing is known, %v where most is free; want %v", unknown, idle, mostCounted)
	}
	last := 1.0
	for _, part := range []float64{0.25, 0.2, 0.1, 0} {
		c := counted(free(part))
		if c >= last {
			t.Errorf("with %v free %v counts, %v with more", part, c, last)
		}
		last = c
	}
	if last != leastCounted {
		t.Errorf("in a full fleet %v counts, want %v", last, leastCounted)
	}
}

func TestWhoHasJustBecomeSlowCountsInFull(t *testing.T) {
	const typical, counts = 10, 0.3
	var p pace
	now := int64(1e12)
	p.learn(now, typical+1)
	if d := p.difference(typical, counts); d != counts {
		t.Errorf("of a server that is slow since it is known %v counts, want %v", d, counts)
	}
	p = pace{}
	p.learn(now, typical)
	now += ms
	p.learn(now, typical+1)
	if d := p.difference(typical, counts); math.Abs(d-mostCounted) > 1e-3 {
		t.Errorf("of one that has just become slow %v counts, want %v", d, mostCounted)
	}
	for range 20 {
		now += sec
		p.learn(now, typical+1)
	}
	if d := p.difference(typical, counts); math.Abs(d-counts) > 0.01 {
		t.Errorf("of one that has been slow for 20 s %v counts, want %v", d, counts)
	}
}
