// Package leaktest fails a test that leaves goroutines behind.
//
//	func TestServer(t *testing.T) {
//		leaktest.Check(t)
//		...
//	}
//
// Check must come before anything that starts goroutines, so that its cleanup
// runs after all others. It looks at the whole process: a test that uses it
// must not run in parallel with others. Inside a testing/synctest bubble it is
// not needed: synctest itself refuses to end a bubble with goroutines in it.
package leaktest

import (
	"bytes"
	"runtime"
	"strings"
	"testing"
	"time"
)

// patience is how long a goroutine that has been told to end may take. Closing
// a gRPC channel or server returns before its transports' goroutines are gone.
const patience = 5 * time.Second

// harmless goroutines belong to the test framework or the runtime, or are
// started once per process and never end.
var harmless = []string{
	"testing.(*M).",
	"testing.(*T).Run(",
	"testing.(*T).Parallel(",
	"testing.runFuzzing(",
	"testing.runFuzzTests(",
	"testing.runTests",
	"testing.tRunner.func",
	"testing/synctest.",
	"runtime.ensureSigM",
	"os/signal.signal_recv",
	"os/signal.loop",
	"runtime/pprof.profileWriter",
	"runtime/trace.Start",
	// The one clean-up goroutine of package unique and of finalizers.
	"runtime.runCleanups",
	"runtime.runfinq",
	"runtime.unique_runtime_registerUniqueMapCleanup",
}

// Check notes the goroutines that run now and, when t ends, fails it if others
// are left. It waits for stragglers, as long as five seconds, only if there are
// any.
func Check(t testing.TB) {
	t.Helper()
	before := goroutines()
	t.Cleanup(func() {
		if t.Failed() {
			return // A test that stopped half-way has not closed its things.
		}
		for _, stack := range leaked(before, patience) {
			t.Errorf("goroutine left behind:\n%s", stack)
		}
	})
}

// leaked returns the stacks of the goroutines that are not in before and still
// run after at most wait.
func leaked(before map[string]string, wait time.Duration) []string {
	// Real time, since the goroutines waited for end in real time.
	deadline := time.Now().Add(wait)
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		var left []string
		for id, stack := range goroutines() {
			if _, ok := before[id]; !ok {
				left = append(left, stack)
			}
		}
		if len(left) == 0 || !time.Now().Before(deadline) {
			return left
		}
		time.Sleep(pause)
	}
}

// goroutines returns the stacks of all goroutines but the caller's and the
// harmless ones, by goroutine id.
func goroutines() map[string]string {
	found := make(map[string]string)
	// The first stack is that of the caller.
	for i, stack := range bytes.Split(dump(), []byte("\n\n")) {
		if i == 0 || isHarmless(string(stack)) {
			continue
		}
		found[id(string(stack))] = string(stack)
	}
	return found
}

func dump() []byte {
	for size := 1 << 16; ; size *= 2 {
		buf := make([]byte, size)
		if n := runtime.Stack(buf, true); n < size {
			return buf[:n]
		}
	}
}

// id returns "7" for a stack that begins "goroutine 7 [running]:".
func id(stack string) string {
	header, _, _ := strings.Cut(strings.TrimPrefix(stack, "goroutine "), " ")
	return header
}

func isHarmless(stack string) bool {
	// A goroutine started by a test also names the test's frames in its
	// "created by" line, so only the frames above that line count.
	frames, _, _ := strings.Cut(stack, "\ncreated by ")
	for _, h := range harmless {
		if strings.Contains(frames, h) {
			return true
		}
	}
	return false
}
