package loader

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestWithoutARateARequestIsSentWithTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pace
		if start := p.begin(); !start.Equal(time.Now()) {
			t.Errorf("the first one is sent at %v, now it is %v", start, time.Now())
		}
		answered := time.Now().Add(time.Second)
		if start := p.next(answered); !start.Equal(answered) {
			t.Errorf("answered at %v, the next one is sent at %v", answered, start)
		}
	})
}

func TestWithARateOneIsSentInEachPeriodWhateverTheAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const period = 10 * time.Millisecond
		p := pace{period: period}
		before := time.Now()
		first := p.begin()
		if late := first.Sub(before); late < 0 || late > period {
			t.Fatalf("the first one is sent after %v, want at most %v", late, period)
		}
		time.Sleep(3 * time.Millisecond)
		if second := p.next(time.Now()); second.Sub(first) != period || !second.Equal(time.Now()) {
			t.Fatalf("the second one counts from %v after the first, now it is %v after it", second.Sub(first), time.Since(first))
		}
		time.Sleep(25 * time.Millisecond) // two are overdue then
		for k := range 3 {
			start := p.next(time.Now())
			if want := period * time.Duration(k+2); start.Sub(first) != want {
				t.Errorf("request %d counts from %v after the first, want %v", k+3, start.Sub(first), want)
			}
		}
		if waited := time.Since(first); waited != 4*period {
			t.Errorf("with the last one it is %v after the first, want %v", waited, 4*period)
		}
	})
}
