package main

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"
)

// What is slow or fast is not judged here: machines differ, and are shared.
func TestEveryDoorAnswersTheSameAndIsReported(t *testing.T) {
	o := defaults()
	o.Rounds, o.Slice, o.Warmup = 1, 300*time.Millisecond, 0
	var out bytes.Buffer
	if err := measure(o, "", &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	for _, d := range doors() {
		// As a line of the answers, of the medians and of the ratios, by verb.
		if n := strings.Count(out.String(), d.name); n < 5 {
			t.Errorf("%s is told of %d times", d.name, n)
		}
	}
	if strings.Contains(out.String(), "NaN") {
		t.Errorf("something was not measured:\n%s", &out)
	}
}

func TestTheIntervalHoldsTheMedianOftenEnough(t *testing.T) {
	// The ranks are those of tables of the sign test.
	for n, rank := range map[int]int{1: 1, 5: 1, 6: 1, 9: 2, 15: 4, 25: 8, 50: 18} {
		values := make([]float64, n)
		for i := range values {
			values[i] = float64(n - i)
		}
		got := medianOf(values)
		if want := (interval{Low: float64(rank), Median: float64(n+1) / 2, High: float64(n + 1 - rank)}); got != want {
			t.Errorf("of %d: %v, want %v", n, got, want)
		}
	}
	if !math.IsNaN(medianOf(nil).Median) {
		t.Error("nothing has a median")
	}
}
