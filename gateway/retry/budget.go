package retry

import "time"

// budgetSeconds is how far back a budget looks.
const budgetSeconds = 10

// budget counts calls and retries of the last ten seconds. It knows no clock and
// no lock.
type budget struct {
	Budget
	seconds [budgetSeconds]counts
	last    int64 // the second that was counted last, from any point
}

type counts struct{ calls, retries float64 }

// at forgets what is too old, and returns the counts of the second of now.
func (b *budget) at(now time.Duration) *counts {
	second := int64(now / time.Second)
	for passed := min(second-b.last, budgetSeconds); passed > 0; passed-- {
		b.seconds[(second-passed+1)%budgetSeconds] = counts{}
	}
	b.last = max(b.last, second)
	return &b.seconds[b.last%budgetSeconds]
}

// call counts a call.
func (b *budget) call(now time.Duration) { b.at(now).calls++ }

// retry counts a retry if there is room for it.
func (b *budget) retry(now time.Duration) bool {
	current := b.at(now)
	room := b.MinPerSecond * budgetSeconds
	for _, s := range b.seconds {
		room += b.Ratio*s.calls - s.retries
	}
	if room < 1 {
		return false
	}
	current.retries++
	return true
}
