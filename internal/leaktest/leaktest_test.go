package leaktest

import (
	"strings"
	"testing"
	"time"
)

func waitOn(started chan<- struct{}, stop <-chan struct{}) {
	close(started)
	<-stop
}

func TestALeftGoroutineIsFound(t *testing.T) {
	stop := make(chan struct{})
	defer close(stop)
	before := goroutines()
	started := make(chan struct{})
	go waitOn(started, stop)
	<-started // else its stack may not name it yet

	left := leaked(before, 0)

	if len(left) != 1 || !strings.Contains(left[0], "leaktest.waitOn") {
		t.Fatalf("found %q, want the one goroutine in waitOn", left)
	}
}

func TestAStragglerIsWaitedFor(t *testing.T) {
	stop := make(chan struct{})
	before := goroutines()
	go waitOn(make(chan struct{}), stop)
	go func() {
		time.Sleep(10 * time.Millisecond) // Longer than the first looks, in real time.
		close(stop)
	}()

	if left := leaked(before, time.Minute); len(left) != 0 {
		t.Fatalf("still there: %q", left)
	}
}

func TestGoroutinesOfBeforeAreNotCounted(t *testing.T) {
	stop := make(chan struct{})
	defer close(stop)
	go waitOn(make(chan struct{}), stop)

	if left := leaked(goroutines(), 0); len(left) != 0 {
		t.Fatalf("counted: %q", left)
	}
}

// recorder is a test that only notes what happens to it.
type recorder struct {
	testing.TB
	cleanup func()
	errors  int
	failed  bool
}

func (r *recorder) Helper()               {}
func (r *recorder) Cleanup(f func())      { r.cleanup = f }
func (r *recorder) Errorf(string, ...any) { r.errors++ }
func (r *recorder) Failed() bool          { return r.failed }

func TestCheckPassesATestThatLeavesNothing(t *testing.T) {
	r := &recorder{}
	Check(r)
	r.cleanup()
	if r.errors != 0 {
		t.Errorf("%d errors, want none", r.errors)
	}
}

func TestCheckSaysNothingMoreOfAFailedTest(t *testing.T) {
	stop := make(chan struct{})
	defer close(stop)
	r := &recorder{failed: true}
	Check(r)
	go waitOn(make(chan struct{}), stop)
	r.cleanup()
	if r.errors != 0 {
		t.Errorf("%d errors, want none", r.errors)
	}
}
