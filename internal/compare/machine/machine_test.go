package machine

import (
	"math"
	"runtime"
	"testing"
)

func TestBusyIsWhatIsNeitherIdleNorWaiting(t *testing.T) {
	before, err := parse([]byte("cpu  100 10 50 1000 40 5 5 0 0 0\ncpu0 1 2 3\n"))
	if err != nil || before != (Reading{Idle: 1040, Total: 1210}) {
		t.Fatalf("%+v, %v", before, err)
	}
	// 30 busy, of which 10 stolen, and 70 idle; guest time is not counted twice.
	after, err := parse([]byte("cpu  115 10 55 1060 50 5 5 10 15 0\n"))
	if err != nil {
		t.Fatal(err)
	}
	if busy, ok := after.Since(before); !ok || math.Abs(busy-0.3) > 1e-12 {
		t.Errorf("busy %v, %v; want 0.3", busy, ok)
	}
	if _, ok := before.Since(before); ok {
		t.Error("no time is no measurement")
	}
}

func TestWhatIsNotTheFormatIsRefused(t *testing.T) {
	for _, s := range []string{"", "cpu", "cpu 1 2 3", "cpu0 1 2 3 4 5", "cpu 1 2 x 4 5", "cpu -1 2 3 4 5"} {
		if r, err := parse([]byte(s)); err == nil {
			t.Errorf("%q: %+v", s, r)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("cpu  100 10 50 1000 40 5 5 0 0 0\n"))
	f.Add([]byte("cpu 18446744073709551615 1 1 1"))
	f.Fuzz(func(t *testing.T, data []byte) { parse(data) })
}

func TestThisMachineIsRead(t *testing.T) {
	r, err := Read()
	if runtime.GOOS != "linux" {
		if err == nil {
			t.Error("no error where it is not measured")
		}
		return
	}
	if err != nil || r.Total == 0 || r.Idle > r.Total {
		t.Errorf("%+v, %v", r, err)
	}
}
