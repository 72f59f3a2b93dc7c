package gateway

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// kept is a caller who keeps the gateway waiting.
type kept struct {
	*wait
	name string
}

func keep(a *waiting, name string, gone *[]string) *kept {
	return &kept{&wait{all: a, letGo: func() { *gone = append(*gone, name) }}, name}
}

func wantGone(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%v were let go, want %v", got, want)
	}
}

func TestWhoKeepsWaitingForLongestIsLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var gone []string
		a := newWaiting(100)
		first, second, third := keep(a, "first", &gone), keep(a, "second", &gone), keep(a, "third", &gone)
		first.hold(60)
		time.Sleep(100 * time.Millisecond)
		second.hold(40)
		time.Sleep(time.Hour)
		wantGone(t, gone) // it is no more than may be
		third.hold(1)
		wantGone(t, gone, "first")
		if !first.done() || second.done() || third.done() || a.held != 0 {
			t.Errorf("%d bytes are held", a.held)
		}
	})
}

func TestWhoDoesNotWaitLongIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var gone []string
		a := newWaiting(100)
		first, second, third := keep(a, "first", &gone), keep(a, "second", &gone), keep(a, "third", &gone)
		first.hold(60)
		time.Sleep(100 * time.Millisecond)
		second.hold(60)
		time.Sleep(waitPatience - 101*time.Millisecond)
		wantGone(t, gone)
		// Who takes what there was begins anew.
		first.done()
		first.hold(60)
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		wantGone(t, gone)
		third.hold(1)
		time.Sleep(time.Millisecond)
		synctest.Wait()
		wantGone(t, gone, "second")
		time.Sleep(time.Hour)
		synctest.Wait()
		wantGone(t, gone, "second")
	})
}

func TestTwiceAsMuchIsTooMuchAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var gone []string
		a := newWaiting(100)
		for _, name := range []string{"1", "2", "3", "4"} {
			keep(a, name, &gone).hold(50)
		}
		wantGone(t, gone)
		last := keep(a, "5", &gone)
		last.hold(10)
		wantGone(t, gone, "1")
		last.hold(500)
		wantGone(t, gone, "1", "2", "3", "4") // and who is alone stays
		if last.done() || a.held != 0 {
			t.Errorf("%d bytes are held", a.held)
		}
	})
}

// TestWhatMayComeCountsOnceItHadTheTime: many streams may be written at once, and
// bodies be taken meanwhile, also such that take long.
func TestWhatMayComeCountsOnceItHadTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var gone []string
		a := newWaiting(100)
		long := keep(a, "long", &gone)
		long.take(50)
		time.Sleep(time.Minute)
		streams := []*kept{}
		for _, name := range []string{"1", "2", "3", "4", "5", "6"} {
			s := keep(a, name, &gone)
			s.ahead = 60
			s.hold(1)
			streams = append(streams, s)
		}
		wantGone(t, gone)
		body := keep(a, "body", &gone)
		if !body.take(140) || body.done() {
			t.Error("a body is not taken")
		}
		wantGone(t, gone, "long") // for the body
		gone = nil
		streams[3].done()
		time.Sleep(waitPatience - time.Millisecond)
		synctest.Wait()
		wantGone(t, gone)
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		wantGone(t, gone, "1", "2", "3", "5")
		for _, s := range streams {
			s.done()
		}
		if a.held != 0 || a.ahead != 0 || a.late != 0 || a.fresh != &a.ring {
			t.Errorf("%d, %d and %d bytes are held", a.held, a.ahead, a.late)
		}
	})
}

func TestNobodyIsLetGoWhoIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newWaiting(1 << 10)
		var callers sync.WaitGroup
		let := 0
		var mu sync.Mutex
		for n := range 50 {
			callers.Go(func() {
				random := rand.New(rand.NewPCG(1, uint64(n)))
				waited := false
				w := &wait{all: a}
				w.letGo = func() {
					mu.Lock()
					defer mu.Unlock()
					let++
					if !waited {
						t.Error("it was let go when it was done")
					}
				}
				set := func(b bool) {
					mu.Lock()
					defer mu.Unlock()
					waited = b
				}
				for range 200 {
					set(true)
					w.hold(random.Int64N(200))
					time.Sleep(time.Duration(random.IntN(3000)) * time.Millisecond)
					w.hold(random.Int64N(200))
					gone := w.done()
					set(false)
					if gone {
						return
					}
				}
			})
		}
		callers.Wait()
		if a.held != 0 || a.ring.next != &a.ring || let == 0 || let == 50 {
			t.Errorf("%d bytes are held, %d of 50 were let go", a.held, let)
		}
	})
}

// TestWhatBackendsWorkOnCountsAgainstBodiesOnly: it cannot be let go, and who takes
// its answer is not to pay for it.
func TestWhatBackendsWorkOnCountsAgainstBodiesOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const unit = heldSmall
		var gone []string
		a := newWaiting(100 * unit)
		working, body, answer := keep(a, "working", &gone), keep(a, "body", &gone), keep(a, "answer", &gone)
		if !working.take(150*unit) || working.keep(150*unit) {
			t.Error("one body alone is not taken")
		}
		if !body.take(50 * unit) {
			t.Error("a body for which there is room is not taken")
		}
		if body.take(51*unit) || body.take(1) {
			t.Error("a body is taken for which there is no room")
		}
		if !body.done() {
			t.Error("a body that was refused goes on")
		}
		if !answer.hold(90 * unit) {
			t.Error("an answer is refused")
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		wantGone(t, gone)
		answer.done()
		working.close()
		if another := keep(a, "another", &gone); !another.take(200*unit) || another.keep(10) || a.held != 0 || a.calling != 0 {
			t.Errorf("%d and %d bytes are held", a.held, a.calling)
		}
		if working.take(unit) {
			t.Error("one that has ended begins anew")
		}
	})
}
